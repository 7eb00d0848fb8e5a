//! Who is woken by a change: waiters of this process at once, other processes through sockets.
//!
//! Every open store binds a datagram socket in `<database>.wake/`; after a commit the writer
//! sends the changed tasks' numbers to all others there. A message is a hint and may be lost:
//! once a second each store asks SQLite whether the file has changed, and wakes everybody if so.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::{TaskId, waiters::Waiters};

/// How late a waiter may be when a message is lost.
const SLOW_POLL: Duration = Duration::from_secs(1);

/// A socket that nobody reads is removed when it is older than this; a younger one may be
/// about to be bound.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// Numbers in one datagram.
const NUMBERS: usize = 512;

/// In a datagram: a task may be ready. Tasks' own numbers begin at 1.
const WORK: u64 = 0;

/// What a transaction changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Woken {
    work: bool,
    tasks: Vec<TaskId>,
}

impl Woken {
    /// A task may have become ready.
    pub(super) fn work(&mut self) {
        self.work = true;
    }

    /// The task has something new to tell.
    pub(super) fn task(&mut self, task: TaskId) {
        if self.tasks.last() != Some(&task) {
            self.tasks.push(task);
        }
    }

    fn is_empty(&self) -> bool {
        !self.work && self.tasks.is_empty()
    }

    fn datagrams(&self) -> Vec<Vec<u8>> {
        let work = self.work.then_some(WORK);
        let numbers: Vec<u64> =
            work.into_iter().chain(self.tasks.iter().map(|task| task.0)).collect();
        numbers
            .chunks(NUMBERS)
            .map(|chunk| chunk.iter().flat_map(|number| number.to_le_bytes()).collect())
            .collect()
    }

    fn from_datagram(bytes: &[u8]) -> Self {
        let mut woken = Self::default();
        for number in bytes.as_chunks::<8>().0 {
            match u64::from_le_bytes(*number) {
                WORK => woken.work = true,
                task => woken.tasks.push(TaskId(task)),
            }
        }
        woken
    }
}

/// Wakes waiters here and in other processes.
pub(super) struct Bell {
    waiters: Waiters,
    door: Option<Door>,
    stop: AtomicBool,
}

impl Bell {
    /// A bell for the database at this path; without sockets only the slow poll reaches others.
    pub(super) fn new(database: &Path) -> Self {
        let door = Door::open(database)
            .inspect_err(|error| {
                tracing::warn!(
                    database = %database.display(),
                    %error,
                    "no wake-up socket: other processes hear of new tasks up to 1 s late"
                );
            })
            .ok();
        Self { waiters: Waiters::new(), door, stop: AtomicBool::new(false) }
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Wakes everybody whom this concerns.
    pub(super) fn ring(&self, woken: &Woken) {
        if woken.is_empty() {
            return;
        }
        self.ring_here(woken);
        if let Some(door) = &self.door {
            door.send(&woken.datagrams());
        }
    }

    fn ring_here(&self, woken: &Woken) {
        if woken.work {
            self.waiters.work_appeared();
        }
        for &task in &woken.tasks {
            self.waiters.ring(task);
        }
    }
}

/// The thread that hears other processes.
pub(super) struct Listener {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// `db` is a connection of its own, asked once a second whether the file has changed.
    pub(super) fn start(bell: Arc<Bell>, db: Connection) -> io::Result<Self> {
        let ears = bell.clone();
        let thread = thread::Builder::new()
            .name("kge-jobs-wake".to_owned())
            .spawn(move || listen(&ears, &db))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.bell.stop.store(true, Ordering::Release);
        if let Some(door) = &self.bell.door {
            door.knock();
        }
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn listen(bell: &Bell, db: &Connection) {
    let version = || db.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).ok();
    let mut seen = version();
    let mut polled = Instant::now();
    let mut buffer = [0; NUMBERS * 8];
    while !bell.stop.load(Ordering::Acquire) {
        let heard = match &bell.door {
            Some(door) => door.socket.recv(&mut buffer).ok(),
            None => {
                thread::park_timeout(SLOW_POLL);
                None
            }
        };
        if let Some(length) = heard {
            bell.ring_here(&Woken::from_datagram(&buffer[..length]));
        }
        if polled.elapsed() >= SLOW_POLL {
            polled = Instant::now();
            let now = version();
            if now != seen {
                seen = now;
                bell.waiters.ring_everything();
            }
        }
    }
}

/// This store's socket, and the folder where the others' are.
struct Door {
    folder: PathBuf,
    /// Held open: a socket's address is at most 107 bytes long, the folder's path may be longer,
    /// and `/proc/self/fd/N` is the same folder under a short name.
    opened: File,
    name: String,
    socket: UnixDatagram,
    sender: UnixDatagram,
}

impl Door {
    fn open(database: &Path) -> io::Result<Self> {
        let mut folder = database.as_os_str().to_owned();
        folder.push(".wake");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        let opened = File::open(&folder)?;
        // Processes in different containers may have the same number.
        let name = format!("{}-{:016x}.sock", std::process::id(), random()?);
        let socket = UnixDatagram::bind(address(&folder, &opened, &name))?;
        socket.set_read_timeout(Some(SLOW_POLL))?;
        let sender = UnixDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        Ok(Self { folder, opened, name, socket, sender })
    }

