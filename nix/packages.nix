# The static `kge`, the scoring models, the book, and the images made of them; beside them what
# checks and dev shell need to build alike.
{
  pkgs,
  crane,
  self,
}:
let
  inherit (pkgs) lib;
  version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package.version;
  revision = self.rev or "dirty";

  musl = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-unknown-linux-musl";
  variable = builtins.replaceStrings [ "-" ] [ "_" ] musl;
  inherit (pkgs.pkgsStatic.stdenv) cc;
  compiler = "${cc}/bin/${cc.targetPrefix}cc";

  craneLib = (crane.mkLib pkgs).overrideToolchain (
    pkgs:
    pkgs.rust-bin.stable.latest.default.override {
      targets = [
        musl
        "wasm32-unknown-unknown"
      ];
    }
  );

  # Only these of the repository: a changed page of the book compiles nothing.
  only =
    paths:
    builtins.path {
      name = "source";
      path = ../.;
      filter =
        file: _:
        let
          path = lib.removePrefix "${toString ../.}/" file;
          lies = folder: path == folder || lib.hasPrefix "${folder}/" path;
        in
        lib.any lies paths;
    };

  # Static musl, never static glibc, which cannot resolve host names.
  common = {
    inherit version;
    strictDeps = true;
    doCheck = false;
    CARGO_BUILD_TARGET = musl;
    CARGO_PROFILE_RELEASE_DEBUG = "none";
    "CC_${variable}" = compiler;
    "CARGO_TARGET_${lib.toUpper variable}_LINKER" = compiler;
  };

  workspace = common // {
    src = only [
      "Cargo.lock"
      "Cargo.toml"
      "crates"
      "plugins"
    ];
  };
  dependencies = craneLib.buildDepsOnly (workspace // { pname = "kge"; });

  packages = {
    kge = craneLib.buildPackage (
      workspace
      // {
        pname = "kge";
        cargoArtifacts = dependencies;
        cargoExtraArgs = "--locked --package kge";
        # For `kge version --json`.
        KGE_REVISION = revision;
        KGE_LOCK_HASH = builtins.hashFile "sha256" ../Cargo.lock;
        allowedReferences = [ ];
      }
    );

    # The scoring models, from source to components. A model is known by its hash, and another
    # compiler gives another: those of Debian's Rust and of rustup's differ.
    plugins = craneLib.mkCargoDerivation (
      common
      // {
        pname = "kge-plugins";
        src = ../plugins;
        cargoArtifacts = null;
        doInstallCargoArtifacts = false;
        nativeBuildInputs = [ packages.kge ];
        buildPhaseCargoCommand = "kge plugin build . --out $out/share/kge/plugins";
        allowedReferences = [ ];
      }
    );

    # The book, and in crates/ what rustdoc says of the core. The service's crates are read in their
    # source; rustdoc would compile all they depend on once more.
    docs = craneLib.mkCargoDerivation (
      workspace
      // {
        pname = "kge-docs";
        src = only [
          "Cargo.lock"
          "Cargo.toml"
          "crates"
          "plugins"
          "docs"
        ];
        cargoArtifacts = dependencies;
        doInstallCargoArtifacts = false;
        nativeBuildInputs = [ pkgs.mdbook ];
        buildPhaseCargoCommand = ''
          mkdir -p $out/share/doc
          mdbook build docs --dest-dir $out/share/doc/kge
          # One after the other, what others link to first: rustdoc links to pages that it finds.
          for package in kge-kernels kge-graph kge-model kge-embed; do
            cargo doc --release --locked --no-deps --package $package
          done
          cp -r target/${musl}/doc $out/share/doc/kge/crates
        '';
        allowedReferences = [ ];
      }
    );

    redis = pkgs.redis.override { withSystemd = false; };

    # `kge` that finds its models wherever it is called.
    default = pkgs.writeShellScriptBin "kge" ''
      export KGE_PLUGINS=''${KGE_PLUGINS-${packages.plugins}/share/kge/plugins}
      exec ${packages.kge}/bin/kge "$@"
    '';
  };
in
{
  inherit craneLib workspace dependencies;
  packages = packages // import ./images.nix { inherit pkgs packages version revision; };
}
