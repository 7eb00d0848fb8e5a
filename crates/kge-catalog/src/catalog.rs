//! The catalogue itself, and what its parts share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use kge_graph::Graph;
use kge_store::Store;

use crate::live::LiveCache;
use crate::{Error, Result};

/// How often a lost race is run again. Every loss is somebody else's progress, so this many mean
/// that something is wrong.
pub(crate) const ATTEMPTS: u32 = 1000;

/// Everything the artifact store holds. Cloning shares the store and the graphs in memory.
#[derive(Clone)]
pub struct Catalog {
    pub(crate) store: Store,
    pub(crate) shared: Arc<Shared>,
}

/// What clones of a catalogue share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Datasets whose graphs are in memory.
    pub(crate) live: LiveCache,
    /// Revisions that somebody still holds.
    pub(crate) revisions: Mutex<HashMap<String, Weak<Graph>>>,
    /// One dataset at a time is made in this process: no ids are wasted.
    pub(crate) creating: tokio::sync::Mutex<()>,
}

impl Catalog {
    /// The catalogue of a store.
    pub fn new(store: Store) -> Self {
        Self { store, shared: Arc::default() }
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalog({})", self.store.location())
    }
}

/// Runs what takes long on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

/// Runs what must not stop halfway when its caller goes away.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|error| Error::Internal(error.to_string()))?
}

/// Now, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
