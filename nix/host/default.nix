# What nixpkgs would give, made of Debian's packages. Derivations see /bin, /usr and /lib of the
# host and no network; what they are built with is part of their hash.
{
  system,
  overlays ? [ ],
}:
let
  lib = import ./lib.nix;

  # Debian's packages whose files end up in what is built, or decide its bytes.
  packages = [
    "cargo-web"
    "gcc-12"
    "libunwind-14-dev:amd64"
    "lld-14"
    "musl-dev:amd64"
    "rust-web-src"
    "rustc-web"
  ];
  hash = package: builtins.hashFile "sha256" "/var/lib/dpkg/info/${package}.md5sums";
  toolchain = map hash packages;

  pkgs = {
    inherit lib system;

    runCommand =
      name: attrs: script:
      derivation (
        {
          inherit name system toolchain;
          builder = "/bin/bash";
          args = [
            "-euo"
            "pipefail"
            "-c"
            ''
              export PATH=$(printf '%s/bin:' $nativeBuildInputs)/usr/bin HOME=$NIX_BUILD_TOP
              export SOURCE_DATE_EPOCH=1 LC_ALL=C.UTF-8
              umask 022
              eval "$script"
            ''
          ];
          nativeBuildInputs = [ ];
          inherit script;
        }
        // attrs
      );

    writeText =
      name: text:
      pkgs.runCommand name {
        inherit text;
        passAsFile = [ "text" ];
      } ''cp "$textPath" $out'';

    writeShellScriptBin =
      name: text:
      pkgs.runCommand name { inherit name text; } ''
        mkdir -p $out/bin
        printf '#!/bin/bash\n%s' "$text" > $out/bin/$name
        chmod +x $out/bin/$name
      '';

    # Says why there is none, where it is asked for.
    absent =
      name:
      pkgs.runCommand name { } ''
        echo "${name} comes with nixpkgs; on Debian, \`make\` installs what is needed" >&2
        exit 1
      '';
    nixfmt-tree = pkgs.absent "nixfmt";

    stdenv.hostPlatform = {
      inherit system;
      parsed.cpu.name = "x86_64";
    };

    dockerTools = import ./docker.nix pkgs;

    # Mozilla's, as Debian ships them.
    cacert = pkgs.runCommand "cacert" { allowedReferences = [ ]; } ''
      mkdir -p $out/etc/ssl/certs
      cat /usr/share/ca-certificates/mozilla/*.crt > $out/etc/ssl/certs/ca-bundle.crt
    '';

    # Debian 12 has none.
    mdbook =
      let
        craneLib = import ./crane.nix pkgs;
        crate = craneLib.fetchCrate {
          name = "mdbook";
          version = "0.5.4";
          checksum = "5f68ffebcd0b9a4eb72aaacc4342bc94e1d63c01893b7c921437f6ef02443699";
        };
      in
      craneLib.mkCargoDerivation {
        pname = "mdbook";
        src = pkgs.runCommand "mdbook-source" { } ''
          mkdir $out
          tar -xzf ${crate} -C $out --strip-components=1 --no-same-owner
        '';
        RUSTFLAGS = "";
        CARGO_PROFILE_DEV_DEBUG = "none";
        buildPhaseCargoCommand = ''
          cargo build --locked --no-default-features
          install -D target/debug/mdbook $out/bin/mdbook
        '';
      };

    # Debian's, with the libraries it needs beside it.
    redis =
      let
        installed = builtins.split "\nPackage: redis-tools\n([^\n]+\n)*Version: ([0-9]+:)?([0-9.]+)" (
          builtins.readFile "/var/lib/dpkg/status"
        );
        redis = pkgs.runCommand "redis"
            {
              package = hash "redis-tools";
              allowedReferences = [ "out" ];
            }
            ''
          mkdir -p $out/bin $out/lib
          cp /usr/bin/redis-check-rdb $out/bin/redis-server
          cp /usr/bin/redis-cli $out/bin/
          cp --dereference $(ldd $out/bin/* | grep -o '/lib[^ ]*' | sort -u) $out/lib/
          chmod -R u+w $out
          for file in $out/lib/*; do
            case $file in */ld-linux-*) ;; *) patchelf --set-rpath $out/lib $file ;; esac
          done
          patchelf --set-interpreter $out/lib/ld-linux-x86-64.so.2 --set-rpath $out/lib $out/bin/*
        '';
      in
      redis
      // {
        version = builtins.elemAt (builtins.elemAt installed 1) 2;
        override = _: pkgs.redis;
      };

    # A C compiler for static musl programs, and the unwinder they need: LLVM's, which musl's
    # libgcc_eh is no match for (it aborts on the first panic). Debian built it against glibc's
    # fortified headers, so the one function musl lacks is added.
    pkgsStatic = {
      stdenv.cc = {
        targetPrefix = "";
        outPath = (
          pkgs.runCommand "musl-cc" { } ''
            mkdir -p $out/bin $out/lib
            ln -s /usr/bin/musl-gcc $out/bin/cc
            cat > fprintf_chk.c <<'END'
            #include <stdarg.h>
            #include <stdio.h>
            int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
              va_list list;
              va_start(list, format);
              int written = vfprintf(file, format, list);
              va_end(list);
              return written;
            }
            END
            musl-gcc -O2 -c fprintf_chk.c
            cp /usr/lib/llvm-14/lib/libunwind.a $out/lib/libunwind.a
            chmod u+w $out/lib/libunwind.a
            ar rD $out/lib/libunwind.a fprintf_chk.o
            ranlib -D $out/lib/libunwind.a
          ''
        ).outPath;
      };
    };
  };
in
pkgs
