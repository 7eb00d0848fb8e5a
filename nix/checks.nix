# `nix flake check`: formatting, clippy, tests and licences as .ci/run has them, every image and
# the module. Debian's toolchain lacks clippy and cargo-deny, and nix/host the module system: what
# is missing there is left out here, and done by .ci/run.
{ self, nixpkgs }:
{
  pkgs,
  packages,
  craneLib,
  workspace,
  dependencies,
  ...
}:
let
  inherit (pkgs) lib;
  named = workspace // {
    pname = "kge";
    cargoArtifacts = dependencies;
  };
in
lib.filterAttrs (name: _: lib.hasPrefix "image-" name) packages
// {
  inherit (packages) docs plugins;
}
// lib.optionalAttrs (craneLib ? cargoClippy) {
  fmt = craneLib.cargoFmt named;
  clippy = craneLib.cargoClippy (
    named // { cargoClippyExtraArgs = "--workspace --all-targets -- --deny warnings"; }
  );
  # Natively, and with the models as `make test` has them.
  test = craneLib.cargoTest (
    removeAttrs named [ "CARGO_BUILD_TARGET" ]
    // {
      src = self;
      cargoArtifacts = null;
      preBuild = "cp -r ${packages.plugins}/share/kge/plugins plugins/components";
    }
  );
  deny = craneLib.cargoDeny (named // { cargoDenyChecks = "bans licenses sources"; });
}
// lib.optionalAttrs (nixpkgs.lib ? nixosSystem) {
  module = import ./checks/module.nix { inherit self nixpkgs pkgs; };
}
