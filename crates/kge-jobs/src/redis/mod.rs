//! The queue in a Redis, shared by the processes of many hosts.
//!
//! Every transition is one script ([`scripts`]; `scripts/prelude.lua` lists the keys), so each is
//! one step and each answer tells what is kept. [`address`] reads where the Redis is, [`link`]
//! keeps the connection, [`wake`] hears what others changed, [`fault`] puts errors into words.

mod address;
mod fault;
mod link;
mod replies;
mod scripts;
mod server_info;
mod wake;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use self::{
    address::Address,
    link::{AbortOnDrop, Link},
    replies::{Reply, millis},
    wake::SLOW_POLL,
};
use crate::{
    BoxFuture, Claim, Claimant, Error, Event, EventId, Failure, FencingToken, Filter, Heartbeat,
    HeartbeatAnswer, JobStore, Kind, NewTask, RETRY_BASE, RETRY_CAP, Result, Task, TaskId, Unmet,
    WorkerId, WorkerInfo,
    backoff::retry_share,
    waiters::{Waiters, deadline},
};

/// A worker not heard of for so long is gone.
const WORKER_SILENCE: Duration = Duration::from_secs(60);
/// Tasks that one script call looks at, or removes: it holds everybody else up.
const PAGE: usize = 200;
/// Above every position and count that scripts can work with exactly.
const LARGEST: u64 = 1 << 50;

/// The job store that many hosts share.
pub struct RedisJobs {
    link: Arc<Link>,
    waiters: Arc<Waiters>,
    /// Keep the two connections; they end with the handle.
    _tasks: [AbortOnDrop<()>; 2],
}

impl RedisJobs {
    /// A handle to the store at this address: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`,
    /// `rediss://…?ca=FILE&cert=FILE&key=FILE` or `redis+unix:///PATH?db=N`; `?prefix=NAME` keeps
    /// several stores apart.
    ///
    /// Connects in the background and again whenever the connection is lost; until it stands,
    /// every call answers why it does not.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no such address, or a file it names cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(address: &str) -> Result<Self> {
        let address = Address::parse(address)?;
        let unusable = |fault| fault::in_words(&fault, &address.location);
        let client = address.builder().build().map_err(unusable)?;
        let ears = address.builder().build_subscriber_client().map_err(unusable)?;
        let channel = format!("{}:wake", address.name);
        let link = Arc::new(Link::new(client, address.name, address.location));
        let waiters = Arc::new(Waiters::new());
        let tasks = [
            AbortOnDrop(tokio::spawn(link.clone().keep())),
            AbortOnDrop(tokio::spawn(wake::listen(ears, channel, waiters.clone()))),
        ];
        Ok(Self { link, waiters, _tasks: tasks })
    }

    /// Ends the attempt of the token's holder; `value` is its result or error.
    async fn end(
        &self,
        task: TaskId,
        token: FencingToken,
        outcome: &str,
        how: &str,
        value: Option<Value>,
    ) -> Result<Task> {
        let args = vec![
            token.0.to_string(),
            outcome.to_owned(),
            how.to_owned(),
            value.map(|value| value.to_string()).unwrap_or_default(),
            millis(RETRY_BASE),
            millis(RETRY_CAP),
            retry_share().to_string(),
        ];
        let reply = self.link.ask_about(task, &self.link.scripts.end, args).await?;
        self.one_task(reply)
    }

    fn one_task(&self, mut reply: Reply) -> Result<Task> {
        self.link.read(reply.next().and_then(replies::task))
    }

    /// Whether the token's holder may go on, and the position of the task's last event.
    async fn glance(&self, task: TaskId, token: FencingToken) -> Result<(bool, u64)> {
        let args = vec![token.0.to_string()];
        let mut reply = self.link.ask_about(task, &self.link.scripts.glance, args).await?;
        let may_go_on = self.link.read(reply.flag())?;
        Ok((may_go_on, self.link.read(reply.number())?.unsigned_abs()))
    }
}

/// When to look again at the latest.
fn next_look(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + SLOW_POLL)
}

fn or_empty(part: Option<impl ToString>) -> String {
    part.map(|part| part.to_string()).unwrap_or_default()
}

