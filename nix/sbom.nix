# What an image is made of, as CycloneDX 1.5: `programs` by name and version, and every crate
# that is compiled into `kge`.
{
  lib,
  name,
  version,
  programs,
  withCrates,
}:
let
  crates = import ./host/shipped.nix {
    inherit lib;
    src = ../.;
  };
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
