# The packages of Cargo.lock that are compiled into `kge`, as the lock file has them; what only
# tests need is left out.
{ lib, src }:
let
  toml = file: builtins.fromTOML (builtins.readFile file);
  locked = (toml (src + "/Cargo.lock")).package;

  # A reference is `serde` or, where the lock file has several, `serde 1.0.229`.
  parts = builtins.match "([^ ]+)( ([^ ]+).*)?";
  nameOf = reference: builtins.head (parts reference);
  find =
    reference:
    let
      version = builtins.elemAt (parts reference) 2;
    in
    lib.filter (
      crate: crate.name == nameOf reference && (version == null || crate.version == version)
    ) locked;

  # Of our own crates only what their manifests name for other than tests.
  shipped =
    crate:
    let
      manifest = toml (src + "/crates/${crate.name}/Cargo.toml");
      platforms = builtins.attrValues (manifest.target or { });
      named = lib.foldl' (all: platform: all // platform.dependencies or { }) (
        manifest.dependencies or { }
      ) platforms;
    in
    if crate ? source then
      crate
    else
      crate
      // {
        dependencies = lib.filter (reference: named ? ${nameOf reference}) (crate.dependencies or [ ]);
      };

  node = crate: {
    key = "${crate.name} ${crate.version}";
    crate = shipped crate;
  };
in
map (node: node.crate) (
  builtins.genericClosure {
    startSet = map node (find "kge");
    operator = { crate, ... }: map node (lib.concatMap find (crate.dependencies or [ ]));
  }
)
