//! The worker: claims tasks, does them, publishes what they made.
//!
//! [`run`] holds a few slots; each claims a task from the [`JobStore`](kge_jobs::JobStore) and
//! does it under a lease. There is one file a job kind (`train`, `import`). Numeric work runs on
//! threads of its own and knows no async: it reads a cancel flag and writes its progress into a
//! [`Reporter`](report::Reporter), from which the slot's heartbeats carry it to the queue.
//!
//! Invariants: the server is not known here, both meet in the queue and the artifact store; only
//! one holder's put-if-absent of `model.json` publishes a model, so a worker that lost its lease
//! can do no harm.

#![forbid(unsafe_code)]

mod abilities;
mod attempt;
mod claims;
mod error;
mod import;
mod presence;
mod publish;
mod report;
mod train;

pub use claims::{Config, run};
pub use error::Error;
pub use publish::{Publication, Published, publish};

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
