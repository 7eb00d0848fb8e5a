//! The two threads that own the connections, and how the async side asks them.
//!
//! The writer takes everything that waits into one transaction, each command in a savepoint of
//! its own, so that one fsync serves them all and one that fails spoils none of the others. It
//! answers only after the commit: what an answer says is durable. The reader has a connection
//! of its own and never waits for the writer.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    fault::{self, Fault},
    rows::Millis,
    step::Step,
    wake::{Bell, Woken},
};
use crate::{Error, Result};

/// Commands in one transaction at most.
const GROUP: usize = 256;

/// One waiting change.
pub(super) trait Command: Send {
    /// Makes the change; `false` takes it back.
    fn run(&mut self, step: &mut Step<'_>, location: &str) -> bool;
    /// Tells the caller, after the commit; `lost` says why the commit failed.
    fn answer(self: Box<Self>, lost: Option<Error>);
}

struct Call<W, T> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<W, T> Command for Call<W, T>
where
    W: FnOnce(&mut Step<'_>) -> Result<T, Fault> + Send,
    T: Send,
{
    fn run(&mut self, step: &mut Step<'_>, location: &str) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = work(step).map_err(|fault| fault.in_words(location));
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, lost: Option<Error>) {
        let answer = match (self.outcome, lost) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => return,
        };
        // A caller that went away needs no answer.
        let _ = self.reply.send(answer);
    }
}

type Query = Box<dyn FnOnce(&Connection) + Send>;

/// A thread that owns a connection; dropped, it finishes what waits and ends.
struct Worker<T> {
    waiting: Option<mpsc::Sender<T>>,
    thread: Option<JoinHandle<()>>,
    location: Arc<str>,
}

impl<T: Send + 'static> Worker<T> {
    fn start(
        name: &str,
        location: Arc<str>,
        serve: impl FnOnce(mpsc::Receiver<T>, &str) + Send + 'static,
    ) -> Result<Self> {
        let (waiting, arriving) = mpsc::channel();
        let there = location.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(arriving, &there))
            .map_err(|error| fault::unavailable(&location, format!("no thread: {error}")))?;
        Ok(Self { waiting: Some(waiting), thread: Some(thread), location })
    }

    async fn ask<A>(&self, order: T, reply: oneshot::Receiver<Result<A>>) -> Result<A> {
        let ended = || fault::unavailable(&self.location, "its thread has ended: restart");
        let waiting = self.waiting.as_ref().ok_or_else(ended)?;
        waiting.send(order).map_err(|_| ended())?;
        reply.await.map_err(|_| ended())?
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Owns the only connection of this handle that writes.
pub(super) struct Writer(Worker<Box<dyn Command>>);

impl Writer {
    pub(super) fn start(db: Connection, location: Arc<str>, bell: Arc<Bell>) -> Result<Self> {
        Worker::start("kge-jobs-writer", location, move |arriving, location| {
            while let Ok(first) = arriving.recv() {
                let mut group = vec![first];
                group.extend(arriving.try_iter().take(GROUP - 1));
                let mut woken = Woken::default();
                let lost = commit(&db, &mut group, &mut woken, location).err();
                let lost = lost.map(|fault| fault.in_words(location).to_string());
                if lost.is_none() {
                    bell.ring(&woken);
                }
                for command in group {
                    command.answer(lost.as_ref().map(|reason| unavailable_again(location, reason)));
                }
            }
        })
        .map(Self)
    }

    /// Makes a change; when this returns it is durable.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Step<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.0.ask(Box::new(Call { work: Some(work), outcome: None, reply }), answer).await
    }
}

/// The same error for one more caller.
fn unavailable_again(location: &str, words: &str) -> Error {
    let prefix = format!("job store {location}: ");
    fault::unavailable(location, words.strip_prefix(&prefix).unwrap_or(words))
}

/// Runs a group in one transaction.
fn commit(
    db: &Connection,
    group: &mut [Box<dyn Command>],
    woken: &mut Woken,
    location: &str,
) -> Result<(), Fault> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = run_each(db, group, woken, location)
        .and_then(|()| db.execute_batch("COMMIT").map_err(Fault::Sql));
    if outcome.is_err() && !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
    }
    outcome
}

fn run_each(
    db: &Connection,
    group: &mut [Box<dyn Command>],
    woken: &mut Woken,
    location: &str,
) -> Result<(), Fault> {
    for command in group {
        db.prepare_cached("SAVEPOINT command")?.execute([])?;
        let mut step = Step { db, now: Millis::now(), woken: &mut *woken };
        let kept = command.run(&mut step, location);
        // A full disk makes SQLite take back the whole transaction on its own.
        if db.is_autocommit() {
            let reason = "the disk is full or failing: nothing was changed";
            return Err(Fault::Job(fault::unavailable(location, reason)));
        }
        if !kept {
            db.prepare_cached("ROLLBACK TO command")?.execute([])?;
        }
        db.prepare_cached("RELEASE command")?.execute([])?;
    }
    Ok(())
}

/// Owns a connection that only reads.
pub(super) struct Reader(Worker<Query>);

impl Reader {
    pub(super) fn start(db: Connection, location: Arc<str>) -> Result<Self> {
        Worker::start("kge-jobs-reader", location, move |arriving: mpsc::Receiver<Query>, _| {
            while let Ok(query) = arriving.recv() {
                query(&db);
            }
        })
        .map(Self)
    }

    /// Looks at the newest committed state.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let location = self.0.location.clone();
        let query: Query = Box::new(move |db| {
            let _ = reply.send(look(db).map_err(|fault| fault.in_words(&location)));
        });
        self.0.ask(query, answer).await
    }
}
