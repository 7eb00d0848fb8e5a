# The queue. It forgets nothing that it acknowledged: every write goes to the append-only file
# within a second, and a full memory refuses new tasks instead of dropping old ones.
{ redis, ... }:
{
  title = "kge-server: Redis";
  contents = [ redis ];
  programs = [
    {
      name = "redis";
      inherit (redis) version;
    }
  ];
  entrypoint = [ "/bin/redis-server" ];
  command = [
    "--dir"
    "/data"
    "--appendonly"
    "yes"
    "--maxmemory-policy"
    "noeviction"
    # It has no password: only containers on its network reach it.
    "--protected-mode"
    "no"
  ];
  port = 6379;
  # The others wait for it.
  interval = 1;
  health = [
    "/bin/redis-cli"
    "ping"
  ];
}
