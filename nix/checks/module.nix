# The module as a system would take it: units, the user, and a secret in the store refused.
{
  self,
  nixpkgs,
  pkgs,
}:
let
  inherit (nixpkgs) lib;
  system =
    settings:
    (lib.nixosSystem {
      inherit pkgs;
      modules = [
        self.nixosModules.default
        {
          boot.isContainer = true;
          system.stateVersion = lib.trivial.release;
          services.kge-server = {
            enable = true;
            workers = 2;
            redis.createLocally = true;
          }
          // settings;
        }
      ];
    }).config;
  good = system { };
  bad = system { secrets.KGE_JOBS_FILE = "${builtins.storeDir}/anything"; };
  broken = config: lib.filter (assertion: !assertion.assertion) config.assertions;
in
assert broken good == [ ];
assert lib.length (broken bad) == 1;
assert good.systemd.services ? kge-worker-2;
pkgs.writeText "units" (good.systemd.units."kge-server.service".text)
