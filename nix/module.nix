# services.kge-server: the server, its workers, and Redis if it is wanted on this machine.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.kge-server;
  inherit (lib) mkOption types;
  inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) kge plugins;
  toml = pkgs.formats.toml { };

  # Checked when the system is built: what the service would refuse is not installed.
  configFile = pkgs.runCommand "kge.toml" { } ''
    cp ${toml.generate "kge.toml" cfg.settings} $out
    ${cfg.package}/bin/kge config --check $out
  '';

  # `kge` for administrators: as the service's user, with its settings.
  command = pkgs.writeShellScriptBin "kge" ''
    as=()
    if [ "$(id -un)" != kgeserver ]; then as=(/run/wrappers/bin/sudo -u kgeserver -g users); fi
    cd ${cfg.dataDir}
    exec "''${as[@]}" ${cfg.package}/bin/kge --config ${configFile} "$@"
  '';

  secrets = lib.filterAttrs (_: file: file != null) cfg.secrets;

  unit = settings: {
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ] ++ lib.optional cfg.redis.createLocally "redis-kge.service";
    requires = lib.optional cfg.redis.createLocally "redis-kge.service";
    # systemd hands each secret to the service alone, as a file that nobody else can read.
    environment = lib.mapAttrs (name: _: "%d/${name}") secrets;
    inherit (settings) description;
    serviceConfig = {
      ExecStart = "${cfg.package}/bin/kge --config ${configFile} ${settings.command}";
      LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") secrets;
      User = "kgeserver";
      Group = "users";
      SupplementaryGroups = lib.optional cfg.redis.createLocally "redis-kge";
      Restart = "always";
      RestartSec = 2;
      TimeoutStopSec = settings.stop;
      ReadWritePaths = [ cfg.dataDir ];
      WorkingDirectory = cfg.dataDir;
      UMask = if cfg.settings.group_writable or false then "0002" else "0022";

      # Models are compiled to machine code while the service runs: memory that was written must
      # become executable. Everything else is denied.
      MemoryDenyWriteExecute = false;
      CapabilityBoundingSet = "";
      LockPersonality = true;
      NoNewPrivileges = true;
      PrivateDevices = true;
      PrivateTmp = true;
      PrivateUsers = true;
      ProcSubset = "pid";
      ProtectClock = true;
      ProtectControlGroups = true;
      ProtectHome = true;
      ProtectHostname = true;
      ProtectKernelLogs = true;
      ProtectKernelModules = true;
      ProtectKernelTunables = true;
      ProtectProc = "invisible";
      ProtectSystem = "strict";
      RemoveIPC = true;
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      SystemCallArchitectures = "native";
      SystemCallFilter = [
        "@system-service"
        "~@privileged"
      ];
    }
    // settings.limits or { };
  };
in
{
  options.services.kge-server = {
    enable = lib.mkEnableOption "kge-server, knowledge-graph embeddings as a service";

    package = mkOption {
      type = types.package;
      default = kge;
      description = "The command and server.";
    };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = {
        server.listen = "0.0.0.0:6789";
        server.allowed_hosts = [ "kge.example.org" ];
        worker.lease = 60;
      };
      description = "What `kge config` prints: every setting, checked when the system is built.";
    };

    dataDir = mkOption {
      type = types.path;
      default = "/var/lib/kge-server";
      description = "Where datasets and models lie.";
    };

    workers = mkOption {
      type = types.ints.unsigned;
      default = 1;
      description = "Workers on this machine; with more than one, or none, Redis keeps the tasks best.";
    };

    workerMemory = mkOption {
      type = types.str;
      default = "infinity";
      example = "8G";
      description = "What a worker may use at most, as systemd's MemoryMax.";
    };

    redis.createLocally = mkOption {
      type = types.bool;
      default = false;
      description = "Keep tasks in a Redis of its own on this machine, behind a socket.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Let others reach the server's port.";
    };

    secrets = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        KGE_JOBS_FILE = "/run/keys/kge-redis-url";
      };
      description = "Files with secrets, by the variable that names them; never in the Nix store.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.mapAttrsToList (name: file: {
      assertion = !lib.hasPrefix builtins.storeDir file;
      message = "services.kge-server.secrets.${name}: ${file} lies in the Nix store, where everybody can read it; name a file outside, as a string";
    }) secrets;

    services.kge-server.settings = {
      data = lib.mkDefault cfg.dataDir;
      plugins = lib.mkDefault "${plugins}/share/kge/plugins";
      jobs = lib.mkIf cfg.redis.createLocally (
        lib.mkDefault "redis+unix://${config.services.redis.servers.kge.unixSocket}"
      );
    };

    systemd.services = {
      kge-server = unit {
        description = "kge-server: the REST API";
        command = "serve --no-worker";
        stop = 15;
      };
    }
    // lib.listToAttrs (
      map (
        n:
        lib.nameValuePair "kge-worker-${toString n}" (unit {
          description = "kge-server: worker ${toString n}";
          command = "worker";
          # Enough to hand its task back.
          stop = 30;
          # The API answers first.
          limits = {
            CPUWeight = 20;
            MemoryMax = cfg.workerMemory;
          };
        })
      ) (lib.range 1 cfg.workers)
    );

    systemd.tmpfiles.rules = [ "d ${cfg.dataDir} 0750 kgeserver users -" ];

    services.redis.servers.kge = lib.mkIf cfg.redis.createLocally {
      enable = true;
      port = 0;
      appendOnly = true;
      settings.maxmemory-policy = "noeviction";
    };

    # The same as in the images, so that a volume of theirs can be taken over.
    users.users.kgeserver = {
      isSystemUser = true;
      uid = 1001;
      group = "users";
      home = cfg.dataDir;
    };

    environment.systemPackages = [ command ];

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [
      (lib.toInt (lib.last (lib.splitString ":" (cfg.settings.server.listen or "127.0.0.1:6789"))))
    ];
  };
}
