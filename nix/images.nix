# Docker archives of the descriptions in ../images, each with its bill of materials. They hold
# what the description names, CA certificates, /etc/passwd and /etc/group, and an empty data
# volume; each program is a layer of its own, which the images share.
{
  pkgs,
  packages,
  version,
  revision,
}:
let
  inherit (pkgs) lib;
  uid = "1001";
  gid = "100";
  seconds = n: n * 1000 * 1000 * 1000;

  users = pkgs.runCommand "users" { allowedReferences = [ ]; } ''
    mkdir -p $out/etc
    echo 'kgeserver:x:${uid}:${gid}:kge-server:/data:/sbin/nologin' > $out/etc/passwd
    echo 'users:x:${gid}:' > $out/etc/group
  '';

  descriptions = lib.genAttrs [ "web" "worker" "redis" "docs" ] (
    name: import (../images + "/${name}.nix") packages
  );

  image =
    name: description:
    pkgs.dockerTools.buildLayeredImage {
      name = "kge-${name}";
      tag = version;
      contents = description.contents ++ [
        pkgs.cacert
        users
      ];
      # Of any UID: a fresh named volume takes owner and mode from here.
      fakeRootCommands = ''
        mkdir data
        chown ${uid}:${gid} data
        chmod 1777 data
      '';
      config = {
        User = "${uid}:${gid}";
        WorkingDir = "/data";
        Volumes."/data" = { };
        Entrypoint = description.entrypoint;
        Cmd = description.command;
        Env = lib.mapAttrsToList (key: value: "${key}=${value}") (
          {
            PATH = "/bin";
            SSL_CERT_FILE = "/etc/ssl/certs/ca-bundle.crt";
          }
          // description.environment or { }
        );
        StopSignal = "SIGTERM";
        Healthcheck = {
          Test = [ "CMD" ] ++ description.health;
          Interval = seconds (description.interval or 5);
          Timeout = seconds 6;
          StartPeriod = seconds 20;
          Retries = 3;
        };
        Labels = {
          "org.opencontainers.image.title" = description.title;
          "org.opencontainers.image.version" = version;
          "org.opencontainers.image.revision" = revision;
          "org.opencontainers.image.licenses" = "Apache-2.0 OR MIT";
        };
      }
      // lib.optionalAttrs (description ? port) {
        ExposedPorts."${toString description.port}/tcp" = { };
      };
    };

  sbom =
    name: description:
    pkgs.writeText "kge-${name}.cdx.json" (
      import ./sbom.nix {
        inherit lib version;
        name = "kge-${name}";
        programs = description.programs or [ ];
        withCrates = description.crates or false;
      }
    );

  named = kind: f: lib.mapAttrs' (name: value: lib.nameValuePair "${kind}-${name}" (f name value));
  images = named "image" image descriptions;
  sboms = named "sbom" sbom descriptions;
in
images
// sboms
// {
  # All of them in one folder, beside their bills of materials and sums.
  images = pkgs.runCommand "images" { } ''
    mkdir $out
    cd $out
    ${lib.concatStrings (
      lib.mapAttrsToList (name: _: ''
        ln -s ${images."image-${name}"} kge-${name}.tar.gz
        ln -s ${sboms."sbom-${name}"} kge-${name}.cdx.json
      '') descriptions
    )}
    sha256sum * > SHA256SUMS
  '';
}
