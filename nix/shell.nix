# Everything a contributor needs: `nix develop`, then cargo, make and the rest as on Debian.
{
  pkgs,
  packages,
  craneLib,
  ...
}:
{
  default = craneLib.devShell {
    inputsFrom = [ packages.kge ];
    packages = [
      pkgs.cargo-deny
      pkgs.docker-compose
      pkgs.gnumake
      pkgs.mdbook
      pkgs.nixfmt
      pkgs.redis
    ];
  };
}
