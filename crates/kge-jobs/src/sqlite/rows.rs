//! Rows and values: how tasks and events lie in the tables.

use jiff::Timestamp;
use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Event, EventId, FencingToken, Kind, Needs, State, Task, TaskId, WorkerId};

/// What [`task`] reads; `:now` decides whether a delayed task's time has come.
pub(super) const TASK: &str = "SELECT id, kind, dataset, payload, \
     CASE WHEN state = 'delayed' AND ready_at <= :now THEN 'queued' ELSE state END AS shown, \
     priority, parent, features, max_attempts, attempts, progress, result, error, \
     cancel_requested, created, ready_at, started, finished FROM task";

/// A row of [`TASK`].
pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: row.get("id")?,
        kind: row.get("kind")?,
        dataset: row.get::<_, Option<i64>>("dataset")?.map(|id| id as u64),
        payload: row.get::<_, Json<_>>("payload")?.0,
        state: row.get("shown")?,
        priority: row.get("priority")?,
        parent: row.get("parent")?,
        needs: Needs { features: row.get::<_, Json<_>>("features")?.0 },
        max_attempts: row.get("max_attempts")?,
        attempts: row.get::<_, Json<_>>("attempts")?.0,
        progress: row.get::<_, Option<Json<_>>>("progress")?.map(|json| json.0),
        result: row.get::<_, Option<Json<_>>>("result")?.map(|json| json.0),
        error: row.get::<_, Option<Json<_>>>("error")?.map(|json| json.0),
        cancel_requested: row.get("cancel_requested")?,
        created: row.get::<_, Millis>("created")?.time(),
        ready_at: row.get::<_, Millis>("ready_at")?.time(),
        started: row.get::<_, Option<Millis>>("started")?.map(Millis::time),
        finished: row.get::<_, Option<Millis>>("finished")?.map(Millis::time),
    })
}

/// A row of `id, at, name, data`.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        id: EventId(row.get::<_, i64>(0)? as u64),
        at: row.get::<_, Millis>(1)?.time(),
        name: row.get(2)?,
        data: row.get::<_, Json<_>>(3)?.0,
    })
}

/// A time as the tables keep it: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) i64);

impl Millis {
    pub(super) fn now() -> Self {
        Self::from(Timestamp::now())
    }

    /// Later by this much, rounded up; it stays a time that can be written down.
    pub(super) fn after(self, wait: std::time::Duration) -> Self {
        let wait = i64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(wait).min(Timestamp::MAX.as_millisecond()))
    }

    pub(super) fn time(self) -> Timestamp {
        let bounded =
            self.0.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        Timestamp::from_millisecond(bounded).unwrap_or(Timestamp::MAX)
    }
}

impl From<Timestamp> for Millis {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

/// A value kept as JSON text.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(&self.0)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

macro_rules! integer {
    ($($name:ident($inner:ty)),*) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(|number| Self(number as $inner))
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0 as i64))
            }
        }
    )*};
}

integer!(TaskId(u64), FencingToken(u64), Millis(i64));

macro_rules! named {
    ($($name:ident),*) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let name = value.as_str()?;
                Self::from_name(name)
                    .ok_or_else(|| FromSqlError::Other(format!("unknown name {name:?}").into()))
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.name()))
            }
        }
    )*};
}

named!(Kind, State);

impl ToSql for WorkerId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for WorkerId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}
