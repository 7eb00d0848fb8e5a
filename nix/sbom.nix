# What an image is made of, as CycloneDX 1.5: `programs` by name and version, and every crate that
# Cargo.lock pins for what ships. Crates that only tests need are left out.
{
  lib,
  name,
  version,
  programs,
  withCrates,
}:
let
  toml = file: builtins.fromTOML (builtins.readFile file);
  locked = (toml ../Cargo.lock).package;

  # `serde` or, where the lock file has several, `serde 1.0.229`.
  find =
    reference:
    let
      parts = builtins.match "([^ ]+)( ([^ ]+).*)?" reference;
      wanted = builtins.elemAt parts 2;
    in
    lib.filter (
      crate: crate.name == builtins.head parts && (wanted == null || crate.version == wanted)
    ) locked;

  # Of our own crates, what their manifests name; of the others, what the lock file does.
  needs =
    crate:
    let
      manifest = toml (../crates + "/${crate.name}/Cargo.toml");
      shipped =
        manifest.dependencies or { }
        // lib.foldl' (all: platform: all // platform.dependencies or { }) { } (
          builtins.attrValues (manifest.target or { })
        );
      references = crate.dependencies or [ ];
      ships = reference: shipped ? ${builtins.head (builtins.match "([^ ]+).*" reference)};
    in
    lib.concatMap find (if crate ? source then references else lib.filter ships references);

  crates = map (node: node.crate) (
    builtins.genericClosure {
      startSet = node (builtins.head (find "kge"));
      operator = { crate, ... }: lib.concatMap node (needs crate);
    }
  );
  node = crate: [
    {
      key = "${crate.name} ${crate.version}";
      inherit crate;
    }
  ];
in
builtins.toJSON {
  bomFormat = "CycloneDX";
  specVersion = "1.5";
  version = 1;
  metadata.component = {
    type = "container";
    inherit name version;
  };
  components =
    map (program: { type = "application"; } // program) programs
    ++ lib.optionals withCrates (
      map (
        crate:
        {
          type = "library";
          inherit (crate) name version;
          purl = "pkg:cargo/${crate.name}@${crate.version}";
        }
        // lib.optionalAttrs (crate ? checksum) {
          hashes = [
            {
              alg = "SHA-256";
              content = crate.checksum;
            }
          ];
        }
      ) crates
    );
}
