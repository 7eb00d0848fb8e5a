//! Those in this process who wait for work or for a task's news, and how they are woken.
//!
//! What wakes them is the stores' own affair: a commit here, a datagram or a message from another
//! process. Each wake-up is a hint that may come late or twice, so a waiter looks again.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{Instant, timeout_at},
};

use crate::TaskId;

/// What waiters of a task's news hear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rung {
    Task(TaskId),
    /// Any task may have changed.
    Everything,
}

/// Everybody who waits in this process.
pub(crate) struct Waiters {
    /// Counts the times that work may have appeared.
    work: watch::Sender<u64>,
    tasks: broadcast::Sender<Rung>,
    /// How often work had appeared when a claim last came back empty.
    searched: AtomicU64,
}

/// Hears of tasks from now on.
pub(crate) struct Ear(broadcast::Receiver<Rung>);

impl Waiters {
    pub(crate) fn new() -> Self {
        let (work, _) = watch::channel(0);
        let (tasks, _) = broadcast::channel(1024);
        Self { work, tasks, searched: AtomicU64::new(0) }
    }

    /// A task may be ready.
    pub(crate) fn work_appeared(&self) {
        self.work.send_modify(|count| *count += 1);
    }

    /// A task has something new to tell.
    pub(crate) fn ring(&self, task: TaskId) {
        // Nobody waiting is no error.
        let _ = self.tasks.send(Rung::Task(task));
    }

    /// Anything may have happened.
    pub(crate) fn ring_everything(&self) {
        self.work_appeared();
        let _ = self.tasks.send(Rung::Everything);
    }

    pub(crate) fn ear(&self) -> Ear {
        Ear(self.tasks.subscribe())
    }

    /// How often work has appeared so far; to be asked before a claim.
    pub(crate) fn appeared(&self) -> u64 {
        *self.work.borrow()
    }

    /// A claim came back empty that was made after work had appeared so often.
    pub(crate) fn found_nothing(&self, appeared: u64) {
        self.searched.fetch_max(appeared, Ordering::AcqRel);
    }

    /// When work appears; `None` if some has since the last empty claim.
    pub(crate) fn next_work(&self) -> Option<watch::Receiver<u64>> {
        let mut work = self.work.subscribe();
        let appeared = *work.borrow_and_update();
        (self.searched.fetch_max(appeared, Ordering::AcqRel) >= appeared).then_some(work)
    }
}

impl Ear {
    /// Waits until the task, or everything, is rung; `false` if the deadline comes first.
    pub(crate) async fn hears(&mut self, task: TaskId, deadline: Instant) -> bool {
        loop {
            match timeout_at(deadline, self.0.recv()).await {
                Ok(Ok(Rung::Task(other))) if other != task => {}
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => return true,
                Ok(Err(RecvError::Closed)) | Err(_) => return false,
            }
        }
    }
}

/// So far from now; a wait without end is a year.
pub(crate) fn deadline(patience: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(365 * 86400);
    Instant::now() + patience.min(LONGEST)
}
