# Crane's functions that this project calls, over Debian's cargo: crates are fixed-output
# derivations from Cargo.lock, and the standard library is compiled from its source, because
# Debian has it for neither musl nor wasm32.
pkgs:
let
  inherit (pkgs) lib;
  library = "/lib/rustlib/src/rust/library";
  cc = pkgs.pkgsStatic.stdenv.cc;

  fetchCrate =
    { name, version, checksum, ... }:
    import <nix/fetchurl.nix> {
      url = "https://static.crates.io/crates/${name}/${name}-${version}.crate";
      sha256 = checksum;
    };

  craneLib = {
    inherit fetchCrate;
    overrideToolchain = _: craneLib;
    devShell = _: pkgs.absent "dev-shell";

    # A folder of all crates that the lock file names, beside those of the standard library.
    vendorCargoDeps =
      { cargoLock, ... }:
      let
        locked = (builtins.fromTOML (builtins.readFile cargoLock)).package;
        crates = lib.filter (crate: crate ? checksum) locked;
      in
      pkgs.runCommand "cargo-vendor"
        {
          crates = lib.concatMapStringsSep "" (
            crate: "${crate.name}-${crate.version} ${crate.checksum} ${fetchCrate crate}\n"
          ) crates;
          passAsFile = [ "crates" ];
        }
        ''
          mkdir $out
          while read -r name checksum file; do
            tar -xzf "$file" -C $out --no-same-owner
            echo '{"files":{},"package":"'"$checksum"'"}' > "$out/$name/.cargo-checksum.json"
          done < "$cratesPath"
          for crate in ${library}/vendor/*; do
            [ -e "$out/$(basename "$crate")" ] || cp -r "$crate" $out
          done
        '';

    mkCargoDerivation =
      {
        pname,
        src,
        cargoVendorDir ? craneLib.vendorCargoDeps { cargoLock = src + "/Cargo.lock"; },
        cargoArtifacts ? null,
        buildPhaseCargoCommand,
        ...
      }@args:
      pkgs.runCommand pname
        (
          {
            RUSTC_BOOTSTRAP = "1";
            RUSTFLAGS = toString [
              "-C link-self-contained=no"
              "-C target-feature=+crt-static"
              "-C relocation-model=static"
              "-C link-arg=-Wl,--eh-frame-hdr,--build-id=none"
              "-L ${cc}/lib"
              "-C link-arg=-lgcc"
              "--remap-path-prefix=/build/cargo/vendor=crates"
              "--remap-path-prefix=/build/source=kge"
              "--remap-path-prefix=${library}=std"
            ];
          }
          // builtins.removeAttrs args [
            "buildPhaseCargoCommand"
            "doCheck"
            "doInstallCargoArtifacts"
            "strictDeps"
          ]
          // {
            inherit src cargoVendorDir cargoArtifacts;
          }
        )
        ''
          export CARGO_HOME=/build/cargo
          mkdir -p $CARGO_HOME
          ln -s $cargoVendorDir $CARGO_HOME/vendor
          cat > $CARGO_HOME/config.toml <<END
          [source.crates-io]
          replace-with = "vendored"
          [source.vendored]
          directory = "$CARGO_HOME/vendor"
          END
          if [ -n "''${CARGO_BUILD_TARGET:-}" ]; then
            printf '[unstable]\nbuild-std = ["std", "panic_unwind"]\n' >> $CARGO_HOME/config.toml
          fi
          cp -r --no-preserve=mode $src source
          cd source
          if [ -n "$cargoArtifacts" ]; then
            tar -xf $cargoArtifacts/target.tar.zst --use-compress-program="zstd -d"
            # One time for all, or cargo takes dependencies for newer than their dependents; what
            # stood in for the workspace's own crates goes.
            find target -exec touch -h -d "@$(date +%s)" {} +
            find target -path '*/.fingerprint/kge*' -delete
          fi
          ${buildPhaseCargoCommand}
        '';

    # Only the dependencies, with empty crates in place of the workspace's.
    buildDepsOnly =
      { pname, src, ... }@args:
      let
        skeleton = import ./skeleton.nix {
          inherit lib src;
          crates = import ./shipped.nix { inherit lib src; };
        };
      in
      craneLib.mkCargoDerivation (
        args
        // {
          pname = "${pname}-deps";
          src = pkgs.runCommand "skeleton" skeleton ''
            mkdir $out
            cp $lock $out/Cargo.lock
            cp $root $out/Cargo.toml
            printf '%s %s\n' $members | while read -r name manifest; do
              mkdir -p $out/crates/$name/src
              cp $manifest $out/crates/$name/Cargo.toml
              touch $out/crates/$name/src/lib.rs
            done
            mv $out/crates/kge/src/lib.rs $out/crates/kge/src/main.rs
            echo 'fn main() {}' > $out/crates/kge/src/main.rs
          '';
          cargoVendorDir = craneLib.vendorCargoDeps { cargoLock = skeleton.lock; };
          # Not --locked: with fewer crates the lock file would say some of their names shorter.
          buildPhaseCargoCommand = ''
            cargo build --release --offline
            mkdir $out
            tar -cf $out/target.tar.zst --use-compress-program="zstd -T0" --sort=name target
          '';
        }
      );

    buildPackage =
      args:
      craneLib.mkCargoDerivation (
        args
        // {
          cargoArtifacts = args.cargoArtifacts or (craneLib.buildDepsOnly args);
          buildPhaseCargoCommand = ''
            cargo build --release ${args.cargoExtraArgs or "--locked"}
            mkdir -p $out/bin
            for file in target/$CARGO_BUILD_TARGET/release/*; do
              if [ -f "$file" ] && [ -x "$file" ]; then cp "$file" $out/bin/; fi
            done
          '';
        }
      );
  };
in
craneLib
