# Stands in for nixpkgs, rust-overlay and crane where no binary cache can be reached: the few
# functions of theirs that ../../flake.nix calls, over Debian's own compiler. `./nix` uses it.
{
  description = "A package set over the host's toolchain";

  outputs =
    { self }:
    {
      lib = import ./lib.nix;
      overlays.default = _: _: { };
      mkLib = import ./crane.nix;
    };
}
