//! What this worker offers to tasks' needs, and what it lacks for some that wait.
//!
//! A plugin is offered once a task has asked for it and the catalogue has it: so a worker whose
//! data directory is another one's leaves the task to those who can do it, and says so.

use std::sync::{Mutex, PoisonError};

use kge_jobs::{Needs, Unmet};

use crate::{Result, claims::Context};

pub(crate) struct Abilities(Mutex<Known>);

struct Known {
    offers: Vec<String>,
    unmet: Vec<Unmet>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self(Mutex::new(Known { offers: vec![Needs::engine()], unmet: Vec::new() }))
    }
}

impl Abilities {
    pub(crate) fn offers(&self) -> Vec<String> {
        self.with(|known| known.offers.clone())
    }

    /// What waiting tasks need and this worker does not offer, each once.
    pub(crate) fn lacks(&self) -> Vec<String> {
        self.with(|known| {
            let mut lacks: Vec<_> =
                known.unmet.iter().flat_map(|unmet| unmet.lacking.clone()).collect();
            lacks.sort();
            lacks.dedup();
            lacks
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// After a claim that came back empty: looks for what waiting tasks need; `true` if some of it is
/// there, so that a claim is worth another try. What is not, is said when it changes.
pub(crate) async fn learn(context: &Context) -> Result<bool> {
    let abilities = &context.abilities;
    let ask = || context.jobs.unmet(context.config.kinds.clone(), abilities.offers());
    let mut unmet = ask().await?;
    let mut has_learnt = false;
    for need in unmet.iter().flat_map(|unmet| &unmet.lacking) {
        let Some(sha256) = need.strip_prefix(Needs::PLUGIN) else { continue };
        let is_new = !abilities.offers().contains(need);
        if is_new && context.catalog.plugin(sha256).await.is_ok() {
            abilities.with(|known| known.offers.push(need.clone()));
            has_learnt = true;
        }
    }
    if has_learnt {
        unmet = ask().await?;
    }
    let before = abilities.with(|known| std::mem::replace(&mut known.unmet, unmet.clone()));
    for Unmet { kind, lacking, tasks } in unmet {
        if !before.iter().any(|old| old.kind == kind && old.lacking == lacking) {
            let lacking = lacking.join(", ");
            tracing::warn!(
                %kind, tasks, lacking,
                "tasks wait that this worker cannot do: another release, or another plugin"
            );
        }
    }
    Ok(has_learnt)
}
