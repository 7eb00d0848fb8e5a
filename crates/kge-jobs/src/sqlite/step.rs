//! What one command sees of the open transaction, and the few moves every transition is made of.

use rusqlite::{Connection, OptionalExtension, named_params};
use serde_json::{Value, json};

use super::{
    fault::Fault,
    rows::{self, Json, Millis},
    wake::Woken,
};
use crate::{
    Attempt, AttemptEnd, Error, EventId, Failure, FencingToken, State, Task, TaskId, retry_delay,
};

/// Events kept of each task: the last ones.
pub(super) const EVENTS_KEPT: i64 = 1000;

/// One command's view of the open transaction.
pub(super) struct Step<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Millis,
    /// Who is to be woken once the transaction is durable.
    pub(super) woken: &'a mut Woken,
}

/// A running task, as far as a transition needs it.
pub(super) struct Held {
    pub(super) id: TaskId,
    pub(super) tries: u32,
    pub(super) max_attempts: u32,
    pub(super) attempts: Vec<Attempt>,
    pub(super) cancel_requested: bool,
}

/// What becomes of a task when an attempt ends.
pub(super) enum Outcome {
    Succeeded(Value),
    /// Another attempt may help; the text says how this one ended.
    Interrupted(Failure),
    /// No other attempt will help.
    Failed(Failure),
    HandedBack,
    Cancelled,
}

