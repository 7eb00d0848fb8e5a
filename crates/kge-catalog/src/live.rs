//! Datasets whose graphs are in memory, and how they keep up with what others write.
//!
//! A [`Live`] is keyed by (revision, pending file): the base graph, and an overlay of the files
//! after it. Its lock also makes this process's writers of one dataset wait for each other, so
//! they race only with other processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kge_graph::Graph;
use kge_store::layout;

use crate::catalog::{ATTEMPTS, blocking};
use crate::overlay::Overlay;
use crate::pending::Body;
use crate::{Catalog, Dataset, DatasetId, Error, Result};

/// Datasets kept in memory; the one unused for longest goes first.
const KEPT: usize = 32;

/// A dataset as it was at one pending file.
pub(crate) struct Live {
    pub(crate) base: Arc<Graph>,
    pub(crate) overlay: Overlay,
    /// The revision that the manifest named, and the last pending file in it.
    pub(crate) revision: Option<String>,
    pub(crate) sealed: u64,
    /// The last pending file that base or overlay hold.
    pub(crate) through: u64,
}

impl Live {
    pub(crate) fn new(base: Arc<Graph>, revision: Option<String>, sealed: u64) -> Self {
        let overlay = Overlay::new(&base);
        Self { base, overlay, revision, sealed, through: sealed }
    }
}

/// One dataset's place: empty until somebody needs the graph, or after a failure.
pub(crate) type Place = Arc<tokio::sync::Mutex<Option<Live>>>;

#[derive(Default)]
pub(crate) struct LiveCache {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    by_dataset: HashMap<DatasetId, (Place, u64)>,
    uses: u64,
}

impl LiveCache {
    pub(crate) fn place(&self, id: DatasetId) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.uses += 1;
        let now = places.uses;
        let (place, used) = places.by_dataset.entry(id).or_default();
        *used = now;
        let place = Arc::clone(place);
        if places.by_dataset.len() > KEPT {
            let idle =
                |(_, (place, _)): &(&DatasetId, &(Place, u64))| Arc::strong_count(place) == 1;
            let oldest = places.by_dataset.iter().filter(idle).min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                places.by_dataset.remove(&oldest);
            }
        }
        place
    }

    pub(crate) fn forget(&self, id: DatasetId) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.by_dataset.remove(&id);
    }
}

impl Catalog {
    /// Brings a place up to what the store holds, and says what that is.
    pub(crate) async fn sync(&self, id: DatasetId, place: &mut Option<Live>) -> Result<Dataset> {
        'again: for _ in 0..ATTEMPTS {
            let dataset = self.snapshot(id).await?;
            let mut live = match place.take() {
                Some(live)
                    if live.revision == dataset.revision
                        && live.sealed == dataset.pending
                        && live.through <= dataset.through =>
                {
                    live
                }
                _ => {
                    let base = match &dataset.revision {
                        Some(hash) => self.revision(hash).await?,
                        None => Arc::default(),
                    };
                    Live::new(base, dataset.revision.clone(), dataset.pending)
                }
            };
            while live.through < dataset.through {
                let object = layout::pending_file(id.0, live.through + 1);
                let Some(bytes) = self.store.get(&object).await? else {
                    // Sealed and removed meanwhile.
                    continue 'again;
                };
                live = blocking(move || {
                    let body = Body::decode(&object, &bytes)?;
                    live.overlay.apply(&live.base, &body.additions, &body.removals);
                    live.through += 1;
                    Ok::<_, Error>(live)
                })
                .await??;
            }
            *place = Some(live);
            return Ok(dataset);
        }
        Err(Error::Contended { what: layout::pending(id.0) })
    }

    /// The graph of a place with its overlay merged, which then is its base.
    pub(crate) async fn merged(&self, place: &mut Option<Live>) -> Result<Arc<Graph>> {
        let Some(mut live) = place.take() else {
            return Err(Error::Internal("a graph was asked for before it was read".into()));
        };
        if !live.overlay.is_empty() {
            live = blocking(move || {
                live.base = Arc::new(live.overlay.merge(&live.base));
                live.overlay = Overlay::new(&live.base);
                live
            })
            .await?;
        }
        Ok(Arc::clone(&place.insert(live).base))
    }

    /// A dataset's manifest (with its sealed counts) and the last pending file, as they were at
    /// one moment.
    pub(crate) async fn snapshot(&self, id: DatasetId) -> Result<Dataset> {
        let mut before = self.manifest(id).await?;
        for _ in 0..ATTEMPTS {
            let mut numbers: Vec<_> = self
                .store
                .list(&layout::pending(id.0))
                .await?
                .iter()
                .filter_map(|object| layout::id_of(object))
                .filter(|&number| number > before.pending)
                .collect();
            numbers.sort_unstable();
            // A listing may see a file and miss an older one that was being made.
            let whole = numbers.iter().zip(before.pending + 1..).take_while(|(n, m)| **n == *m);
            let through = before.pending + whole.count() as u64;
            // Sealing removes files: what is missing may be in the revision by now.
            let mut after = self.manifest(id).await?;
            if (&after.revision, after.pending) == (&before.revision, before.pending) {
                after.through = through;
                return Ok(after);
            }
            before = after;
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }
}
