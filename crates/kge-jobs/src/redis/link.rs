//! The connection: made again for ever, looked over each time it is made, asked through.
//!
//! fred reconnects on its own once it has been connected; here is what comes before (it gives up
//! if the first attempt fails), what is checked after, and what callers hear in between: nothing
//! waits for a Redis that is known to be away.

use std::{sync::Arc, time::Duration};

use fred::{
    error::{Error as Fault, ErrorKind},
    interfaces::{ClientLike, EventInterface},
    prelude::Client,
    types::{Value, scripts::Script},
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    fault,
    replies::{Reply, Unreadable},
    scripts::Scripts,
    server_info::ServerInfo,
};
use crate::{BoxFuture, Error, Result, State, TaskId};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that did not pass its check is checked again after this.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// The longest that a first attempt can take: name, connection and greeting.
const FIRST_ATTEMPT: Duration = Duration::from_secs(7);

/// The layout of keys that this release writes.
const LAYOUT: u32 = 1;

/// What the connection was last seen to be; `None` until the first attempt is over.
type Seen = Option<Result<()>>;

/// The way to one Redis, for asking its scripts.
pub(super) struct Link {
    client: Client,
    pub(super) scripts: Scripts,
    name: String,
    pub(super) location: String,
    seen: watch::Sender<Seen>,
}

impl Link {
    pub(super) fn new(client: Client, name: String, location: String) -> Self {
        let (seen, _) = watch::channel(None);
        Self { client, scripts: Scripts::new(), name, location, seen }
    }

    /// Runs a script that is about no single task.
    pub(super) async fn ask(&self, script: &Script, args: Vec<String>) -> Result<Reply> {
        self.is_up().await?;
        self.run(script, args, None).await
    }

    /// Runs a script whose first argument is this task.
    pub(super) async fn ask_about(
        &self,
        task: TaskId,
        script: &Script,
        mut args: Vec<String>,
    ) -> Result<Reply> {
        self.is_up().await?;
        args.insert(0, task.to_string());
        self.run(script, args, Some(task)).await
    }

    /// Reads an answer, or says that it cannot be read.
    pub(super) fn read<T>(&self, read: Result<T, Unreadable>) -> Result<T> {
        read.map_err(|Unreadable(part)| {
            let reason = format!("it holds what this release cannot read: {part}");
            fault::unavailable(&self.location, reason)
        })
    }

    /// Whether the connection stands; the first attempt is waited for.
    async fn is_up(&self) -> Result<()> {
        let mut seen = self.seen.subscribe();
        let known = timeout(FIRST_ATTEMPT, seen.wait_for(Option::is_some)).await;
        match known {
            Ok(Ok(seen)) => seen.clone().unwrap_or(Ok(())),
            _ => Err(fault::unavailable(&self.location, "cannot be reached yet")),
        }
    }

    async fn run(
        &self,
        script: &Script,
        args: Vec<String>,
        about: Option<TaskId>,
    ) -> Result<Reply> {
        let answer: Result<Value, Fault> =
            script.evalsha_with_reload(&self.client, self.name.as_str(), args).await;
        let answer = answer.map_err(|fault| self.why(&fault))?;
        let mut reply = Reply::new(answer);
        let verdict = self.read(reply.text())?;
        match (&*verdict, about) {
            ("ok", _) => Ok(reply),
            ("unknown", Some(task)) => Err(Error::UnknownTask(task)),
            ("lost", Some(task)) => Err(Error::LeaseLost(task)),
            ("state", Some(task)) => {
                let state = self.read(reply.text())?;
                let state = State::from_name(&state).ok_or(Unreadable("a state"));
                let state = self.read(state)?;
                let reason = if state.is_final() {
                    "it has already ended"
                } else {
                    "only a task that has ended can be removed: cancel it first"
                };
                Err(Error::State { task, state, reason })
            }
            _ => self.read(Err(Unreadable("a verdict"))),
        }
    }

