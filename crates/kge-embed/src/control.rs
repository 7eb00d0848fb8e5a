//! How a long run is watched and stopped.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Error, Evaluation, Result};

/// What the caller of a long run holds in hand.
pub struct Control<'a> {
    /// Threads of the numeric work; the result does not depend on it.
    pub threads: usize,
    /// Set it to stop at the next batch.
    pub cancel: &'a AtomicBool,
    /// Called after each batch, on the calling thread.
    pub progress: &'a (dyn Fn(&Progress) + Sync),
}

/// How far a training run is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Batches done in the whole run.
    pub step: u64,
    /// Epochs finished.
    pub epoch: usize,
    /// Epochs there are.
    pub epochs: usize,
    /// Batches of the present epoch done.
    pub batch: usize,
    /// Batches an epoch has.
    pub batches: usize,
    /// What the epoch came to, if this call ends one.
    pub finished_epoch: Option<EpochReport>,
}

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The mean loss of a query, without penalties.
    pub loss: f64,
    /// Wall time of the training part.
    pub seconds: f64,
    /// Training triples a second.
    pub triples_per_second: f64,
    /// Metrics of the validation split, when this epoch ranked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Evaluation>,
}

impl Control<'_> {
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn pool(&self) -> kge_kernels::Pool {
        let threads = std::num::NonZeroUsize::new(self.threads);
        kge_kernels::Pool::new(threads.unwrap_or(std::num::NonZeroUsize::MIN))
    }
}
