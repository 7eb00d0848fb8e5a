//! Revisions: graphs as immutable files under their hash.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use kge_graph::{Graph, revision};
use kge_store::layout;

use crate::catalog::blocking;
use crate::nearest::unknown;
use crate::{Catalog, Error, Result};

impl Catalog {
    /// The graph of a sealed revision; what a model was trained on. Checked against its hash, and
    /// shared with whoever else holds it.
    ///
    /// # Errors
    /// If there is no such revision, or it is damaged.
    pub async fn revision(&self, hash: &str) -> Result<Arc<Graph>> {
        if !is_digest(hash) {
            return Err(unknown("revision", hash, []));
        }
        if let Some(graph) = self.held(hash) {
            return Ok(graph);
        }
        let mut files = Vec::with_capacity(revision::FILES.len());
        for file in revision::FILES {
            if let Some(bytes) = self.store.get(&layout::revision_file(hash, file)).await? {
                files.push((file, bytes));
            }
        }
        if files.is_empty() {
            return Err(unknown("revision", hash, []));
        }
        let expected = hash.to_owned();
        let graph = Arc::new(blocking(move || decode(&expected, &files)).await??);
        self.hold(hash, &graph);
        Ok(graph)
    }

    /// Writes a graph's revision, if it is not there yet, and gives its hash. Nobody finds it
    /// before a manifest names it.
    pub(crate) async fn write_revision(&self, graph: &Arc<Graph>) -> Result<String> {
        let encoded = Arc::clone(graph);
        let revision::Encoded { hash, files } =
            blocking(move || revision::encode(&encoded)).await?;
        // The last file is written last: where it stands, all stand.
        let last = files.last().map(|(file, _)| layout::revision_file(&hash, file));
        let there = match last {
            Some(last) => self.store.exists(&last).await?,
            None => false,
        };
        if !there {
            for (file, bytes) in files {
                let object = layout::revision_file(&hash, file);
                self.store.put_if_absent(&object, Bytes::from(bytes)).await?;
            }
        }
        self.hold(&hash, graph);
        Ok(hash)
    }

    fn held(&self, hash: &str) -> Option<Arc<Graph>> {
        let held = self.shared.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(hash)?.upgrade()
    }

    fn hold(&self, hash: &str, graph: &Arc<Graph>) {
        let mut held = self.shared.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, graph| graph.strong_count() > 0);
        held.insert(hash.to_owned(), Arc::downgrade(graph));
    }
}

/// Whether this can be a SHA-256: then it is safe in an object's name.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn decode(hash: &str, files: &[(&'static str, Bytes)]) -> Result<Graph> {
    let damaged = |object, reason| Error::Damaged { object, reason };
    let find =
        |name: &str| files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_ref());
    let in_words = |error| match error {
        kge_graph::Error::Missing { file } => {
            damaged(layout::revision_file(hash, file), "it is missing".into())
        }
        kge_graph::Error::Corrupt { file, reason } => {
            damaged(layout::revision_file(hash, file), reason)
        }
        other => Error::Graph(other),
    };
    let found = revision::hash(find).map_err(in_words)?;
    // What cannot be decoded says more about itself than its hash does.
    let graph = revision::decode(find).map_err(in_words)?;
    if found != hash {
        return Err(damaged(layout::revision(hash), format!("its files have the hash {found}")));
    }
    Ok(graph)
}