impl Step<'_> {
    /// The task that this token holds, or [`Error::LeaseLost`].
    pub(super) fn held(&self, id: TaskId, token: FencingToken) -> Result<Held, Fault> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, tries, max_attempts, attempts, cancel_requested FROM task \
             WHERE id = ?1 AND token = ?2 AND state = 'running'",
        )?;
        let held = statement.query_row((id, token), held).optional()?;
        held.ok_or(Fault::Job(Error::LeaseLost(id)))
    }

    /// The task, whole.
    pub(super) fn task(&self, id: TaskId) -> Result<Task, Fault> {
        task(self.db, id, self.now)
    }

    /// Appends to the task's stream and drops what is beyond its bound.
    pub(super) fn event(
        &mut self,
        task: TaskId,
        name: &str,
        data: &Value,
    ) -> Result<EventId, Fault> {
        let id: i64 = self
            .db
            .prepare_cached(
                "UPDATE task SET last_event = last_event + 1 WHERE id = ?1 RETURNING last_event",
            )?
            .query_row([task], |row| row.get(0))?;
        self.db
            .prepare_cached("INSERT INTO event (task, id, at, name, data) VALUES (?, ?, ?, ?, ?)")?
            .execute((task, id, self.now, name, Json(data)))?;
        if id > EVENTS_KEPT {
            self.db
                .prepare_cached("DELETE FROM event WHERE task = ?1 AND id <= ?2")?
                .execute((task, id - EVENTS_KEPT))?;
        }
        self.woken.task(task);
        Ok(EventId(id as u64))
    }

    /// Ends the live attempt, and moves the task to where the outcome and what is left of its
    /// attempts bring it.
    pub(super) fn end_attempt(&mut self, held: Held, outcome: Outcome) -> Result<(), Fault> {
        let mut attempts = held.attempts;
        let mut tries = held.tries;
        let how = match &outcome {
            Outcome::Succeeded(_) => "succeeded".to_owned(),
            Outcome::Interrupted(failure) | Outcome::Failed(failure) => failure.message.clone(),
            Outcome::HandedBack => "handed back".to_owned(),
            Outcome::Cancelled => "cancelled".to_owned(),
        };
        if let Some(last) = attempts.last_mut() {
            last.end = Some(AttemptEnd { at: self.now.time(), how });
        }
        let mut ready_at = None;
        let (state, result, error) = match outcome {
            Outcome::Succeeded(result) => (State::Succeeded, Some(result), None),
            Outcome::Cancelled => (State::Cancelled, None, None),
            Outcome::HandedBack => {
                tries = tries.saturating_sub(1);
                let state = if held.cancel_requested { State::Cancelled } else { State::Queued };
                (state, None, None)
            }
            Outcome::Interrupted(failure) | Outcome::Failed(failure) if held.cancel_requested => {
                (State::Cancelled, None, Some(failure))
            }
            Outcome::Interrupted(failure) if tries < held.max_attempts => {
                if failure.kind == LEASE_EXPIRED {
                    (State::Queued, None, None)
                } else {
                    ready_at = Some(self.now.after(retry_delay(tries)));
                    (State::Delayed, None, None)
                }
            }
            Outcome::Interrupted(failure) | Outcome::Failed(failure) => {
                (State::Failed, None, Some(failure))
            }
        };
        self.db
            .prepare_cached(
                "UPDATE task SET state = :state, tries = :tries, attempts = :attempts, \
                 result = :result, error = :error, finished = :finished, \
                 ready_at = coalesce(:ready_at, ready_at), \
                 worker = NULL, nonce = NULL, token = NULL, lease_expiry = NULL WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": held.id,
                ":state": state,
                ":tries": tries,
                ":attempts": Json(&attempts),
                ":result": result.as_ref().map(Json),
                ":error": error.as_ref().map(Json),
                ":finished": state.is_final().then_some(self.now),
                ":ready_at": ready_at,
            })?;
        let mut data = json!({ "state": state, "attempt": attempts.len() });
        if let Some(end) = attempts.last().and_then(|attempt| attempt.end.as_ref()) {
            data["how"] = json!(end.how);
        }
        if let Some(ready_at) = ready_at {
            data["ready_at"] = json!(ready_at.time());
        }
        self.event(held.id, "state", &data)?;
        if !state.is_final() {
            self.woken.work();
        }
        Ok(())
    }

    /// Queues delayed tasks whose time has come.
    pub(super) fn queue_due(&mut self) -> Result<(), Fault> {
        let due: Vec<TaskId> = self
            .db
            .prepare_cached("SELECT id FROM task WHERE state = 'delayed' AND ready_at <= ?1")?
            .query_map([self.now], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in due {
            self.db
                .prepare_cached("UPDATE task SET state = 'queued' WHERE id = ?1")?
                .execute([id])?;
            self.event(id, "state", &json!({ "state": State::Queued }))?;
            self.woken.work();
        }
        Ok(())
    }

    /// Takes back every lease that has run out.
    pub(super) fn reap(&mut self) -> Result<Vec<TaskId>, Fault> {
        let expired: Vec<Held> = self
            .db
            .prepare_cached(
                "SELECT id, tries, max_attempts, attempts, cancel_requested FROM task \
                 WHERE state = 'running' AND lease_expiry <= ?1",
            )?
            .query_map([self.now], held)?
            .collect::<rusqlite::Result<_>>()?;
        let mut touched = Vec::with_capacity(expired.len());
        for held in expired {
            touched.push(held.id);
            let failure = Failure {
                kind: LEASE_EXPIRED.to_owned(),
                message: LEASE_EXPIRED.to_owned(),
                retryable: true,
            };
            self.end_attempt(held, Outcome::Interrupted(failure))?;
        }
        Ok(touched)
    }
}

/// How an attempt ends whose worker was not heard of in time.
const LEASE_EXPIRED: &str = "lease expired";

fn held(row: &rusqlite::Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        id: row.get(0)?,
        tries: row.get(1)?,
        max_attempts: row.get(2)?,
        attempts: row.get::<_, Json<_>>(3)?.0,
        cancel_requested: row.get(4)?,
    })
}

/// The task, whole.
pub(super) fn task(db: &Connection, id: TaskId, now: Millis) -> Result<Task, Fault> {
    let mut statement = db.prepare_cached(&format!("{} WHERE id = :id", rows::TASK))?;
    let task =
        statement.query_row(named_params! { ":id": id, ":now": now }, rows::task).optional()?;
    task.ok_or(Fault::Job(Error::UnknownTask(id)))
}