    /// Sends to all others. A full queue is left alone: its owner has been woken already.
    fn send(&self, datagrams: &[Vec<u8>]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == self.name {
                continue;
            }
            let address = address(&self.folder, &self.opened, name);
            for datagram in datagrams {
                let Err(error) = self.sender.send_to(datagram, &address) else { continue };
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    remove_if_older(&entry.path(), STALE_AFTER);
                }
                break;
            }
        }
    }

    /// Wakes its own thread.
    fn knock(&self) {
        let own = address(&self.folder, &self.opened, &self.name);
        let _ = self.sender.send_to(&[], own);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(&self.name));
    }
}

fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

fn address(folder: &Path, opened: &File, name: &str) -> PathBuf {
    const LONGEST: usize = 107;
    let plain = folder.join(name);
    if plain.as_os_str().len() <= LONGEST {
        return plain;
    }
    PathBuf::from(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))
}

fn remove_if_older(socket: &Path, limit: Duration) {
    let age = fs::symlink_metadata(socket)
        .and_then(|data| data.modified())
        .ok()
        .and_then(|made| made.elapsed().ok());
    if age.is_some_and(|age| age > limit) {
        let _ = fs::remove_file(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let many: Vec<TaskId> = (1..=NUMBERS as u64).map(TaskId).collect();
        for (woken, datagrams) in [
            (Woken { work: true, tasks: vec![] }, 1),
            (Woken { work: false, tasks: vec![TaskId(7), TaskId(u64::MAX)] }, 1),
            (Woken { work: true, tasks: many }, 2),
        ] {
            let sent = woken.datagrams();
            assert_eq!(sent.len(), datagrams);
            let mut heard = Woken::default();
            for datagram in &sent {
                let part = Woken::from_datagram(datagram);
                heard.work |= part.work;
                heard.tasks.extend(part.tasks);
            }
            assert_eq!(heard, woken);
        }
        assert_eq!(Woken::from_datagram(b"garbage"), Woken::default());
    }

    #[test]
    fn dead_sockets_hinder_nobody_and_go_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs");
        let door = Door::open(&database).unwrap();
        let dead = door.folder.join("1-dead.sock");
        drop(UnixDatagram::bind(&dead).unwrap());
        let other = Door::open(&database).unwrap();
        door.send(&[vec![0; 8]]);
        assert_eq!(other.socket.recv(&mut [1; 16]).unwrap(), 8);
        assert!(dead.exists(), "a young socket may be about to be bound");
        remove_if_older(&dead, Duration::ZERO);
        assert!(!dead.exists());
    }

    #[test]
    fn a_long_path_has_a_short_address() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let database = deep.join("jobs");
        let (one, two) = (Door::open(&database).unwrap(), Door::open(&database).unwrap());
        one.send(&[vec![0; 8]]);
        let mut buffer = [1; 16];
        assert_eq!(two.socket.recv(&mut buffer).unwrap(), 8);
        let socket = two.folder.join(&two.name);
        drop(two);
        assert!(!socket.exists());
    }
}
