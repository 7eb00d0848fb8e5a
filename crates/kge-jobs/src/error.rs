//! What can go wrong in the queue.

use crate::{State, TaskId};

/// One error for every job store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such task.
    #[error("there is no task {0}")]
    UnknownTask(TaskId),
    /// The caller's token is not the live one.
    #[error("task {0} is no longer held by this worker")]
    LeaseLost(TaskId),
    /// The task's state does not allow it.
    #[error("task {task} is {state}: {reason}")]
    State {
        /// The task.
        task: TaskId,
        /// Its state.
        state: State,
        /// Why that is in the way.
        reason: &'static str,
    },
    /// The store cannot be reached or used.
    #[error("job store {location}: {reason}")]
    Unavailable {
        /// Where it is: a path or a URL without secrets.
        location: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The store is there, but will not serve as it is addressed; waiting does not help.
    #[error("job store {location}: {reason}")]
    Refused {
        /// Where it is: a URL without secrets.
        location: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The store was written by a newer release.
    #[error(
        "job store {location} has version {found}, this release reads up to {supported}: \
         use a newer release, or another state directory"
    )]
    Version {
        /// Where it is.
        location: String,
        /// Its version.
        found: u32,
        /// The newest this release knows.
        supported: u32,
    },
}

impl Error {
    /// Whether the store, not the request, is at fault: asked again later, it may answer.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }
}
