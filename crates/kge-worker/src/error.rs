//! What ends an attempt: the user's mistake, bad luck, or a request to stop.

use kge_jobs::{Failure, TaskId};

/// Why a task, or the worker itself, could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot work; trying again gives the same.
    #[error("{message}")]
    User {
        /// A short class: `plugin`, `parameters`, `data`.
        kind: &'static str,
        /// What is wrong, in words.
        message: String,
    },
    /// Something around the task failed; another attempt may succeed.
    #[error("{message}")]
    Transient {
        /// A short class: `io`, `internal`.
        kind: &'static str,
        /// What happened, in words.
        message: String,
    },
    /// The task was asked to stop: a cancel, a shutdown or a lost lease.
    #[error("stopped")]
    Stopped,
    /// A task made no step for too long; the process has to end, its thread cannot be.
    #[error("task {task} made no step for {seconds} s")]
    Stalled {
        /// The task.
        task: TaskId,
        /// How long.
        seconds: u64,
    },
    /// The queue cannot be used.
    #[error(transparent)]
    Jobs(#[from] kge_jobs::Error),
}

impl Error {
    pub(crate) fn user(kind: &'static str, message: impl ToString) -> Self {
        Self::User { kind, message: message.to_string() }
    }

    pub(crate) fn transient(kind: &'static str, message: impl ToString) -> Self {
        Self::Transient { kind, message: message.to_string() }
    }

    /// What the queue is told.
    pub(crate) fn failure(&self) -> Failure {
        let (kind, retryable) = match self {
            Self::User { kind, .. } => (*kind, false),
            Self::Transient { kind, .. } => (*kind, true),
            Self::Stalled { .. } => ("stalled", true),
            Self::Stopped | Self::Jobs(_) => ("internal", true),
        };
        Failure { kind: kind.into(), message: self.to_string(), retryable }
    }
}
