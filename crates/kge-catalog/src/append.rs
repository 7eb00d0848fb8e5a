//! Bringing triples in: small bodies as pending files, large ones as a revision.

use std::sync::Arc;

use bytes::Bytes;
use kge_graph::{Added, Counts, Graph, GraphBuilder, Split};
use kge_store::layout;

use crate::catalog::{ATTEMPTS, blocking, now, to_the_end};
use crate::live::Live;
use crate::normalise::{check_name, normalise_body, normalise_graph};
use crate::pending::Body;
use crate::{Catalog, Dataset, DatasetId, Error, Result};

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

impl Appended {
    fn changes_nothing(self) -> bool {
        self.added + self.moved + self.removed == 0
    }
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
    /// Costs what it brings, and nothing when it changes nothing.
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
        let named = additions.iter().map(|(_, h, r, t)| [h, r, t]);
        for name in named.chain(removals.iter().map(|(h, r, t)| [h, r, t])).flatten() {
            check_name(name)?;
        }
        let catalog = self.clone();
        let body = Body { additions, removals };
        to_the_end(async move { catalog.append_body(id, body).await }).await
    }

    /// The hash of a revision that holds everything appended so far, and its graph. Makes one if
    /// need be.
    ///
    /// # Errors
    /// If there is no such dataset, or its objects cannot be read or written.
    pub async fn seal(&self, id: DatasetId) -> Result<(String, Arc<Graph>)> {
        let catalog = self.clone();
        to_the_end(async move { catalog.seal_pending(id).await }).await
    }

    /// The graph with everything appended so far; shared with whoever else asks.
    ///
    /// # Errors
    /// If there is no such dataset, or its objects cannot be read.
    pub async fn graph(&self, id: DatasetId) -> Result<Arc<Graph>> {
        let mut place = self.shared.live.place(id).lock_owned().await;
        self.sync(id, &mut place).await?;
        self.merged(&mut place).await
    }

    /// Brings the builder's triples into a dataset by publishing a revision: all of it or
    /// nothing. What the dataset holds already stays.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub async fn import(&self, id: DatasetId, builder: GraphBuilder) -> Result<Imported> {
        let catalog = self.clone();
        to_the_end(async move { catalog.import_builder(id, builder).await }).await
    }

    async fn append_body(&self, id: DatasetId, body: Body) -> Result<Appended> {
        let mut place = self.shared.live.place(id).lock_owned().await;
        let dataset_type = self.sync(id, &mut place).await?.dataset_type;
        let body = Arc::new(blocking(move || normalise_body(dataset_type, body)).await?);
        if body.is_empty() {
            return Ok(Appended::default());
        }
        let mut written = None;
        for _ in 0..ATTEMPTS {
            self.sync(id, &mut place).await?;
            // While the place is empty, a failure makes the next caller read the store again.
            let Some(mut live) = place.take() else { continue };
            let applied = Arc::clone(&body);
            let (live, appended, bytes) = blocking(move || {
                let appended =
                    live.overlay.apply(&live.base, &applied.additions, &applied.removals);
                let bytes = applied.encode(live.overlay.counts);
                (live, appended, bytes)
            })
            .await?;
            if appended.changes_nothing() {
                *place = Some(live);
                return Ok(written.unwrap_or(appended));
            }
            let number = live.through + 1;
            let object = layout::pending_file(id.0, number);
            if !self.store.put_if_absent(&object, Bytes::from(bytes?)).await? {
                continue;
            }
            // If another process sealed this number meanwhile, our file came too late or was
            // just in time: the graph will tell.
            if self.manifest(id).await?.pending >= number {
                written = Some(appended);
                continue;
            }
            *place = Some(Live { through: number, ..live });
            return Ok(appended);
        }
        Err(Error::Contended { what: layout::pending(id.0) })
    }

    async fn seal_pending(&self, id: DatasetId) -> Result<(String, Arc<Graph>)> {
        let mut place = self.shared.live.place(id).lock_owned().await;
        for _ in 0..ATTEMPTS {
            let dataset = self.sync(id, &mut place).await?;
            let graph = self.merged(&mut place).await?;
            match dataset.revision {
                Some(hash) if dataset.through == dataset.pending => return Ok((hash, graph)),
                _ => {}
            }
            let hash = self.write_revision(&graph).await?;
            if self.point(&dataset, &hash, graph.counts()).await? {
                *place = Some(Live::new(Arc::clone(&graph), Some(hash.clone()), dataset.through));
                return Ok((hash, graph));
            }
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    async fn import_builder(&self, id: DatasetId, builder: GraphBuilder) -> Result<Imported> {
        let dataset_type = self.manifest(id).await?.dataset_type;
        let imported = blocking(move || {
            let graph = normalise_graph(dataset_type, builder.build());
            graph.entities().iter().chain(graph.relations().iter()).try_for_each(check_name)?;
            Ok::<_, Error>(Arc::new(graph))
        })
        .await??;
        let mut place = self.shared.live.place(id).lock_owned().await;
        for _ in 0..ATTEMPTS {
            let dataset = self.sync(id, &mut place).await?;
            let base = self.merged(&mut place).await?;
            let new = Arc::clone(&imported);
            let (graph, counted) = blocking(move || union(&base, &new)).await?;
            let Appended { added, duplicate, moved, .. } = counted;
            if let Some(revision) = &dataset.revision
                && !dataset.has_pending()
                && counted.changes_nothing()
            {
                return Ok(Imported { added, duplicate, moved, revision: revision.clone() });
            }
            let hash = self.write_revision(&graph).await?;
            if self.point(&dataset, &hash, graph.counts()).await? {
                *place = Some(Live::new(graph, Some(hash.clone()), dataset.through));
                return Ok(Imported { added, duplicate, moved, revision: hash });
            }
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    /// Lets the manifest name a revision that holds what `seen` does; false if somebody else
    /// sealed or imported meanwhile. Pending files that came after `seen` stay pending.
    async fn point(&self, seen: &Dataset, hash: &str, counts: Counts) -> Result<bool> {
        let id = seen.id;
        for _ in 0..ATTEMPTS {
            let mut dataset = self.manifest(id).await?;
            if (&dataset.revision, dataset.pending) != (&seen.revision, seen.pending) {
                return Ok(false);
            }
            dataset.revision = Some(hash.to_owned());
            dataset.pending = seen.through;
            dataset.counts = counts;
            dataset.updated = now();
            if self.write_manifest(dataset.version + 1, dataset, None).await? {
                self.remove_sealed(id, seen.through).await;
                return Ok(true);
            }
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    /// Pending files that a revision holds are of no use; one that stays harms nobody.
    async fn remove_sealed(&self, id: DatasetId, through: u64) {
        let listed = self.store.list(&layout::pending(id.0)).await.unwrap_or_default();
        for object in listed {
            if layout::id_of(&object).is_some_and(|number| number <= through)
                && let Err(error) = self.store.delete(&object).await
            {
                tracing::warn!(%object, %error, "a sealed file is left behind");
            }
        }
    }
}

/// Both graphs as one, and what the second brought.
fn union(base: &Arc<Graph>, new: &Arc<Graph>) -> (Arc<Graph>, Appended) {
    let mut counted = Appended::default();
    if base.is_empty() {
        counted.added = new.len() as u64;
        return (Arc::clone(new), counted);
    }
    let mut builder = GraphBuilder::from_graph(base);
    for (split, triple) in new.iter() {
        *match builder.add(split, new.statement(triple)) {
            Added::New => &mut counted.added,
            Added::Duplicate => &mut counted.duplicate,
            Added::Moved => &mut counted.moved,
        } += 1;
    }
    if counted.changes_nothing() {
        return (Arc::clone(base), counted);
    }
    (Arc::new(builder.build()), counted)
}

#[cfg(test)]
mod tests;
