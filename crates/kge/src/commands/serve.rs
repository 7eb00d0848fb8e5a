//! `kge serve`: the REST API, with a supervised worker beside.

use std::time::Duration;

use kge_catalog::Catalog;
use serde_json::json;

use super::{Failure, Result, key, worker::on_signal};
use crate::{
    cli::{self, AskForKeys},
    open,
    settings::{self, Settings},
    supervise,
};

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
    settings.server.published = args.published.or(settings.server.published);
    settings.server.keys = args.keys.unwrap_or(settings.server.keys);
    if let Some(file) = &args.initial_key_file {
        key::enter_initial(&catalog, file).await?;
    }
    let server = &settings.server;
    let config = kge_server::Config {
        listen: server.listen,
        published: server.published,
        path_prefix: Some(server.path_prefix.clone()).filter(|prefix| !prefix.is_empty()),
        cors_origins: server.cors_origins.clone(),
        allowed_hosts: server.allowed_hosts.clone(),
        asks_for_keys: asks_for_keys(server, &catalog).await?,
        body_limit: server.body_limit,
        upload_limit: server.upload_limit,
        keep_tasks: (server.keep_tasks > 0)
            .then(|| Duration::from_secs(server.keep_tasks.saturating_mul(86_400))),
        request_timeout: Duration::from_secs(server.request_timeout.max(1)),
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

/// Whether requests must show a key. A server that others can reach never opens by default.
async fn asks_for_keys(server: &settings::Server, catalog: &Catalog) -> Result<bool> {
    let listen = server.listen;
    let reached = server.published.unwrap_or(listen.ip());
    match server.keys {
        AskForKeys::Off => Ok(false),
        AskForKeys::Auto if reached.is_loopback() => Ok(false),
        AskForKeys::Auto | AskForKeys::Required if catalog.keys().await?.is_empty() => {
            Err(Failure::usage(format!(
                "{listen} is open to other machines, and there is no key: make one (kge key create --name me \
                 --scopes admin), or give a file with the first one (--initial-key-file), or let \
                 everybody in who can reach it (--keys off)"
            )))
        }
        AskForKeys::Auto | AskForKeys::Required => Ok(true),
    }
}
