//! Being seen: who this worker is, what it holds, and taking back what the dead left.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kge_jobs::{TaskId, WorkerId, WorkerInfo};

use crate::{Error, Result, claims::Context};

const EVERY: Duration = Duration::from_secs(5);

/// The tasks in this worker's hands.
#[derive(Default)]
pub(crate) struct Held(Mutex<Vec<TaskId>>);

impl Held {
    pub(crate) fn add(&self, task: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    pub(crate) fn remove(&self, task: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|&held| held != task);
    }

    fn list(&self) -> Vec<TaskId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A number nobody else takes: the standard library seeds each `RandomState` afresh.
pub(crate) fn nonce() -> u64 {
    RandomState::new().hash_one(Timestamp::now().as_nanosecond())
}

/// Host, process and a random part, so that a reused process id is another worker.
pub(crate) fn worker_id() -> WorkerId {
    WorkerId(format!("{}-{}-{:08x}", host_name(), std::process::id(), nonce() as u32))
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

pub(crate) async fn register(context: &Context) -> Result<()> {
    let info = WorkerInfo {
        id: context.worker.clone(),
        host: host_name(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        kinds: context.config.kinds.clone(),
        slots: context.config.concurrency as u32,
        features: context.abilities.offers(),
        lacks: context.abilities.lacks(),
        tasks: context.held.list(),
        last_seen: Timestamp::now(),
    };
    Ok(context.jobs.register_worker(info).await?)
}

/// Registers for the first time; a queue that is away is waited for.
pub(crate) async fn enter(context: &Context) -> Result<()> {
    let mut pause = Duration::from_millis(100);
    while let Err(error) = register(context).await {
        let is_away = matches!(error, Error::Jobs(kge_jobs::Error::Unavailable { .. }));
        if !is_away {
            return Err(error);
        }
        tracing::warn!(%error, "could not register");
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(EVERY);
    }
    Ok(())
}

/// Registers and reaps every few seconds, for ever.
pub(crate) async fn keep(context: std::sync::Arc<Context>) {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        interval.tick().await;
        if let Err(error) = register(&context).await {
            tracing::warn!(%error, "could not register");
        }
        match context.jobs.reap().await {
            Ok(tasks) if tasks.is_empty() => {}
            Ok(tasks) => tracing::info!(?tasks, "took back expired leases"),
            Err(error) => tracing::warn!(%error, "could not take back expired leases"),
        }
    }
}
