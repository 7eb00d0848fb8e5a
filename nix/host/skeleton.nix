# The workspace without its code: what the compilation of dependencies can depend on, and nothing
# else. Tests, benches, lints and what only those need may change without compiling them anew.
{
  lib,
  src,
  crates,
}:
let
  toml = file: builtins.fromTOML (builtins.readFile file);

  # Everything below a key is an inline table, which JSON's strings and lists fit into.
  toTOML =
    set: lib.concatStrings (lib.mapAttrsToList (key: value: "${quote key} = ${inline value}\n") set);
  quote = builtins.toJSON;
  inline =
    value:
    if builtins.isAttrs value then
      "{ ${lib.concatMapStringsSep ", " (key: "${quote key} = ${inline value.${key}}") (builtins.attrNames value)} }"
    else if builtins.isList value then
      "[ ${lib.concatMapStringsSep ", " inline value} ]"
    else
      builtins.toJSON value;

  keep = names: set: lib.filterAttrs (name: _: builtins.elem name names) set;
  own = lib.filter (crate: !(crate ? source)) crates;
  names = map (crate: crate.name) crates;
  workspace = toml (src + "/Cargo.toml");

  member =
    { name, ... }:
    let
      manifest = toml (src + "/crates/${name}/Cargo.toml");
    in
    keep [ "dependencies" "features" ] manifest
    // {
      package = keep [ "name" "version" "edition" ] manifest.package;
      target = lib.genAttrs (builtins.attrNames (manifest.target or { })) (
        platform: keep [ "dependencies" ] manifest.target.${platform}
      );
    };

  file = name: set: builtins.toFile name (toTOML set);
in
{
  # Which crates, not which of them needs which: that also tells what tests turn on in them.
  lock = file "Cargo.lock" {
    version = 4;
    package = map (keep [ "name" "version" "source" "checksum" ]) crates;
  };
  root = file "Cargo.toml" {
    inherit (workspace) profile;
    workspace = {
      inherit (workspace.workspace) resolver package;
      members = map (crate: "crates/${crate.name}") own;
      dependencies = keep names workspace.workspace.dependencies;
    };
  };
  members = map (crate: "${crate.name} ${file "${crate.name}.toml" (member crate)}") own;
}
