//! The slots: claim, do, claim again, until told to stop.

use std::{sync::Arc, time::Duration};

use kge_catalog::Catalog;
use kge_jobs::{Claimant, JobStore, Kind, WorkerId};
use kge_plugin::Host;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Result,
    abilities::{self, Abilities},
    attempt, presence,
};

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kinds of task it claims.
    pub kinds: Vec<Kind>,
    /// Tasks at once.
    pub concurrency: usize,
    /// Numeric threads a task.
    pub threads: usize,
    /// How long a lease runs without a sign of life.
    pub lease: Duration,
    /// How often a sign of life is given when there is no progress to report.
    pub heartbeat: Duration,
    /// How long a task's step may stand still before the worker ends itself.
    pub stall_after: Duration,
    /// How often progress is sent at most.
    pub tick: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kinds: Self::KINDS.to_vec(),
            concurrency: 1,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            stall_after: Duration::from_secs(600),
            tick: Duration::from_millis(500),
        }
    }
}

impl Config {
    /// The kinds this release can do.
    pub const KINDS: [Kind; 2] = [Kind::Import, Kind::Train];
}

/// What every slot shares.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) worker: WorkerId,
    pub(crate) catalog: Catalog,
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) host: Arc<Host>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) held: presence::Held,
    pub(crate) abilities: Abilities,
}

/// Works until `shutdown`: then claims no more, stops its tasks at their next batch, hands them
/// back and returns, within ten seconds.
///
/// # Errors
/// If the queue refuses this worker at the start (one that is away is waited for), or a task hangs
/// so that the process has to end.
pub async fn run(
    config: Config,
    catalog: Catalog,
    jobs: Arc<dyn JobStore>,
    host: Arc<Host>,
    shutdown: CancellationToken,
) -> Result<()> {
    let context = Arc::new(Context {
        worker: presence::worker_id(),
        config,
        catalog,
        jobs,
        host,
        shutdown: shutdown.clone(),
        held: presence::Held::default(),
        abilities: Abilities::default(),
    });
    presence::enter(&context).await?;
    tracing::info!(worker = %context.worker, kinds = ?context.config.kinds, "worker is ready");

    let presence = tokio::spawn(presence::keep(context.clone()));
    let mut slots = JoinSet::new();
    for _ in 0..context.config.concurrency.max(1) {
        slots.spawn(slot(context.clone()));
    }
    let mut outcome = Ok(());
    while let Some(ended) = slots.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(Error::transient("internal", panic)));
        if let Err(error) = ended {
            shutdown.cancel();
            outcome = outcome.and(Err(error));
        }
    }
    presence.abort();
    if let Err(error) = context.jobs.remove_worker(context.worker.clone()).await {
        tracing::warn!(%error, "could not sign off");
    }
    outcome
}

async fn slot(context: Arc<Context>) -> Result<()> {
    let shutdown = &context.shutdown;
    let mut nonce = presence::nonce();
    let mut patience = Duration::from_millis(100);
    while !shutdown.is_cancelled() {
        let claimant = Claimant {
            worker: context.worker.clone(),
            kinds: context.config.kinds.clone(),
            features: context.abilities.offers(),
            nonce,
            lease: context.config.lease,
        };
        match context.jobs.claim(claimant).await {
            Ok(Some(claim)) => {
                nonce = presence::nonce();
                patience = Duration::from_millis(100);
                let task = claim.task.id;
                context.held.add(task);
                let ended = attempt::attempt(&context, claim).await;
                context.held.remove(task);
                if let Err(error @ Error::Stalled { .. }) = ended {
                    return Err(error);
                }
            }
            Ok(None) => {
                match abilities::learn(&context).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "could not ask what is out of reach"),
                }
                let wait = context.jobs.wait_for_work(Duration::from_secs(5));
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = wait => {}
                }
            }
            // The same nonce asks again, should the claim have been made and its answer lost.
            Err(error) => {
                tracing::warn!(%error, "could not claim");
                patience = (patience * 2).min(Duration::from_secs(10));
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(patience) => {}
                }
            }
        }
    }
    Ok(())
}
