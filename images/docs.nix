# The book and the reference of the crates, as pages.
{ kge, docs, ... }:
{
  title = "kge-server: the documentation";
  contents = [
    kge
    docs
  ];
  crates = true;
  entrypoint = [ "/bin/kge" ];
  command = [
    "docs"
    "/share/doc/kge"
    "--listen"
    "0.0.0.0:6790"
  ];
  port = 6790;
  health = [
    "/bin/kge"
    "health"
    "--server"
    "http://127.0.0.1:6790"
  ];
}
