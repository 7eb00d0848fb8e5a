//! Tasks and workers.

use std::collections::BTreeMap;

use kge_jobs::{Kind, State, Task};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What answers 202 with a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": 202, "message": "Task 7 created successfully", "task": {"id": 7}, "model": 3
}))]
pub(crate) struct Accepted {
    /// 202.
    pub status: u16,
    /// In words; the number of the task stands in it.
    pub message: String,
    /// The task.
    pub task: TaskId,
    /// The model that will come of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<u64>,
}

/// A task's number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskId {
    /// From 1.
    pub id: u64,
}

/// A task, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskEnvelope {
    /// The task.
    pub task: TaskView,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task, example = json!({
    "id": 7, "state": "STARTED", "kind": "train", "dataset": 1,
    "progress": {"current": 3, "total": 50, "current_steps": 12, "total_steps": 40},
    "attempts": 1, "created": "2026-11-24T10:00:00Z"
}))]
pub(crate) struct TaskView {
    /// Its number.
    pub id: u64,
    /// `PENDING`, `STARTED`, `RETRY`, `SUCCESS`, `FAILURE` or `REVOKED`.
    pub state: &'static str,
    /// What it does.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The dataset it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dataset: Option<u64>,
    /// How far it is; absent before the first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub progress: Option<ProgressView>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ErrorView>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<Value>,
    /// Only with `get_debug_info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub debug: Option<DebugView>,
    /// Attempts made.
    pub attempts: usize,
    /// The worker of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<String>,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// When its first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub started: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub finished: Option<String>,
}

/// How far a task is. Training counts epochs in `current` and `total`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgressView {
    /// Whole units done.
    pub current: u64,
    /// Whole units there are.
    pub total: u64,
    /// Parts of the present unit done; null when there are none.
    pub current_steps: Option<u64>,
    /// Parts there are; null when there are none.
    pub total_steps: Option<u64>,
    /// What it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// Figures worth plotting.
    pub metrics: BTreeMap<String, f64>,
}

/// Why a task failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorView {
    /// In words.
    pub exception: String,
    /// The attempts, one a line.
    pub traceback: String,
    /// A short class.
    pub kind: String,
}

/// What the old service told about its queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DebugView {
    /// The task.
    pub id: u64,
    /// The task again, as text.
    pub celery_uuid: String,
    /// Always null: tasks have no successors.
    pub next: Option<Value>,
}

/// What POST …/train takes; all of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"algorithm": "complex", "seed": 7, "promote": false}))]
pub(crate) struct TrainAsked {
    /// A stored algorithm's number, a preset's name, or a whole algorithm.
    #[serde(default)]
    #[schema(value_type = Option<super::algorithm::AlgorithmChoice>)]
    pub algorithm: Option<Value>,
    /// Another seed than the algorithm's.
    pub seed: Option<u64>,
    /// Another number of epochs than the algorithm's.
    pub epochs: Option<usize>,
    /// The revision to train on; what the dataset holds now, if left out.
    pub revision: Option<String>,
    /// Whether the model shall answer once it is there; the default is yes.
    pub promote: Option<bool>,
    /// Whether the test split is ranked at the end; the default is yes.
    pub evaluate: Option<bool>,
}

/// A worker, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkerEnvelope {
    /// The worker.
    pub worker: WorkerView,
}

/// A worker process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct WorkerView {
    /// Its id, unique for its life.
    pub id: String,
    /// The host it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Its release.
    pub version: String,
    /// The kinds of task it runs.
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Kind>,
    /// Tasks it runs at once.
    pub slots: u32,
    /// What it offers.
    pub features: Vec<String>,
    /// What queued tasks of its kinds need, and it does not offer.
    pub lacks: Vec<String>,
    /// The tasks it holds now.
    pub tasks: Vec<u64>,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    pub last_seen: String,
}

impl TaskView {
    /// A task as clients see it.
    pub(crate) fn new(task: &Task, debug: bool) -> Self {
        let id = task.id.0;
        Self {
            id,
            state: match task.state {
                State::Queued => "PENDING",
                State::Delayed if task.attempts.is_empty() => "PENDING",
                State::Delayed => "RETRY",
                State::Running => "STARTED",
                State::Succeeded => "SUCCESS",
                State::Failed => "FAILURE",
                State::Cancelled => "REVOKED",
            },
            kind: task.kind,
            dataset: task.dataset,
            progress: task.progress.as_ref().map(|progress| ProgressView {
                current: progress.current.unwrap_or(0),
                total: progress.total.unwrap_or(0),
                current_steps: progress.current_steps,
                total_steps: progress.total_steps,
                message: progress.message.clone(),
                metrics: progress.metrics.clone(),
            }),
            error: task.error.as_ref().map(|failure| ErrorView {
                exception: failure.message.clone(),
                traceback: history(task),
                kind: failure.kind.clone(),
            }),
            result: task.result.clone(),
            debug: debug.then(|| DebugView { id, celery_uuid: id.to_string(), next: None }),
            attempts: task.attempts.len(),
            worker: task.attempts.last().map(|attempt| attempt.worker.to_string()),
            cancel_requested: task.cancel_requested,
            created: task.created.to_string(),
            started: task.started.map(|at| at.to_string()),
            finished: task.finished.map(|at| at.to_string()),
        }
    }
}

/// The attempts of a task, one a line.
fn history(task: &Task) -> String {
    let lines = task.attempts.iter().zip(1..).map(|(attempt, number)| {
        let end = attempt.end.as_ref().map_or("still running", |end| &end.how);
        format!("attempt {number} by {} from {}: {end}", attempt.worker, attempt.started)
    });
    lines.collect::<Vec<_>>().join("\n")
}