impl JobStore for RedisJobs {
    fn enqueue(&self, task: NewTask) -> BoxFuture<'_, Result<Task>> {
        Box::pin(async move {
            let features = &task.needs.features;
            let args = vec![
                task.kind.to_string(),
                task.priority.to_string(),
                task.max_attempts.max(1).to_string(),
                millis(task.delay),
                task.payload.to_string(),
                or_empty(task.dataset),
                or_empty(task.parent),
                or_empty((!features.is_empty()).then(|| json!(features))),
            ];
            let reply = self.link.ask(&self.link.scripts.enqueue, args).await?;
            self.one_task(reply)
        })
    }

    fn claim(&self, claimant: Claimant) -> BoxFuture<'_, Result<Option<Claim>>> {
        Box::pin(async move {
            let appeared = self.waiters.appeared();
            let args = vec![
                claimant.worker.0,
                json!(claimant.kinds).to_string(),
                json!(claimant.features).to_string(),
                claimant.nonce.to_string(),
                millis(claimant.lease),
            ];
            let reply = self.link.ask(&self.link.scripts.claim, args).await?;
            if reply.is_empty() {
                self.waiters.found_nothing(appeared);
                return Ok(None);
            }
            self.link.read(replies::claim(reply)).map(Some)
        })
    }

    fn unmet(&self, kinds: Vec<Kind>, features: Vec<String>) -> BoxFuture<'_, Result<Vec<Unmet>>> {
        Box::pin(async move {
            let reply = self.link.ask(&self.link.scripts.unmet, vec![]).await?;
            let waiting = self.link.read(reply.rest(replies::waiting))?;
            Ok(Unmet::of(waiting, &kinds, &features))
        })
    }

    fn wait_for_work(&self, patience: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let Some(mut work) = self.waiters.next_work() else { return Ok(()) };
            let mut reply = self.link.ask(&self.link.scripts.due, vec![]).await?;
            let due = self.link.read(reply.number())?;
            let due = u64::try_from(due).map_or(patience, Duration::from_millis);
            let until = next_look(patience_ends).min(deadline(due));
            let _ = timeout_at(until, work.changed()).await;
            Ok(())
        })
    }

    fn heartbeat(&self, beat: Heartbeat) -> BoxFuture<'_, Result<HeartbeatAnswer>> {
        Box::pin(async move {
            let args = vec![
                beat.token.0.to_string(),
                millis(beat.lease),
                or_empty(beat.progress.map(|progress| json!(progress))),
            ];
            let reply = self.link.ask_about(beat.task, &self.link.scripts.heartbeat, args).await;
            let mut reply = match reply {
                Err(Error::LeaseLost(_)) => return Ok(HeartbeatAnswer::LeaseLost),
                reply => reply?,
            };
            let expiry = replies::time(self.link.read(reply.number())?);
            let cancel_requested = self.link.read(reply.flag())?;
            Ok(if cancel_requested {
                HeartbeatAnswer::CancelRequested(expiry)
            } else {
                HeartbeatAnswer::Extended(expiry)
            })
        })
    }

    fn complete(
        &self,
        task: TaskId,
        token: FencingToken,
        result: Value,
    ) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.end(task, token, "succeeded", "succeeded", Some(result)))
    }

    fn fail(
        &self,
        task: TaskId,
        token: FencingToken,
        failure: Failure,
    ) -> BoxFuture<'_, Result<Task>> {
        Box::pin(async move {
            let outcome = if failure.retryable { "interrupted" } else { "failed" };
            self.end(task, token, outcome, &failure.message, Some(json!(failure))).await
        })
    }

    fn acknowledge_cancel(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.end(task, token, "cancelled", "cancelled", None))
    }

    fn hand_back(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.end(task, token, "handed back", "handed back", None))
    }

    fn log(
        &self,
        task: TaskId,
        token: FencingToken,
        name: String,
        data: Value,
    ) -> BoxFuture<'_, Result<EventId>> {
        Box::pin(async move {
            let args = vec![token.0.to_string(), name, data.to_string()];
            let mut reply = self.link.ask_about(task, &self.link.scripts.log, args).await?;
            Ok(EventId(self.link.read(reply.number())?.unsigned_abs()))
        })
    }

    fn cancel(&self, task: TaskId) -> BoxFuture<'_, Result<Task>> {
        Box::pin(async move {
            let reply = self.link.ask_about(task, &self.link.scripts.cancel, vec![]).await?;
            self.one_task(reply)
        })
    }

    fn wait_for_cancel(
        &self,
        task: TaskId,
        token: FencingToken,
        patience: Duration,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let mut ear = self.waiters.ear();
            loop {
                match self.glance(task, token).await {
                    Ok((false, _)) | Err(Error::UnknownTask(_)) => return Ok(true),
                    glance => drop(glance?),
                }
                let heard = ear.hears(task, next_look(patience_ends)).await;
                if !heard && Instant::now() >= patience_ends {
                    return Ok(false);
                }
            }
        })
    }

    fn reap(&self) -> BoxFuture<'_, Result<Vec<TaskId>>> {
        Box::pin(async move {
            let reply = self.link.ask(&self.link.scripts.reap, vec![]).await?;
            self.link.read(reply.rest(replies::id))
        })
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Task>> {
        Box::pin(async move {
            let reply = self.link.ask_about(id, &self.link.scripts.look, vec![]).await?;
            self.one_task(reply)
        })
    }

    fn tasks(
        &self,
        filter: Filter,
        before: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>>> {
        Box::pin(async move {
            let mut found = Vec::new();
            let mut below = before.map_or("+inf".to_owned(), |id| id.to_string());
            while found.len() < limit {
                let args = vec![
                    below,
                    PAGE.to_string(),
                    (limit - found.len()).min(PAGE).to_string(),
                    or_empty(filter.kind),
                    or_empty(filter.state),
                    or_empty(filter.dataset),
                    or_empty(filter.parent),
                    or_empty(filter.before.map(Timestamp::as_millisecond)),
                ];
                let mut reply = self.link.ask(&self.link.scripts.list, args).await?;
                let next = self.link.read(reply.number())?;
                found.extend(self.link.read(reply.rest(replies::task))?);
                if next == 0 {
                    break;
                }
                below = next.to_string();
            }
            Ok(found)
        })
    }

    fn remove(&self, id: TaskId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.link.ask_about(id, &self.link.scripts.remove, vec![]).await.map(drop)
        })
    }

    fn events(
        &self,
        task: TaskId,
        after: EventId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        Box::pin(async move {
            if limit == 0 {
                return self.task(task).await.map(|_| Vec::new());
            }
            let limit = u64::try_from(limit).unwrap_or(LARGEST).min(LARGEST);
            let args = vec![after.0.min(LARGEST).to_string(), limit.to_string()];
            let mut reply = self.link.ask_about(task, &self.link.scripts.events, args).await?;
            let first = self.link.read(reply.number())?.unsigned_abs();
            self.link.read(reply.next().and_then(|lines| replies::events(first, lines)))
        })
    }

    fn wait_for_event(
        &self,
        task: TaskId,
        after: EventId,
        patience: Duration,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let mut ear = self.waiters.ear();
            loop {
                let (_, last) = self.glance(task, FencingToken(0)).await?;
                if last > after.0 {
                    return Ok(());
                }
                let heard = ear.hears(task, next_look(patience_ends)).await;
                if !heard && Instant::now() >= patience_ends {
                    return Ok(());
                }
            }
        })
    }

    fn register_worker(&self, worker: WorkerInfo) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let told = json!(worker).to_string();
            let args = vec![worker.id.0, told, millis(WORKER_SILENCE)];
            self.link.ask(&self.link.scripts.register, args).await.map(drop)
        })
    }

    fn remove_worker(&self, worker: WorkerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            async move { self.link.ask(&self.link.scripts.leave, vec![worker.0]).await.map(drop) },
        )
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerInfo>>> {
        Box::pin(async move {
            let args = vec![millis(WORKER_SILENCE)];
            let reply = self.link.ask(&self.link.scripts.workers, args).await?;
            let mut workers = self.link.read(reply.rest(replies::worker))?;
            workers.sort_by(|one, other| one.id.cmp(&other.id));
            Ok(workers)
        })
    }

    fn pause(&self, kind: Kind, paused: bool) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let args = vec![kind.to_string(), u8::from(paused).to_string()];
            self.link.ask(&self.link.scripts.pause, args).await.map(drop)
        })
    }

    fn paused(&self) -> BoxFuture<'_, Result<Vec<Kind>>> {
        Box::pin(async move {
            let mut reply = self.link.ask(&self.link.scripts.paused, vec![]).await?;
            let kinds = self.link.read(reply.next())?;
            let mut kinds = self.link.read(Reply::new(kinds).rest(replies::kind))?;
            kinds.sort_by_key(|kind| kind.name());
            Ok(kinds)
        })
    }

    fn forget_ended(&self, before: Timestamp) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let mut removed = 0;
            loop {
                let args = vec![before.as_millisecond().to_string(), PAGE.to_string()];
                let mut reply = self.link.ask(&self.link.scripts.forget, args).await?;
                let more = self.link.read(reply.number())?.unsigned_abs();
                removed += more;
                if more < PAGE as u64 {
                    return Ok(removed);
                }
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.link.ask(&self.link.scripts.ping, vec![]).await.map(drop) })
    }
}
