//! The queue in one SQLite file, shared by the processes of one host.
//!
//! Three threads a handle: the writer and the reader own a connection each ([`threads`]), the
//! listener hears other processes ([`wake`]). The async side only sends to them and waits for
//! answers. [`transitions`] are the changes, [`queries`] the looks; [`schema`] is what they
//! meet on.

mod fault;
mod filesystem;
mod queries;
mod rows;
mod schema;
mod step;
mod threads;
mod transitions;
mod wake;

#[cfg(test)]
mod tests;

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::Value;
use tokio::time::timeout_at;

use self::{
    fault::{Fault, unavailable},
    rows::Millis,
    step::Outcome,
    threads::{Reader, Writer},
    wake::{Bell, Listener},
};
use crate::{
    BoxFuture, Claim, Claimant, Event, EventId, Failure, FencingToken, Filter, Heartbeat,
    HeartbeatAnswer, JobStore, Kind, NewTask, Result, Task, TaskId, Unmet, WorkerId, WorkerInfo,
    waiters::deadline,
};

/// How long a command waits for another process's transaction.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);

/// The embedded job store: one file, several processes of one host.
///
/// Dropping it finishes what was asked and closes the file.
pub struct SqliteJobs {
    // Closed in this order: the last to close tidies the file up, and only the writer can.
    _listener: Listener,
    reader: Reader,
    writer: Writer,
    bell: Arc<Bell>,
}

