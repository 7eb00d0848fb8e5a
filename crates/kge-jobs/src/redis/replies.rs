//! What scripts are given and what they answer: text, whole numbers and lists of them.

use std::{collections::HashMap, time::Duration};

use fred::types::Value;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Attempt, AttemptEnd, Claim, Event, EventId, FencingToken, Kind, Needs, State, Task, TaskId,
    WorkerId, WorkerInfo,
};

/// Why an answer cannot be read: the part of it that is not as it should be.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) &'static str);

type Read<T> = Result<T, Unreadable>;

/// An answer, read from its front.
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        // A single value counts as a list of one.
        Self(value.into_array().into_iter())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(super) fn next(&mut self) -> Read<Value> {
        self.0.next().ok_or(Unreadable("its end"))
    }

    pub(super) fn text(&mut self) -> Read<String> {
        self.next()?.into_string().ok_or(Unreadable("a text"))
    }

    pub(super) fn number(&mut self) -> Read<i64> {
        self.next()?.as_i64().ok_or(Unreadable("a number"))
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        Ok(self.number()? != 0)
    }

    /// What is left, each read by itself.
    pub(super) fn rest<T>(self, read: impl FnMut(Value) -> Read<T>) -> Read<Vec<T>> {
        self.0.map(read).collect()
    }
}

/// Milliseconds, rounded up; a wait without end is a hundred years.
pub(super) fn millis(wait: Duration) -> String {
    const LONGEST: u128 = 100 * 365 * 86_400_000;
    wait.as_micros().div_ceil(1000).min(LONGEST).to_string()
}

pub(super) fn time(millis: i64) -> Timestamp {
    let (first, last) = (Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    Timestamp::from_millisecond(millis.clamp(first, last)).unwrap_or(Timestamp::MAX)
}

pub(super) fn id(value: Value) -> Read<TaskId> {
    value.as_u64().map(TaskId).ok_or(Unreadable("a task's number"))
}

pub(super) fn kind(value: Value) -> Read<Kind> {
    value.as_str().and_then(|name| Kind::from_name(&name)).ok_or(Unreadable("a kind"))
}

pub(super) fn task(value: Value) -> Read<Task> {
    let mut fields = Fields(HashMap::new());
    let mut flat = Reply::new(value);
    while let Ok(name) = flat.text() {
        fields.0.insert(name, flat.text()?);
    }
    Ok(Task {
        id: TaskId(fields.number("id")?),
        kind: fields.named("kind", Kind::from_name)?,
        dataset: fields.maybe("dataset", number)?,
        payload: fields.json("payload")?,
        state: fields.named("shown", State::from_name)?,
        priority: fields.maybe("priority", number)?.unwrap_or(0),
        parent: fields.maybe("parent", number)?.map(TaskId),
        needs: Needs { features: fields.maybe("needs", from_json)?.unwrap_or_default() },
        max_attempts: fields.number("max_attempts")?,
        attempts: fields.attempts()?,
        progress: fields.maybe("progress", from_json)?,
        result: fields.maybe("result", from_json)?,
        error: fields.maybe("error", from_json)?,
        cancel_requested: fields.0.contains_key("cancel"),
        created: time(fields.number("created")?),
        ready_at: time(fields.number("ready_at")?),
        started: fields.maybe("started", number)?.map(time),
        finished: fields.maybe("finished", number)?.map(time),
    })
}

/// A task's fields by name.
struct Fields(HashMap<String, String>);

impl Fields {
    fn maybe<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Read<Option<T>> {
        self.0.get(name).map(|text| read(text).ok_or(Unreadable(name))).transpose()
    }

    fn named<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Read<T> {
        self.maybe(name, read)?.ok_or(Unreadable(name))
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Read<T> {
        self.named(name, number)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, name: &'static str) -> Read<T> {
        self.named(name, from_json)
    }

    fn attempts(&self) -> Read<Vec<Attempt>> {
        let kept = self.0.get("attempts").map_or("", String::as_str);
        let kept: Vec<KeptAttempt> =
            from_json(&format!("[{kept}]")).ok_or(Unreadable("attempts"))?;
        Ok(kept.into_iter().map(Attempt::from).collect())
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn from_json<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// An attempt as the scripts write it.
#[derive(Deserialize)]
struct KeptAttempt {
    worker: WorkerId,
    token: FencingToken,
    started: i64,
    ended: Option<i64>,
    how: Option<String>,
}

impl From<KeptAttempt> for Attempt {
    fn from(kept: KeptAttempt) -> Self {
        let how = kept.how.unwrap_or_default();
        Self {
            worker: kept.worker,
            token: kept.token,
            started: time(kept.started),
            end: kept.ended.map(|at| AttemptEnd { at: time(at), how }),
        }
    }
}

pub(super) fn claim(mut reply: Reply) -> Read<Claim> {
    let token = FencingToken(reply.next()?.as_u64().ok_or(Unreadable("a token"))?);
    let lease_expiry = time(reply.number()?);
    Ok(Claim { task: task(reply.next()?)?, token, lease_expiry })
}

/// The events of a list whose first one stands at this position.
pub(super) fn events(first: u64, lines: Value) -> Read<Vec<Event>> {
    let lines = Reply::new(lines).rest(|line| line.into_string().ok_or(Unreadable("an event")))?;
    let positions = first..;
    positions
        .zip(lines)
        .map(|(at, line)| event(EventId(at), &line).ok_or(Unreadable("an event")))
        .collect()
}

fn event(id: EventId, line: &str) -> Option<Event> {
    // JSON text holds no line break, a name may hold anything.
    let (head, data) = line.rsplit_once('\n')?;
    let (at, name) = head.split_once(' ')?;
    let mut data: serde_json::Value = from_json(data)?;
    // Scripts write times as numbers.
    if name == "state"
        && let Some(ready_at) = data.get("ready_at").and_then(serde_json::Value::as_i64)
    {
        data["ready_at"] = json!(time(ready_at));
    }
    Some(Event { id, at: time(number(at)?), name: name.to_owned(), data })
}

/// Queued tasks of one kind and needs, and how many.
pub(super) fn waiting(value: Value) -> Read<(Kind, Needs, u64)> {
    let mut reply = Reply::new(value);
    let kind = kind(reply.next()?)?;
    let features = from_json(&reply.text()?).ok_or(Unreadable("needs"))?;
    Ok((kind, Needs { features }, reply.number()?.unsigned_abs()))
}

pub(super) fn worker(value: Value) -> Read<WorkerInfo> {
    let mut reply = Reply::new(value);
    let info: WorkerInfo = from_json(&reply.text()?).ok_or(Unreadable("a worker"))?;
    let last_seen = time(reply.number()?);
    Ok(WorkerInfo { last_seen, tasks: Reply::new(reply.next()?).rest(id)?, ..info })
}
