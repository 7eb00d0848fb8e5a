//! What every handler can reach.

use std::{net::SocketAddr, sync::Arc};

use kge_catalog::Catalog;
use kge_jobs::JobStore;
use tokio_util::sync::CancellationToken;

use crate::{Config, http::Doors, keys::Keys, served::ServedModels};

/// What the server serves from.
#[derive(Clone)]
pub struct Services {
    /// Datasets, models, plugins, algorithms.
    pub catalog: Catalog,
    /// Tasks and workers.
    pub jobs: Arc<dyn JobStore>,
    /// Runs the plugins that questions need.
    pub host: Arc<kge_plugin::Host>,
}

/// Services and settings of a running server.
pub(crate) struct App {
    pub config: Config,
    pub catalog: Catalog,
    pub jobs: Arc<dyn JobStore>,
    pub served: ServedModels,
    /// Runs the plugins that questions need, and those that are added.
    pub host: Arc<kge_plugin::Host>,
    pub doors: Doors,
    /// Asks for keys, where the settings say so.
    pub keys: Option<Keys>,
    /// The path prefix, `/api` or empty.
    pub prefix: String,
    /// Cancelled when the server is told to stop; endless answers end then.
    pub stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(config: Config, services: Services, address: SocketAddr) -> Self {
        let Services { catalog, jobs, host } = services;
        let reached = config.published.unwrap_or(address.ip());
        let doors = Doors {
            origins: config.cors_origins.clone(),
            hosts: config.allowed_hosts.clone(),
            checks_host: reached.is_loopback() || !config.allowed_hosts.is_empty(),
        };
        let served = ServedModels::new(catalog.clone(), Arc::clone(&host), config.served_models);
        let prefix = config.prefix();
        let keys = config.asks_for_keys.then(Keys::default);
        let stopping = CancellationToken::new();
        Self { config, catalog, jobs, served, host, doors, keys, prefix, stopping }
    }
}
