# A worker: trains, imports, indexes. It listens nowhere; it is well while it reaches the queue.
{ kge, plugins, ... }:
{
  title = "kge-server: a worker";
  contents = [
    kge
    plugins
  ];
  crates = true;
  entrypoint = [ "/bin/kge" ];
  command = [ "worker" ];
  environment = {
    KGE_DATA = "/data";
    KGE_PLUGINS = "/share/kge/plugins";
  };
  health = [
    "/bin/kge"
    "worker"
    "--status"
  ];
}
