# `nix flake check`: what .ci/run holds to, and that images and module can be made. Each of
# crane's checks is here only where the toolchain has its tool; Debian's lacks clippy.
self:
{
  pkgs,
  packages,
  craneLib,
  workspace,
  ...
}:
