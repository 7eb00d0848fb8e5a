//! Every change of the queue, each a function inside one transaction.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, named_params};
use serde_json::{Value, json};

use super::{
    fault::Fault,
    rows::{Json, Millis},
    step::{Outcome, Step},
};
use crate::{
    Attempt, Claim, Claimant, Error, EventId, Failure, FencingToken, Heartbeat, HeartbeatAnswer,
    Kind, NewTask, State, Task, TaskId, WorkerId, WorkerInfo,
};

/// A worker not heard of for so long is gone.
pub(super) const WORKER_SILENCE_MILLIS: i64 = 60_000;

pub(super) fn enqueue(step: &mut Step<'_>, task: &NewTask) -> Result<Task, Fault> {
    let delayed = !task.delay.is_zero();
    let state = if delayed { State::Delayed } else { State::Queued };
    step.db
        .prepare_cached(
            "INSERT INTO task (kind, dataset, parent, state, priority, payload, features, \
             max_attempts, created, ready_at) VALUES (:kind, :dataset, :parent, :state, \
             :priority, :payload, :features, :max_attempts, :now, :ready_at)",
        )?
        .execute(named_params! {
            ":kind": task.kind,
            ":dataset": task.dataset.map(|id| id as i64),
            ":parent": task.parent,
            ":state": state,
            ":priority": task.priority,
            ":payload": Json(&task.payload),
            ":features": Json(&task.needs.features),
            ":max_attempts": task.max_attempts.max(1),
            ":now": step.now,
            ":ready_at": step.now.after(task.delay),
        })?;
    let id = TaskId(step.db.last_insert_rowid() as u64);
    step.event(id, "state", &json!({ "state": state }))?;
    step.woken.work();
    step.task(id)
}

pub(super) fn claim(step: &mut Step<'_>, claimant: &Claimant) -> Result<Option<Claim>, Fault> {
    step.reap()?;
    if let Some(claim) = same_claim(step, claimant)? {
        return Ok(Some(claim));
    }
    step.queue_due()?;
    let Some(id) = next_ready(step, claimant)? else { return Ok(None) };
    let token = next_token(step)?;
    let lease_expiry = step.now.after(claimant.lease);
    let mut attempts: Vec<Attempt> = step
        .db
        .prepare_cached("SELECT attempts FROM task WHERE id = ?1")?
        .query_row([id], |row| Ok(row.get::<_, Json<_>>(0)?.0))?;
    attempts.push(Attempt {
        worker: claimant.worker.clone(),
        token,
        started: step.now.time(),
        end: None,
    });
    step.db
        .prepare_cached(
            "UPDATE task SET state = 'running', attempts = :attempts, tries = tries + 1, \
             started = coalesce(started, :now), worker = :worker, nonce = :nonce, \
             token = :token, lease_expiry = :lease_expiry WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":attempts": Json(&attempts),
            ":now": step.now,
            ":worker": claimant.worker,
            ":nonce": claimant.nonce as i64,
            ":token": token,
            ":lease_expiry": lease_expiry,
        })?;
    hear_of(step, &claimant.worker)?;
    let data = json!({
        "state": State::Running,
        "attempt": attempts.len(),
        "worker": claimant.worker,
    });
    step.event(id, "state", &data)?;
    Ok(Some(Claim { task: step.task(id)?, token, lease_expiry: lease_expiry.time() }))
}

/// The live claim that this nonce already made.
fn same_claim(step: &Step<'_>, claimant: &Claimant) -> Result<Option<Claim>, Fault> {
    let live: Option<(TaskId, FencingToken, Millis)> = step
        .db
        .prepare_cached(
            "SELECT id, token, lease_expiry FROM task \
             WHERE state = 'running' AND worker = ?1 AND nonce = ?2",
        )?
        .query_row((&claimant.worker, claimant.nonce as i64), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, token, lease_expiry)) = live else { return Ok(None) };
    Ok(Some(Claim { task: step.task(id)?, token, lease_expiry: lease_expiry.time() }))
}

/// The highest-priority oldest queued task of the kinds and needs that the claimant can run.
fn next_ready(step: &Step<'_>, claimant: &Claimant) -> Result<Option<TaskId>, Fault> {
    // One look-up a kind: each reads the first row of its part of the index.
    let mut statement = step.db.prepare_cached(
        "SELECT priority, id FROM task WHERE state = 'queued' AND kind = ?1 \
         AND kind NOT IN (SELECT kind FROM paused) \
         AND (features = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(task.features) AS need \
              WHERE need.value NOT IN (SELECT value FROM json_each(?2)))) \
         ORDER BY priority DESC, id LIMIT 1",
    )?;
    let mut best: Option<(i32, TaskId)> = None;
    for &kind in &claimant.kinds {
        let first: Option<(i32, TaskId)> = statement
            .query_row((kind, Json(&claimant.features)), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((priority, id)) = first else { continue };
        if best.is_none_or(|best| (priority, best.1) > (best.0, id)) {
            best = Some((priority, id));
        }
    }
    Ok(best.map(|(_, id)| id))
}

/// Above every token before it, and at least the clock, so that a store made anew from nothing
/// still grows.
fn next_token(step: &Step<'_>) -> Result<FencingToken, Fault> {
    let mut statement = step.db.prepare_cached(
        "UPDATE counter SET value = max(value + 1, ?1) WHERE name = 'token' RETURNING value",
    )?;
    Ok(statement.query_row([step.now], |row| row.get(0))?)
}

fn hear_of(step: &Step<'_>, worker: &WorkerId) -> Result<(), Fault> {
    step.db
        .prepare_cached("UPDATE worker SET last_seen = ?2 WHERE id = ?1")?
        .execute((worker, step.now))?;
    Ok(())
}

pub(super) fn heartbeat(step: &mut Step<'_>, beat: &Heartbeat) -> Result<HeartbeatAnswer, Fault> {
    let expiry = step.now.after(beat.lease);
    let held: Option<(bool, WorkerId)> = step
        .db
        .prepare_cached(
            "UPDATE task SET lease_expiry = :expiry, progress = coalesce(:progress, progress) \
             WHERE id = :id AND token = :token AND state = 'running' \
             RETURNING cancel_requested, worker",
        )?
        .query_row(
            named_params! {
                ":id": beat.task,
                ":token": beat.token,
                ":expiry": expiry,
                ":progress": beat.progress.as_ref().map(Json),
            },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((cancel_requested, worker)) = held else { return Ok(HeartbeatAnswer::LeaseLost) };
    hear_of(step, &worker)?;
    if let Some(progress) = &beat.progress {
        step.event(beat.task, "progress", &json!(progress))?;
    }
    let expiry = expiry.time();
    Ok(if cancel_requested {
        HeartbeatAnswer::CancelRequested(expiry)
    } else {
        HeartbeatAnswer::Extended(expiry)
    })
}

/// Ends the attempt of the token's holder.
pub(super) fn end(
    step: &mut Step<'_>,
    task: TaskId,
    token: FencingToken,
    outcome: Outcome,
) -> Result<Task, Fault> {
    let held = step.held(task, token)?;
    step.end_attempt(held, outcome)?;
    step.task(task)
}

pub(super) fn fail(
    step: &mut Step<'_>,
    task: TaskId,
    token: FencingToken,
    failure: Failure,
) -> Result<Task, Fault> {
    let outcome =
        if failure.retryable { Outcome::Interrupted(failure) } else { Outcome::Failed(failure) };
    end(step, task, token, outcome)
}

pub(super) fn log(
    step: &mut Step<'_>,
    task: TaskId,
    token: FencingToken,
    name: &str,
    data: &Value,
) -> Result<EventId, Fault> {
    step.held(task, token)?;
    step.event(task, name, data)
}

pub(super) fn cancel(step: &mut Step<'_>, task: TaskId) -> Result<Task, Fault> {
    let state = step.task(task)?.state;
    if state.is_final() {
        let reason = "it has already ended";
        return Err(Fault::Job(Error::State { task, state, reason }));
    }
    let mut waiting = vec![task];
    while let Some(id) = waiting.pop() {
        ask_to_stop(step, id)?;
        let children: Vec<TaskId> = step
            .db
            .prepare_cached("SELECT id FROM task WHERE parent = ?1 AND finished IS NULL")?
            .query_map([id], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        // A parent is older than its children, so that no circle keeps this going.
        waiting.extend(children.into_iter().filter(|&child| child > id));
    }
    step.task(task)
}

/// A waiting task is cancelled, a running one flagged.
fn ask_to_stop(step: &mut Step<'_>, id: TaskId) -> Result<(), Fault> {
    let asked = step
        .db
        .prepare_cached(
            "UPDATE task SET cancel_requested = 1 \
             WHERE id = ?1 AND state = 'running' AND NOT cancel_requested",
        )?
        .execute([id])?;
    let cancelled = step
        .db
        .prepare_cached(
            "UPDATE task SET state = 'cancelled', cancel_requested = 1, finished = ?2 \
             WHERE id = ?1 AND state IN ('queued', 'delayed')",
        )?
        .execute((id, step.now))?;
    if asked > 0 {
        step.event(id, "state", &json!({ "state": State::Running, "cancel_requested": true }))?;
    }
    if cancelled > 0 {
        step.event(id, "state", &json!({ "state": State::Cancelled }))?;
    }
    Ok(())
}

pub(super) fn remove(step: &mut Step<'_>, task: TaskId) -> Result<(), Fault> {
    let state = step.task(task)?.state;
    if !state.is_final() {
        let reason = "only a task that has ended can be removed: cancel it first";
        return Err(Fault::Job(Error::State { task, state, reason }));
    }
    step.db.prepare_cached("DELETE FROM event WHERE task = ?1")?.execute([task])?;
    step.db.prepare_cached("DELETE FROM task WHERE id = ?1")?.execute([task])?;
    step.woken.task(task);
    Ok(())
}

pub(super) fn forget_ended(step: &mut Step<'_>, before: Timestamp) -> Result<u64, Fault> {
    let before = Millis::from(before);
    step.db
        .prepare_cached(
            "DELETE FROM event WHERE task IN (SELECT id FROM task WHERE finished < ?1)",
        )?
        .execute([before])?;
    let removed =
        step.db.prepare_cached("DELETE FROM task WHERE finished < ?1")?.execute([before])?;
    Ok(removed as u64)
}

pub(super) fn register_worker(step: &mut Step<'_>, worker: &WorkerInfo) -> Result<(), Fault> {
    step.db
        .prepare_cached("DELETE FROM worker WHERE last_seen < ?1")?
        .execute([step.now.0 - WORKER_SILENCE_MILLIS])?;
    step.db
        .prepare_cached(
            "INSERT INTO worker (id, info, last_seen) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET info = excluded.info, last_seen = excluded.last_seen",
        )?
        .execute((&worker.id, Json(worker), step.now))?;
    Ok(())
}

pub(super) fn remove_worker(step: &mut Step<'_>, worker: &WorkerId) -> Result<(), Fault> {
    step.db.prepare_cached("DELETE FROM worker WHERE id = ?1")?.execute([worker])?;
    Ok(())
}

pub(super) fn pause(step: &mut Step<'_>, kind: Kind, paused: bool) -> Result<(), Fault> {
    if paused {
        step.db.prepare_cached("INSERT OR IGNORE INTO paused VALUES (?1)")?.execute([kind])?;
    } else {
        step.db.prepare_cached("DELETE FROM paused WHERE kind = ?1")?.execute([kind])?;
        step.woken.work();
    }
    Ok(())
}
