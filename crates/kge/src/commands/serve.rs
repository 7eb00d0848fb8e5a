//! `kge serve`: the REST API, with a supervised worker beside.

use serde_json::json;

use super::{Result, worker::on_signal};
use crate::{cli, open, settings::Settings, supervise};

pub(super) async fn serve(mut settings: Settings, args: cli::Serve, json: bool) -> Result {
    settings.server.listen = args.listen.unwrap_or(settings.server.listen);
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.is_empty()).collect();
    if let Some(origins) = args.cors_origins {
        settings.server.cors_origins = named(origins);
    }
    if let Some(hosts) = args.allowed_hosts {
        settings.server.allowed_hosts = named(hosts);
    }
    settings.server.path_prefix = args.path_prefix.unwrap_or(settings.server.path_prefix);
    settings.worker.lease = args.lease.unwrap_or(settings.worker.lease);
    // What can be wrong is said before the port opens.
    let catalog = open::catalog(&settings)?;
    let jobs = open::jobs(&settings)?;
    open::check_jobs(&*jobs).await?;
    let host = open::host(&settings)?;
    let server = &settings.server;
    let config = kge_server::Config {
        listen: server.listen,
        path_prefix: Some(server.path_prefix.clone()).filter(|prefix| !prefix.is_empty()),
        cors_origins: server.cors_origins.clone(),
        allowed_hosts: server.allowed_hosts.clone(),
        state: settings.state.clone(),
        ..kge_server::Config::default()
    };
    let listener = kge_server::bind(&config).await?;
    let address = listener.address();
    open::enter_plugins(&settings, &catalog, &host).await?;

    let shutdown = on_signal()?;
    let supervisor = (!args.no_worker)
        .then(|| tokio::spawn(supervise::supervise(settings.clone(), shutdown.clone())));
    if json {
        println!("{}", json!({ "address": format!("http://{address}"), "port": address.port() }));
    } else {
        println!("listening on http://{address}, reference at http://{address}/docs");
    }
    let services = kge_server::Services { catalog, jobs, host };
    let stop = shutdown.clone();
    kge_server::serve(listener, config, services, async move { stop.cancelled().await }).await?;
    shutdown.cancel();
    if let Some(supervisor) = supervisor {
        supervisor.await?;
    }
    Ok(())
}
