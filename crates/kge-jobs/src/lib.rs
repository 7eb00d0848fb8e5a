//! The queue: tasks, leases and fencing tokens, behind one contract.
//!
//! [`JobStore`] is the contract; [`SqliteJobs`] keeps it in one file for processes of one host,
//! [`RedisJobs`] in a Redis that many hosts share.
//! A worker [claims](JobStore::claim) a task and holds it by a lease with a fencing token that
//! only grows; whatever it reports later is accepted only from the live token. [`conformance`]
//! is the list of behaviours that every store has to show.

#![forbid(unsafe_code)]

mod backoff;
pub mod conformance;
mod contract;
mod error;
mod redis;
mod sqlite;
mod task;
mod waiters;

pub use backoff::{RETRY_BASE, RETRY_CAP, retry_ceiling, retry_delay};
pub use contract::{BoxFuture, Claim, Claimant, Heartbeat, HeartbeatAnswer, JobStore, NewTask};
pub use error::Error;
pub use redis::RedisJobs;
pub use sqlite::SqliteJobs;
pub use task::{
    Attempt, AttemptEnd, ENGINE, Event, EventId, Failure, FencingToken, Filter, Kind, Needs,
    Progress, State, Task, TaskId, Unmet, WorkerId, WorkerInfo,
};

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
