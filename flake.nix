# Everything Nix makes of this repository: one file a topic in nix/, one an image in images/.
#     nix build .#image-web && docker load < result        nix run .#demo        nix develop
{
  description = "kge-server: knowledge-graph embeddings as a service";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
      crane,
    }:
    let
      inherit (nixpkgs) lib;
      systems = lib.filter (system: lib.elem system lib.systems.flakeExposed) [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem =
        f:
        lib.genAttrs systems (
          system:
          let
            pkgs = import nixpkgs {
              inherit system;
              overlays = [ rust-overlay.overlays.default ];
            };
          in
          f ({ inherit pkgs; } // import ./nix/packages.nix { inherit pkgs crane self; })
        );
    in
    {
      packages = forEachSystem ({ packages, ... }: packages);

      apps = forEachSystem (
        { pkgs, packages, ... }:
        let
          kge = {
            type = "app";
            program = "${packages.default}/bin/kge";
          };
        in
        {
          default = kge;
          demo = kge // {
            program = "${pkgs.writeShellScriptBin "demo" ''exec ${kge.program} demo "$@"''}/bin/demo";
          };
        }
      );

      devShells = forEachSystem (import ./nix/shell.nix);
      checks = forEachSystem (import ./nix/checks.nix { inherit self nixpkgs; });
      formatter = forEachSystem ({ pkgs, ... }: pkgs.nixfmt-tree);
      nixosModules.default = import ./nix/module.nix self;
    };
}
