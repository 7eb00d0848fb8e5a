//! What every job store has to show, as a list of checks.
//!
//! Each check takes two handles to one fresh store, as a server and a worker have them; they may
//! be the same handle. [`run`] goes through [`CHECKS`] and returns those that failed.
//!
//! Times are real: leases that must run out are a few milliseconds long, all others long enough
//! for a busy machine.

mod checks;

use std::{fmt, sync::Arc};

use crate::{BoxFuture, JobStore};

pub use checks::CHECKS;

/// Two handles to one store.
#[derive(Clone)]
pub struct Handles {
    /// Where tasks are made and looked at.
    pub server: Arc<dyn JobStore>,
    /// Where tasks are claimed and reported on.
    pub worker: Arc<dyn JobStore>,
}

impl Handles {
    /// One handle for both.
    pub fn same(store: impl JobStore + 'static) -> Self {
        let server: Arc<dyn JobStore> = Arc::new(store);
        Self { worker: server.clone(), server }
    }
}

/// How a check went: an error says what was seen instead of the expected.
pub type Verdict = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One behaviour.
pub struct Check {
    /// The behaviour, in words with underscores.
    pub name: &'static str,
    /// Tries it on a fresh store.
    pub run: fn(Handles) -> BoxFuture<'static, Verdict>,
}

/// A check that did not pass.
#[derive(Debug)]
pub struct Failed {
    /// The behaviour.
    pub check: &'static str,
    /// What was seen.
    pub reason: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.reason)
    }
}

/// Runs every check on a fresh store of its own; an empty list means that all passed.
pub async fn run(make: impl AsyncFn() -> Handles) -> Vec<Failed> {
    let mut failed = Vec::new();
    for check in CHECKS {
        if let Err(reason) = (check.run)(make().await).await {
            failed.push(Failed { check: check.name, reason: reason.to_string() });
        }
    }
    failed
}