impl SqliteJobs {
    /// Opens the store in this file, made if it is missing and upgraded if it is older.
    ///
    /// # Errors
    /// [`Error::Version`](crate::Error::Version) if a newer release wrote it;
    /// [`Error::Unavailable`](crate::Error::Unavailable) if it can't be opened or written, is
    /// damaged, or lies on a network file system.
    pub fn open(path: &Path) -> Result<Self> {
        let location: Arc<str> = path.display().to_string().into();
        let told = |reason: String| unavailable(&location, reason);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)
            .map_err(|error| told(format!("cannot make {}: {error}", folder.display())))?;
        filesystem::check(folder).map_err(told)?;
        let explain = |fault: Fault| match &fault {
            Fault::Sql(rusqlite::Error::SqliteFailure(failure, _)) if is_refusal(failure.code) => {
                told(who_may_write(folder))
            }
            _ => fault.in_words(&location),
        };
        let writable = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut db = connect(path, writable).map_err(explain)?;
        prepare(&mut db, &location).map_err(explain)?;
        let readable = || connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(explain);
        let bell = Arc::new(Bell::new(path));
        let listener = Listener::start(bell.clone(), readable()?)
            .map_err(|error| told(format!("no thread: {error}")))?;
        let reader = Reader::start(readable()?, location.clone())?;
        let writer = Writer::start(db, location.clone(), bell.clone())?;
        Ok(Self { _listener: listener, reader, writer, bell })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Fault> {
    let mut db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // SQLite's own handler sleeps up to 100 ms at a time, too long for a quick claim.
    const NAP: Duration = Duration::from_millis(1);
    db.busy_handler(Some(|naps: i32| {
        thread::sleep(NAP);
        NAP * naps.unsigned_abs() < BUSY_PATIENCE
    }))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Makes the file durable, whole and new enough.
fn prepare(db: &mut Connection, location: &str) -> Result<(), Fault> {
    use_wal(db)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    let health: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health != "ok" {
        let reason = format!("{} ({health})", fault::DAMAGED);
        return Err(Fault::Job(unavailable(location, reason)));
    }
    schema::upgrade(db, location)
}

/// Two processes that open a new file at once may find it locked for a moment, and here SQLite
/// does not wait on its own.
fn use_wal(db: &Connection) -> Result<(), Fault> {
    let mut left = 200;
    loop {
        match db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        {
            Ok(_) => return Ok(()),
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DatabaseBusy && left > 0 =>
            {
                left -= 1;
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
}

fn who_may_write(folder: &Path) -> String {
    let user = fs::metadata("/proc/self").map(|data| data.uid());
    let owner = fs::metadata(folder).map(|data| data.uid());
    let folder = folder.display();
    match (user, owner) {
        (Ok(user), Ok(owner)) if user != owner => format!(
            "user {user} cannot write it; {folder} belongs to user {owner}: \
             `chown -R {user} {folder}`, or run as user {owner}"
        ),
        _ => format!("it cannot be opened for writing: check that {folder} is writable"),
    }
}

impl JobStore for SqliteJobs {
    fn enqueue(&self, task: NewTask) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.writer.run(move |step| transitions::enqueue(step, &task)))
    }

    fn claim(&self, claimant: Claimant) -> BoxFuture<'_, Result<Option<Claim>>> {
        Box::pin(async move {
            let appeared = self.bell.waiters().appeared();
            let claim = self.writer.run(move |step| transitions::claim(step, &claimant)).await?;
            if claim.is_none() {
                self.bell.waiters().found_nothing(appeared);
            }
            Ok(claim)
        })
    }

    fn unmet(&self, kinds: Vec<Kind>, features: Vec<String>) -> BoxFuture<'_, Result<Vec<Unmet>>> {
        Box::pin(async move {
            let waiting = self.reader.run(queries::waiting).await?;
            Ok(Unmet::of(waiting, &kinds, &features))
        })
    }

    fn wait_for_work(&self, patience: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let Some(mut work) = self.bell.waiters().next_work() else { return Ok(()) };
            let due = self.reader.run(queries::next_due).await?;
            let until = due.map_or(patience_ends, |due| {
                let wait = due.0.saturating_sub(Millis::now().0).max(0);
                patience_ends.min(deadline(Duration::from_millis(wait.unsigned_abs())))
            });
            let _ = timeout_at(until, work.changed()).await;
            Ok(())
        })
    }

    fn heartbeat(&self, beat: Heartbeat) -> BoxFuture<'_, Result<HeartbeatAnswer>> {
        Box::pin(self.writer.run(move |step| transitions::heartbeat(step, &beat)))
    }

    fn complete(
        &self,
        task: TaskId,
        token: FencingToken,
        result: Value,
    ) -> BoxFuture<'_, Result<Task>> {
        Box::pin(
            self.writer
                .run(move |step| transitions::end(step, task, token, Outcome::Succeeded(result))),
        )
    }

    fn fail(
        &self,
        task: TaskId,
        token: FencingToken,
        failure: Failure,
    ) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.writer.run(move |step| transitions::fail(step, task, token, failure)))
    }

    fn acknowledge_cancel(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>> {
        Box::pin(
            self.writer.run(move |step| transitions::end(step, task, token, Outcome::Cancelled)),
        )
    }

    fn hand_back(&self, task: TaskId, token: FencingToken) -> BoxFuture<'_, Result<Task>> {
        Box::pin(
            self.writer.run(move |step| transitions::end(step, task, token, Outcome::HandedBack)),
        )
    }

    fn log(
        &self,
        task: TaskId,
        token: FencingToken,
        name: String,
        data: Value,
    ) -> BoxFuture<'_, Result<EventId>> {
        Box::pin(self.writer.run(move |step| transitions::log(step, task, token, &name, &data)))
    }

    fn cancel(&self, task: TaskId) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.writer.run(move |step| transitions::cancel(step, task)))
    }

    fn wait_for_cancel(
        &self,
        task: TaskId,
        token: FencingToken,
        patience: Duration,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let mut ear = self.bell.waiters().ear();
            loop {
                if !self.reader.run(move |db| queries::may_go_on(db, task, token)).await? {
                    return Ok(true);
                }
                if !ear.hears(task, patience_ends).await {
                    return Ok(false);
                }
            }
        })
    }

    fn reap(&self) -> BoxFuture<'_, Result<Vec<TaskId>>> {
        Box::pin(self.writer.run(|step| step.reap()))
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Task>> {
        Box::pin(self.reader.run(move |db| queries::task(db, id)))
    }

    fn tasks(
        &self,
        filter: Filter,
        before: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>>> {
        Box::pin(self.reader.run(move |db| queries::tasks(db, &filter, before, limit)))
    }

    fn remove(&self, id: TaskId) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.run(move |step| transitions::remove(step, id)))
    }

    fn events(
        &self,
        task: TaskId,
        after: EventId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        Box::pin(self.reader.run(move |db| queries::events(db, task, after, limit)))
    }

    fn wait_for_event(
        &self,
        task: TaskId,
        after: EventId,
        patience: Duration,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let patience_ends = deadline(patience);
            let mut ear = self.bell.waiters().ear();
            loop {
                let there = self.reader.run(move |db| queries::has_event(db, task, after)).await?;
                if there || !ear.hears(task, patience_ends).await {
                    return Ok(());
                }
            }
        })
    }

    fn register_worker(&self, worker: WorkerInfo) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.run(move |step| transitions::register_worker(step, &worker)))
    }

    fn remove_worker(&self, worker: WorkerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.run(move |step| transitions::remove_worker(step, &worker)))
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerInfo>>> {
        Box::pin(self.reader.run(queries::workers))
    }

    fn pause(&self, kind: Kind, paused: bool) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.run(move |step| transitions::pause(step, kind, paused)))
    }

    fn paused(&self) -> BoxFuture<'_, Result<Vec<Kind>>> {
        Box::pin(self.reader.run(queries::paused))
    }

    fn forget_ended(&self, before: Timestamp) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.writer.run(move |step| transitions::forget_ended(step, before)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.reader.run(|db| Ok(db.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
            self.writer.run(|_| Ok(())).await
        })
    }
}
