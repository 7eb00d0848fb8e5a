//! Everything that only looks.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    fault::Fault,
    rows::{self, Json, Millis},
    step,
    transitions::WORKER_SILENCE_MILLIS,
};
use crate::{Error, Event, EventId, FencingToken, Filter, Kind, Needs, Task, TaskId, WorkerInfo};

pub(super) fn task(db: &Connection, id: TaskId) -> Result<Task, Fault> {
    step::task(db, id, Millis::now())
}

pub(super) fn tasks(
    db: &Connection,
    filter: &Filter,
    before: Option<TaskId>,
    limit: usize,
) -> Result<Vec<Task>, Fault> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT * FROM ({}) WHERE (:kind IS NULL OR kind = :kind) \
         AND (:state IS NULL OR shown = :state) \
         AND (:dataset IS NULL OR dataset = :dataset) \
         AND (:parent IS NULL OR parent = :parent) \
         AND (:made_before IS NULL OR created < :made_before) \
         AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit",
        rows::TASK
    ))?;
    let found = statement.query_map(
        named_params! {
            ":now": Millis::now(),
            ":kind": filter.kind,
            ":state": filter.state,
            ":dataset": filter.dataset.map(|id| id as i64),
            ":parent": filter.parent,
            ":made_before": filter.before.map(Millis::from),
            ":before": before,
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        },
        rows::task,
    )?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn events(
    db: &Connection,
    task: TaskId,
    after: EventId,
    limit: usize,
) -> Result<Vec<Event>, Fault> {
    let found: Vec<Event> = db
        .prepare_cached(
            "SELECT id, at, name, data FROM event WHERE task = ?1 AND id > ?2 \
             ORDER BY id LIMIT ?3",
        )?
        .query_map((task, bounded(after), i64::try_from(limit).unwrap_or(i64::MAX)), rows::event)?
        .collect::<rusqlite::Result<_>>()?;
    if found.is_empty() {
        last_event(db, task)?;
    }
    Ok(found)
}

/// Whether the task has an event after this one.
pub(super) fn has_event(db: &Connection, task: TaskId, after: EventId) -> Result<bool, Fault> {
    Ok(last_event(db, task)? > bounded(after))
}

fn last_event(db: &Connection, task: TaskId) -> Result<i64, Fault> {
    db.prepare_cached("SELECT last_event FROM task WHERE id = ?1")?
        .query_row([task], |row| row.get(0))
        .optional()?
        .ok_or(Fault::Job(Error::UnknownTask(task)))
}

fn bounded(event: EventId) -> i64 {
    i64::try_from(event.0).unwrap_or(i64::MAX)
}

/// Whether the holder of this token should go on.
pub(super) fn may_go_on(db: &Connection, task: TaskId, token: FencingToken) -> Result<bool, Fault> {
    let found = db
        .prepare_cached(
            "SELECT 1 FROM task WHERE id = ?1 AND token = ?2 AND state = 'running' \
             AND NOT cancel_requested",
        )?
        .exists((task, token))?;
    Ok(found)
}

/// Queued tasks of the kinds that are handed out, counted by kind and needs.
pub(super) fn waiting(db: &Connection) -> Result<Vec<(Kind, Needs, u64)>, Fault> {
    let found = db
        .prepare_cached(
            "SELECT kind, features, count(*) FROM task WHERE state = 'queued' \
             AND features != '[]' AND kind NOT IN (SELECT kind FROM paused) \
             GROUP BY kind, features",
        )?
        .query_map([], |row| {
            let needs = Needs { features: row.get::<_, Json<_>>(1)?.0 };
            Ok((row.get(0)?, needs, row.get::<_, i64>(2)?.unsigned_abs()))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// When the next delayed task is due or the next lease runs out.
pub(super) fn next_due(db: &Connection) -> Result<Option<Millis>, Fault> {
    let due = db
        .prepare_cached(
            "SELECT min(due) FROM (SELECT min(ready_at) AS due FROM task WHERE state = 'delayed' \
             UNION ALL SELECT min(lease_expiry) FROM task WHERE state = 'running')",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(due)
}

/// Workers heard of lately, with the tasks that they hold.
pub(super) fn workers(db: &Connection) -> Result<Vec<WorkerInfo>, Fault> {
    let mut listed: Vec<WorkerInfo> = db
        .prepare_cached("SELECT info, last_seen FROM worker WHERE last_seen >= ?1 ORDER BY id")?
        .query_map([Millis::now().0 - WORKER_SILENCE_MILLIS], |row| {
            let info: WorkerInfo = row.get::<_, Json<_>>(0)?.0;
            Ok(WorkerInfo { last_seen: row.get::<_, Millis>(1)?.time(), ..info })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut held = db.prepare_cached(
        "SELECT id FROM task WHERE state = 'running' AND worker = ?1 ORDER BY id",
    )?;
    for worker in &mut listed {
        worker.tasks =
            held.query_map([&worker.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(listed)
}

pub(super) fn paused(db: &Connection) -> Result<Vec<Kind>, Fault> {
    let kinds = db
        .prepare_cached("SELECT kind FROM paused ORDER BY kind")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(kinds)
}
