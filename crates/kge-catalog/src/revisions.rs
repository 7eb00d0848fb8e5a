//! Revisions: graphs as immutable files under their hash.

use std::sync::Arc;

use kge_graph::Graph;

use crate::{Catalog, Result};

impl Catalog {
    /// The graph of a sealed revision; what a model was trained on. Shared with whoever else
    /// holds it.
    ///
    /// # Errors
    /// If there is no such revision, or it is damaged.
    pub async fn revision(&self, hash: &str) -> Result<Arc<Graph>> {
        let _ = hash;
        todo!()
    }
}
