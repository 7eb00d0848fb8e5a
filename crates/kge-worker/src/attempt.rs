//! One attempt at a task: the job on one side, its lease on the other.

use std::{pin::pin, sync::Arc, time::Duration};

use kge_jobs::{Claim, Failure, FencingToken, Heartbeat, HeartbeatAnswer, Kind, TaskId};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{Error, Result, claims::Context, import, report::Reporter, train};

/// How long a job may take to notice that it should stop, when the process is to end.
const GRACE: Duration = Duration::from_secs(8);

/// How long one wait for a cancel lasts before it is asked anew.
const PATIENCE: Duration = Duration::from_secs(30);
/// How soon a heartbeat that failed is tried again.
const AFTER_OUTAGE: Duration = Duration::from_secs(2);
/// The pauses between two tellings to a queue that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a job was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Cancelled,
    LeaseLost,
    Shutdown,
}

/// Does the task and tells the queue how it ended.
pub(crate) async fn attempt(context: &Arc<Context>, claim: Claim) -> Result<()> {
    let (task, token) = (claim.task.id, claim.token);
    let reporter = Arc::new(Reporter::new());
    tracing::info!(%task, kind = ?claim.task.kind, attempt = claim.task.attempts.len(), "task begins");
    let (outcome, reason) = hold(context, &claim, &reporter).await;
    let ending = match (&outcome, reason) {
        (_, Some(Reason::LeaseLost)) => {
            tracing::warn!(%task, "lease lost; nothing was published");
            return Ok(());
        }
        (Ok(result), _) => {
            tracing::info!(%task, "task is done");
            Ending::Done(result.clone())
        }
        (Err(Error::Stopped), Some(Reason::Shutdown)) => {
            tracing::info!(%task, "task is handed back");
            Ending::HandedBack
        }
        (Err(Error::Stopped), _) => {
            tracing::info!(%task, "task is cancelled");
            Ending::Cancelled
        }
        (Err(error), _) => {
            tracing::warn!(%task, %error, "attempt failed");
            Ending::Failed(error.failure())
        }
    };
    if let Err(error) = tell(context, task, token, &ending).await {
        tracing::warn!(%task, %error, "the queue did not take how the task ended");
    }
    outcome.map(drop)
}

/// How an attempt ended.
enum Ending {
    Done(serde_json::Value),
    HandedBack,
    Cancelled,
    Failed(Failure),
}

/// Tells the queue how an attempt ended, until it has heard or the process is to end: what was
/// done must not be done again because of a short outage.
async fn tell(
    context: &Context,
    task: TaskId,
    token: FencingToken,
    ending: &Ending,
) -> Result<(), kge_jobs::Error> {
    let jobs = &context.jobs;
    let mut pause = FIRST_PAUSE;
    let mut told_before = false;
    loop {
        let answer = match ending {
            Ending::Done(result) => jobs.complete(task, token, result.clone()).await,
            Ending::HandedBack => jobs.hand_back(task, token).await,
            Ending::Cancelled => jobs.acknowledge_cancel(task, token).await,
            Ending::Failed(failure) => jobs.fail(task, token, failure.clone()).await,
        };
        match answer {
            Err(error) if error.is_outage() && !context.shutdown.is_cancelled() => {
                tracing::warn!(%task, %error, "could not tell how the task ended");
            }
            // Only the answer to an earlier telling may have been lost.
            Err(kge_jobs::Error::LeaseLost(_)) if told_before => {
                let attempts = jobs.task(task).await?.attempts;
                let own = attempts.into_iter().find(|attempt| attempt.token == token);
                let heard =
                    own.and_then(|own| own.end).is_some_and(|end| end.how != "lease expired");
                return if heard { Ok(()) } else { Err(kge_jobs::Error::LeaseLost(task)) };
            }
            answer => return answer.map(drop),
        }
        told_before = true;
        tokio::select! {
            () = context.shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs the job while keeping its lease.
async fn hold(
    context: &Arc<Context>,
    claim: &Claim,
    reporter: &Arc<Reporter>,
) -> (Result<serde_json::Value>, Option<Reason>) {
    let config = &context.config;
    let mut reason = None;
    let mut job = pin!(perform(context, claim, reporter));
    let mut told = pin!(told_to_stop(context, claim));
    let mut stop_told = false;
    let mut tick = tokio::time::interval(config.tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beaten = Instant::now();
    let mut deadline = None;
    loop {
        tokio::select! {
            biased;
            outcome = &mut job => return (outcome, reason),
            () = context.shutdown.cancelled(), if deadline.is_none() => {
                deadline = Some(Instant::now() + GRACE);
                reason = reason.or(Some(Reason::Shutdown));
                reporter.stop();
                continue;
            }
            // A heartbeat's answer says why.
            () = &mut told, if !stop_told => stop_told = true,
            () = reporter.milestone_reached() => {}
            _ = tick.tick() => {}
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            tracing::warn!(task = %claim.task.id, "task did not stop in time");
            return (Err(Error::Stopped), reason);
        }
        if reporter.still_for() > config.stall_after {
            let seconds = config.stall_after.as_secs();
            return (Err(Error::Stalled { task: claim.task.id, seconds }), reason);
        }
        let progress = reporter.take();
        let unexplained = stop_told && reason.is_none();
        if progress.is_none() && !unexplained && beaten.elapsed() < config.heartbeat {
            continue;
        }
        let beat =
            Heartbeat { task: claim.task.id, token: claim.token, lease: config.lease, progress };
        match context.jobs.heartbeat(beat).await {
            Ok(HeartbeatAnswer::Extended(_)) => beaten = Instant::now(),
            Ok(HeartbeatAnswer::CancelRequested(_)) => {
                reason = reason.or(Some(Reason::Cancelled));
                reporter.stop();
            }
            Ok(HeartbeatAnswer::LeaseLost) | Err(kge_jobs::Error::LeaseLost(_)) => {
                reason = Some(Reason::LeaseLost);
                reporter.stop();
            }
            // The lease outlives a short outage; a long one ends it, and the reaper speaks.
            Err(error) => {
                tracing::warn!(task = %claim.task.id, %error, "no heartbeat");
                tick.reset_after(AFTER_OUTAGE);
            }
        }
    }
}

/// Returns once the queue says that the job should stop.
async fn told_to_stop(context: &Context, claim: &Claim) {
    let jobs = &context.jobs;
    loop {
        match jobs.wait_for_cancel(claim.task.id, claim.token, PATIENCE).await {
            Ok(true) => return,
            Ok(false) => {}
            // Heartbeats ask the same, more slowly.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn perform(
    context: &Arc<Context>,
    claim: &Claim,
    reporter: &Arc<Reporter>,
) -> Result<serde_json::Value> {
    match claim.task.kind {
        Kind::Train => train::train(context, claim, reporter).await,
        Kind::Import => import::import(context, claim, reporter).await,
        other => Err(Error::user("parameters", format!("this release cannot do {other:?} tasks"))),
    }
}

/// Runs numeric work on a thread of its own, never on tokio's.
///
/// If the waiting future is dropped, the thread goes on until it sees its cancel flag.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let outcome = outcome.unwrap_or_else(|panic| {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Error::transient("internal", format!("panicked: {}", words.unwrap_or("?"))))
            });
            // Nobody waits any more: the attempt was given up.
            let _ = sender.send(outcome);
        })
        .map_err(|error| Error::transient("internal", format!("no thread: {error}")))?;
    let outcome =
        receiver.await.unwrap_or_else(|_| Err(Error::transient("internal", "thread ended")));
    drop(thread);
    outcome
}
