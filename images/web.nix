# The server. Tasks are done by image-worker; the two meet in the data volume and in Redis.
{ kge, plugins, ... }:
{
  title = "kge-server: the REST API";
  contents = [
    kge
    plugins
  ];
  crates = true;
  entrypoint = [ "/bin/kge" ];
  command = [
    "serve"
    "--no-worker"
  ];
  environment = {
    KGE_DATA = "/data";
    KGE_PLUGINS = "/share/kge/plugins";
    KGE_LISTEN = "0.0.0.0:6789";
  };
  port = 6789;
  health = [
    "/bin/kge"
    "health"
  ];
}
