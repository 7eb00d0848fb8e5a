//! Tasks, attempts, progress and events: plain data that every store keeps alike.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A task's number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u64);

/// Grows with every claim of any task; only the live one's holder may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

/// The position of an event in its task's stream, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// A worker process, unique for its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Read an uploaded file into a dataset.
    Import,
    /// Crawl a SPARQL endpoint into a dataset.
    Crawl,
    /// Train a model.
    Train,
    /// Build a neighbour index.
    Index,
    /// Build a name index.
    Names,
    /// Search over recipes; its children are `Train` tasks.
    Tune,
    /// Find the best unknown triples.
    Discover,
    /// Write a dataset or model out.
    Export,
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Ready to be claimed.
    Queued,
    /// Waiting for its time: a first start in the future, or a retry's backoff.
    Delayed,
    /// Claimed; its lease is live or about to be reaped.
    Running,
    /// Done, with a result.
    Succeeded,
    /// Done, with an error.
    Failed,
    /// Cancelled before it was done.
    Cancelled,
}

/// A task, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// What it does.
    pub kind: Kind,
    /// The dataset it belongs to.
    pub dataset: Option<u64>,
    /// What its kind needs to know.
    pub payload: serde_json::Value,
    /// Where it is.
    pub state: State,
    /// Higher is claimed first.
    pub priority: i32,
    /// The task that fanned it out.
    pub parent: Option<TaskId>,
    /// What a worker must offer.
    pub needs: Needs,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// The attempts made, oldest first; the last one is live while the task runs.
    pub attempts: Vec<Attempt>,
    /// The last progress reported.
    pub progress: Option<Progress>,
    /// What it came to, if it succeeded.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it may be claimed.
    pub ready_at: Timestamp,
    /// When its first attempt began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

/// One try at a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who tries.
    pub worker: WorkerId,
    /// Its fencing token.
    pub token: FencingToken,
    /// When it was claimed.
    pub started: Timestamp,
    /// When it ended, and how.
    pub end: Option<AttemptEnd>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// When.
    pub at: Timestamp,
    /// In words: `succeeded`, `lease expired`, `handed back`, `cancelled`, or the error.
    pub how: String,
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// A short class: `plugin`, `parameters`, `io`, `lease expired`, `internal`.
    pub kind: String,
    /// What happened, in words a user can act on.
    pub message: String,
    /// Whether another attempt may help.
    pub retryable: bool,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Counts real work (batches, lines); a task whose step stands still is stalled.
    pub step: u64,
    /// Whole units done: epochs when training.
    pub current: Option<u64>,
    /// Whole units there are.
    pub total: Option<u64>,
    /// Parts of the present unit done: batches when training, levels when crawling.
    pub current_steps: Option<u64>,
    /// Parts there are.
    pub total_steps: Option<u64>,
    /// What it is doing, one line.
    pub message: Option<String>,
    /// Figures worth plotting: `loss`, `valid_mrr`, `triples_per_second`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// One entry in a task's event stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its position.
    pub id: EventId,
    /// When it was written.
    pub at: Timestamp,
    /// `state`, `progress` or `log`.
    pub name: String,
    /// Its content.
    pub data: serde_json::Value,
}

/// The generation of tasks: what their payloads mean, and how their results are computed. It grows
/// with a release that changes either, and a worker does only tasks of its own.
pub const ENGINE: u32 = 1;

/// What a task asks of a worker beside its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Words that must all be among a worker's features: `precision:bf16`.
    pub features: Vec<String>,
}

/// Queued tasks that a claimant is not handed because of what they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Their kind.
    pub kind: Kind,
    /// Which of their needs it does not offer.
    pub lacking: Vec<String>,
    /// How many there are.
    pub tasks: u64,
}

/// A worker, as it says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its id.
    pub id: WorkerId,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its release.
    pub version: String,
    /// The kinds it runs.
    pub kinds: Vec<Kind>,
    /// Tasks it runs at once.
    pub slots: u32,
    /// What it offers to [`Needs`].
    pub features: Vec<String>,
    /// What queued tasks of its kinds need, and it does not offer.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// The tasks it holds now.
    #[serde(default)]
    pub tasks: Vec<TaskId>,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

/// Which tasks: all that fit every given part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this state.
    pub state: Option<State>,
    /// Of this dataset.
    pub dataset: Option<u64>,
    /// Made before this time.
    pub before: Option<Timestamp>,
    /// Children of this task.
    pub parent: Option<TaskId>,
}

impl Unmet {
    /// Out of all that wait: those of these kinds that lack any of these features.
    pub(crate) fn of(
        waiting: Vec<(Kind, Needs, u64)>,
        kinds: &[Kind],
        features: &[String],
    ) -> Vec<Self> {
        let mut unmet: Vec<Self> = Vec::new();
        for (kind, needs, tasks) in waiting {
            let mut lacking = needs.lacking(features);
            lacking.sort();
            if lacking.is_empty() || !kinds.contains(&kind) {
                continue;
            }
            match unmet.iter_mut().find(|one| one.kind == kind && one.lacking == lacking) {
                Some(same) => same.tasks += tasks,
                None => unmet.push(Self { kind, lacking, tasks }),
            }
        }
        unmet.sort_by(|a, b| (a.kind.name(), &a.lacking).cmp(&(b.kind.name(), &b.lacking)));
        unmet
    }
}

impl Needs {
    /// What stands before a plugin's hash.
    pub const PLUGIN: &str = "plugin:";

    /// The word for a worker of this engine.
    pub fn engine() -> String {
        format!("engine:{ENGINE}")
    }

    /// The word for a worker that can load the plugin of this hash.
    pub fn plugin(sha256: &str) -> String {
        format!("{}{sha256}", Self::PLUGIN)
    }

    /// What is not among these features.
    pub fn lacking(&self, offered: &[String]) -> Vec<String> {
        self.features.iter().filter(|need| !offered.contains(need)).cloned().collect()
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Import,
        Self::Crawl,
        Self::Train,
        Self::Index,
        Self::Names,
        Self::Tune,
        Self::Discover,
        Self::Export,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Crawl => "crawl",
            Self::Train => "train",
            Self::Index => "index",
            Self::Names => "names",
            Self::Tune => "tune",
            Self::Discover => "discover",
            Self::Export => "export",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Delayed,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing will happen to the task any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(Kind::from_name("tidy"), None);
    }
}
