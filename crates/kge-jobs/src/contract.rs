//! The contract that every job store keeps.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

use crate::{
    Event, EventId, Failure, FencingToken, Filter, Kind, Needs, Progress, Result, Task, TaskId,
    Unmet, WorkerId, WorkerInfo,
};

/// A boxed future, so that a store can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a task is made from.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What it does.
    pub kind: Kind,
    /// The dataset it belongs to.
    pub dataset: Option<u64>,
    /// What its kind needs to know.
    pub payload: serde_json::Value,
    /// Higher is claimed first; 0 is usual.
    pub priority: i32,
    /// How long to wait before it may be claimed.
    pub delay: Duration,
    /// Attempts allowed; 3 is usual.
    pub max_attempts: u32,
    /// The task that fans it out.
    pub parent: Option<TaskId>,
    /// What a worker must offer.
    pub needs: Needs,
}

impl NewTask {
    /// A task with the usual priority, attempts and no delay.
    pub fn new(kind: Kind, dataset: Option<u64>, payload: serde_json::Value) -> Self {
        Self {
            kind,
            dataset,
            payload,
            priority: 0,
            delay: Duration::ZERO,
            max_attempts: 3,
            parent: None,
            needs: Needs::default(),
        }
    }
}

/// Who claims, and what it can run.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The worker.
    pub worker: WorkerId,
    /// The kinds it runs.
    pub kinds: Vec<Kind>,
    /// What it offers to a task's needs.
    pub features: Vec<String>,
    /// Fresh for each new claim; the same one again asks for a lost reply.
    pub nonce: u64,
    /// How long the lease runs.
    pub lease: Duration,
}

/// A task in somebody's hands.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The task, running, this attempt included.
    pub task: Task,
    /// Proves that the holder still holds it.
    pub token: FencingToken,
    /// When the lease ends unless a heartbeat extends it.
    pub lease_expiry: Timestamp,
}

/// A sign of life.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The task.
    pub task: TaskId,
    /// The holder's token.
    pub token: FencingToken,
    /// How much longer the lease runs from now.
    pub lease: Duration,
    /// How far the task is; `None` leaves what was reported last.
    pub progress: Option<Progress>,
}

/// What a heartbeat hears back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAnswer {
    /// The lease is extended to this time.
    Extended(Timestamp),
    /// The lease is extended, but somebody asked the task to stop.
    CancelRequested(Timestamp),
    /// Another holder has it, or it ended: stop, and publish nothing.
    LeaseLost,
}

/// One queue of tasks, shared by servers and workers.
///
/// All methods may be called from any process of the deployment at any time. Whatever a method
/// says it did is durable when it returns.
pub trait JobStore: Send + Sync {
    /// Adds a task, queued or delayed, and wakes a worker.
    fn enqueue(&self, task: NewTask) -> BoxFuture<'_, Result<Task>>;

    /// Takes the highest-priority oldest ready task that the claimant can run, if there is one.
    ///
    /// A delayed task whose time has come is ready. An expired lease is taken back first, as by
    /// [`reap`](Self::reap). A nonce seen before from the same worker gives the same claim again
    /// while it is live.
    fn claim(&self, claimant: Claimant) -> BoxFuture<'_, Result<Option<Claim>>>;

    /// What keeps a worker that runs these kinds and offers these features from queued tasks,
    /// grouped by what it lacks.
    fn unmet(&self, kinds: Vec<Kind>, features: Vec<String>) -> BoxFuture<'_, Result<Vec<Unmet>>>;

    /// Returns when a task may have become ready, or after `patience`.
    fn wait_for_work(&self, patience: Duration) -> BoxFuture<'_, Result<()>>;

    /// Extends the lease and stores progress (also as a `progress` event, if given).
    fn heartbeat(&self, beat: Heartbeat) -> BoxFuture<'_, Result<HeartbeatAnswer>>;

    /// Ends the task with a result.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) unless the token is live.
    fn complete(
        &self,
        task: TaskId,
        token: FencingToken,
        result: serde_json::Value,
    ) -> BoxFuture<'_, Result<Task>>;

    /// Ends the attempt with an error: delays a retry (exponential backoff, full jitter), or
    /// fails the task if the error is not retryable or no attempt is left.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) unless the token is live.
    fn fail(
        &self,
        task: TaskId,
        token: FencingToken,
        failure: Failure,
    ) -> BoxFuture<'_, Result<Task>>;

    /// Ends the attempt because the holder noticed the request to cancel.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) unless the token is live.
    fn acknowledge_cancel(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>>;

    /// Gives a task back unfinished (shutdown): queued at once, the attempt not counted.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) unless the token is live.
    fn hand_back(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>>;

    /// Adds a line to the task's event stream.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) unless the token is live.
    fn log(
        &self,
        task: TaskId,
        token: FencingToken,
        name: String,
        data: serde_json::Value,
    ) -> BoxFuture<'_, Result<EventId>>;

    /// Cancels: a waiting task at once, a running one by telling its holder; its children alike.
    ///
    /// A running task may still succeed if it is done before it notices. If its attempt ends in
    /// any other way, the task is cancelled and not tried again.
    ///
    /// # Errors
    /// If there is no such task, or it has ended.
    fn cancel(&self, task: TaskId) -> BoxFuture<'_, Result<Task>>;

    /// Returns `true` as soon as the holder should stop (somebody asked to cancel, or the lease
    /// is lost), `false` after `patience`.
    fn wait_for_cancel(
        &self,
        task: TaskId,
        token: FencingToken,
        patience: Duration,
    ) -> BoxFuture<'_, Result<bool>>;

    /// Takes back expired leases: queued for the next attempt, or failed when none is left.
    /// Returns the tasks it touched.
    fn reap(&self) -> BoxFuture<'_, Result<Vec<TaskId>>>;

    /// One task.
    ///
    /// # Errors
    /// If there is no such task.
    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Task>>;

    /// Tasks that fit, newest first, `limit` at most, below `before` if given.
    fn tasks(
        &self,
        filter: Filter,
        before: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>>>;

    /// Removes a task that has ended, and its events.
    ///
    /// # Errors
    /// If there is no such task, or it has not ended.
    fn remove(&self, id: TaskId) -> BoxFuture<'_, Result<()>>;

    /// Events of a task after `after`, oldest first, `limit` at most.
    fn events(
        &self,
        task: TaskId,
        after: EventId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>>>;

    /// Returns when the task has an event after `after`, or after `patience`.
    fn wait_for_event(
        &self,
        task: TaskId,
        after: EventId,
        patience: Duration,
    ) -> BoxFuture<'_, Result<()>>;

    /// A worker says that it is there.
    fn register_worker(&self, worker: WorkerInfo) -> BoxFuture<'_, Result<()>>;

    /// A worker leaves.
    fn remove_worker(&self, worker: WorkerId) -> BoxFuture<'_, Result<()>>;

    /// Workers heard of within the last minute.
    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerInfo>>>;

    /// Stops (or resumes) handing out tasks of a kind.
    fn pause(&self, kind: Kind, paused: bool) -> BoxFuture<'_, Result<()>>;

    /// The kinds that are not handed out now.
    fn paused(&self) -> BoxFuture<'_, Result<Vec<Kind>>>;

    /// Removes ended tasks that ended before this time; returns how many.
    fn forget_ended(&self, before: Timestamp) -> BoxFuture<'_, Result<u64>>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// Why it does not, in words.
    fn ping(&self) -> BoxFuture<'_, Result<()>>;
}