    /// What a fault means. A question that was on its way when the connection went runs out of time
    /// later; by then it is known why.
    fn why(&self, fault: &Fault) -> Error {
        match &*self.seen.borrow() {
            Some(Err(known)) if *fault.kind() == ErrorKind::Timeout => known.clone(),
            _ => fault::in_words(fault, &self.location),
        }
    }

    /// Looks a new connection over.
    async fn check(&self) -> Result<()> {
        let info: Result<String, Fault> = self.client.info(None).await;
        let info = info.map_err(|fault| fault::in_words(&fault, &self.location))?;
        let info = ServerInfo::parse(&info);
        info.check().map_err(|reason| fault::refused(&self.location, reason))?;
        let version = self.run(&self.scripts.open, vec![LAYOUT.to_string()], None).await;
        match version {
            Ok(mut reply) => {
                let found = self.read(reply.number())?.unsigned_abs() as u32;
                if found > LAYOUT {
                    let location = self.location.clone();
                    return Err(Error::Version { location, found, supported: LAYOUT });
                }
            }
            // A full Redis whose layout cannot be marked yet still serves.
            Err(error @ Error::Refused { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "job store"),
        }
        for warning in info.warnings() {
            tracing::warn!(redis = self.location, "{warning}");
        }
        Ok(())
    }

    /// Follows the connection for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let client = self.client.clone();
        keep(client, move |news| Box::pin(self.clone().note(news))).await;
    }

    async fn note(self: Arc<Self>, news: Result<(), Fault>) -> bool {
        let now = match news {
            Ok(()) => self.check().await,
            Err(fault) => Err(fault::in_words(&fault, &self.location)),
        };
        let is_up = now.is_ok();
        self.tell(&now);
        self.seen.send_replace(Some(now));
        is_up
    }

    fn tell(&self, now: &Result<()>) {
        let before = self.seen.borrow().clone();
        match (before, now) {
            (None | Some(Err(_)), Ok(())) => tracing::info!(redis = self.location, "connected"),
            (Some(Err(before)), Err(now)) if before.to_string() == now.to_string() => {}
            (_, Err(error)) => tracing::warn!(%error, "no job store"),
            (Some(Ok(())), Ok(())) => {}
        }
    }
}

/// Keeps a client connected and tells what happens; `told` answers whether the connection is fit
/// for use, and is asked again a little later if not.
pub(super) async fn keep<C>(client: C, told: impl Fn(Result<(), Fault>) -> BoxFuture<'static, bool>)
where
    C: ClientLike + EventInterface,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let (mut faults, mut connects) = (client.error_rx(), client.reconnect_rx());
        match client.init().await {
            Ok(router) => {
                let mut router = AbortOnDrop(router);
                pause = FIRST_PAUSE;
                let mut is_fit = false;
                loop {
                    // In the order in which they come: a connection ends before the next is made.
                    tokio::select! {
                        biased;
                        fault = faults.recv() => match fault {
                            Ok((fault, _)) => is_fit = told(Err(fault)).await,
                            Err(RecvError::Lagged(_)) => {}
                            Err(RecvError::Closed) => break,
                        },
                        connected = connects.recv() => match connected {
                            Ok(_) => is_fit = told(Ok(())).await,
                            Err(RecvError::Lagged(_)) => {}
                            Err(RecvError::Closed) => break,
                        },
                        ended = &mut router.0 => {
                            if let Ok(Err(fault)) = ended {
                                told(Err(fault)).await;
                            }
                            break;
                        }
                        () = sleep(SECOND_LOOK), if !is_fit => {
                            if client.is_connected() {
                                is_fit = told(Ok(())).await;
                            }
                        }
                    }
                }
            }
            Err(fault) => {
                told(Err(fault)).await;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A task of tokio's that ends with its owner.
pub(super) struct AbortOnDrop<T>(pub(super) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
