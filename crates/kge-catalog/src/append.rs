//! Bringing triples in: small bodies as pending files, large ones as a revision.

use std::sync::Arc;

use kge_graph::{Graph, GraphBuilder, Split};

use crate::{Catalog, DatasetId, Result};

/// Split, head, relation, tail.
pub type Addition = (Split, String, String, String);
/// Head, relation, tail.
pub type Removal = (String, String, String);

/// What an append changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Triples that were new.
    pub added: u64,
    /// Triples that were there, in this or a stronger split.
    pub duplicate: u64,
    /// Triples that were in a weaker split and moved (test over valid over train).
    pub moved: u64,
    /// Triples that were taken out.
    pub removed: u64,
}

/// What an import changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Triples that were new.
    pub added: u64,
    /// Triples that were there, in this or a stronger split; repetitions inside the import are
    /// the builder's to count.
    pub duplicate: u64,
    /// Triples that moved to a stronger split.
    pub moved: u64,
    /// The hash of the new revision.
    pub revision: String,
}

impl Catalog {
    /// Takes triples out, then brings triples in; durable when it returns, with exact counts.
    /// Costs what it brings.
    ///
    /// # Errors
    /// If there is no such dataset, or a name is empty or longer than 2,048 bytes; then nothing
    /// was changed.
    pub async fn append(
        &self,
        id: DatasetId,
        additions: Vec<Addition>,
        removals: Vec<Removal>,
    ) -> Result<Appended> {
        let _ = (id, additions, removals);
        todo!()
    }

    /// The hash of a revision that holds everything appended so far, and its graph. Makes one if
    /// need be.
    ///
    /// # Errors
    /// If there is no such dataset, or its objects cannot be read or written.
    pub async fn seal(&self, id: DatasetId) -> Result<(String, Arc<Graph>)> {
        let _ = id;
        todo!()
    }

    /// The graph with everything appended so far; shared with whoever else asks.
    ///
    /// # Errors
    /// If there is no such dataset, or its objects cannot be read.
    pub async fn graph(&self, id: DatasetId) -> Result<Arc<Graph>> {
        let _ = id;
        todo!()
    }

    /// Brings the builder's triples into a dataset by publishing a revision: all of it or
    /// nothing. What the dataset holds already stays.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub async fn import(&self, id: DatasetId, builder: GraphBuilder) -> Result<Imported> {
        let _ = (id, builder);
        todo!()
    }
}
