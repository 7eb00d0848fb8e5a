//! The tables, their version, and how an older file becomes a newer one.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Fault;
use crate::Error;

/// Marks the file as ours ("kgej"), so that somebody else's database is never written to.
const APPLICATION_ID: i32 = 0x6b67_656a;

/// `UPGRADES[n]` makes version `n + 1` from version `n`.
const UPGRADES: &[&str] = &[FIRST];

/// Times are milliseconds since 1970. What is only carried, never searched, is JSON text.
const FIRST: &str = "
CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    dataset INTEGER,
    parent INTEGER,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    payload TEXT NOT NULL,
    features TEXT NOT NULL,           -- JSON array, what a worker must offer
    max_attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, -- attempts that count: not those handed back
    attempts TEXT NOT NULL DEFAULT '[]',
    progress TEXT,
    result TEXT,
    error TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER,
    -- the live claim, NULL unless running
    worker TEXT,
    nonce INTEGER,
    token INTEGER,
    lease_expiry INTEGER,
    last_event INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX task_ready ON task (kind, priority DESC, id) WHERE state = 'queued';
CREATE INDEX task_delayed ON task (ready_at) WHERE state = 'delayed';
CREATE INDEX task_lease ON task (lease_expiry) WHERE state = 'running';
CREATE INDEX task_claim ON task (worker, nonce) WHERE state = 'running';
CREATE INDEX task_finished ON task (finished) WHERE finished IS NOT NULL;
CREATE INDEX task_dataset ON task (dataset, id);
CREATE INDEX task_parent ON task (parent) WHERE parent IS NOT NULL;

CREATE TABLE event (
    task INTEGER NOT NULL,
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (task, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    info TEXT NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE paused (kind TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('token', 0);
";

/// Brings the file to the newest version, in one transaction.
pub(super) fn upgrade(db: &mut Connection, location: &str) -> Result<(), Fault> {
    upgrade_with(db, location, UPGRADES)
}

fn upgrade_with(db: &mut Connection, location: &str, upgrades: &[&str]) -> Result<(), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let owner: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: u32 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = tables == 0 && found == 0 && owner == 0;
    if !fresh && owner != APPLICATION_ID {
        return Err(Fault::Job(Error::Unavailable {
            location: location.to_owned(),
            reason: "it is a database of another program: give another state directory".into(),
        }));
    }
    let supported = upgrades.len() as u32;
    if found > supported {
        let location = location.to_owned();
        return Err(Fault::Job(Error::Version { location, found, supported }));
    }
    if found == supported {
        return Ok(());
    }
    for statements in &upgrades[found as usize..] {
        transaction.execute_batch(statements)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", supported)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> u32 {
        db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_file_gets_only_the_upgrades_it_lacks() {
        let mut db = Connection::open_in_memory().unwrap();
        let both = [FIRST, "ALTER TABLE task ADD COLUMN colour TEXT"];
        upgrade_with(&mut db, "here", &both[..1]).unwrap();
        db.execute_batch("INSERT INTO paused VALUES ('train')").unwrap();
        upgrade_with(&mut db, "here", &both).unwrap();
        upgrade_with(&mut db, "here", &both).unwrap();
        assert_eq!(version(&db), 2);
        db.query_row("SELECT kind FROM paused", [], |row| row.get::<_, String>(0)).unwrap();
        db.prepare("SELECT colour FROM task").unwrap();
    }

    #[test]
    fn a_failed_upgrade_leaves_the_file_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade(&mut db, "here").unwrap();
        let broken = [FIRST, "CREATE TABLE more (x) ; SELECT * FROM nothing_such"];
        upgrade_with(&mut db, "here", &broken).unwrap_err();
        assert_eq!(version(&db), 1);
        db.prepare("SELECT x FROM more").unwrap_err();
    }

    #[test]
    fn a_newer_file_is_refused_in_words() {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade(&mut db, "here").unwrap();
        db.pragma_update(None, "user_version", 7).unwrap();
        let error = upgrade(&mut db, "here").unwrap_err().in_words("here");
        assert_eq!(
            error.to_string(),
            "job store here has version 7, this release reads up to 1: \
             use a newer release, or another state directory"
        );
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        let error = upgrade(&mut db, "here").unwrap_err().in_words("here");
        assert!(error.to_string().contains("another program"), "{error}");
        assert_eq!(version(&db), 0);
    }
}
