//! The contract on SQLite, and what is SQLite's own: files, processes, damage.

use std::{cell::Cell, time::Instant};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    Error, State,
    conformance::{self, Handles},
};

fn claimant(nonce: u64) -> Claimant {
    Claimant {
        worker: WorkerId("worker".into()),
        kinds: vec![Kind::Train],
        features: vec![],
        nonce,
        lease: Duration::from_secs(60),
    }
}

fn new() -> NewTask {
    NewTask::new(Kind::Train, None, json!({}))
}

/// Runs the conformance suite on stores that `spoil` has had its hands on.
async fn conform(two_handles: bool, spoil: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let number = Cell::new(0);
    let failed = conformance::run(async || {
        number.set(number.get() + 1);
        let path = folder.path().join(number.get().to_string());
        let store = SqliteJobs::open(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch(spoil).unwrap();
        if two_handles {
            let worker = Arc::new(SqliteJobs::open(&path).unwrap());
            Handles { server: Arc::new(store), worker }
        } else {
            Handles::same(store)
        }
    })
    .await;
    failed.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_handle_keeps_the_contract() {
    assert_eq!(conform(false, "").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_on_one_file_keep_the_contract() {
    assert_eq!(conform(true, "").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_breaks_the_contract_is_found_out() {
    // Triggers that make the store forget, one sort of harm each, and a check that must notice.
    for (harm, noticed_by) in [
        (
            "CREATE TRIGGER harm AFTER INSERT ON task BEGIN UPDATE task SET priority = 0; END",
            "the_highest_priority_is_claimed_first_then_the_oldest",
        ),
        (
            "CREATE TRIGGER harm AFTER UPDATE OF lease_expiry ON task \
             BEGIN UPDATE task SET lease_expiry = NEW.lease_expiry + 100000 WHERE id = NEW.id; END",
            "an_expired_lease_is_reaped",
        ),
        (
            "CREATE TRIGGER harm AFTER UPDATE OF nonce ON task \
             BEGIN UPDATE task SET nonce = NULL WHERE id = NEW.id; END",
            "a_nonce_gives_the_same_live_claim",
        ),
        (
            "CREATE TRIGGER harm BEFORE DELETE ON event BEGIN SELECT raise(IGNORE); END",
            "the_event_stream_is_ordered_and_bounded",
        ),
        (
            "CREATE TRIGGER harm AFTER UPDATE OF tries ON task WHEN NEW.tries < OLD.tries \
             BEGIN UPDATE task SET tries = OLD.tries WHERE id = OLD.id; END",
            "handing_back_costs_no_attempt",
        ),
        (
            "CREATE TRIGGER harm BEFORE INSERT ON paused BEGIN SELECT raise(IGNORE); END",
            "a_paused_kind_is_not_handed_out",
        ),
    ] {
        let failed = conform(false, harm).await;
        assert!(
            failed.iter().any(|failed| failed.starts_with(noticed_by)),
            "{harm}: only {failed:?} noticed"
        );
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/er/jobs");
    let store = SqliteJobs::open(&path).unwrap();
    let running = store.enqueue(new()).await.unwrap();
    let queued = store.enqueue(new()).await.unwrap();
    let claim = store.claim(claimant(1)).await.unwrap().unwrap();
    drop(store);
    let store = SqliteJobs::open(&path).unwrap();
    assert_eq!(store.task(running.id).await.unwrap().state, State::Running);
    assert_eq!(store.task(queued.id).await.unwrap(), queued);
    let again = store.claim(claimant(1)).await.unwrap().unwrap();
    assert_eq!((again.task.id, again.token), (running.id, claim.token));
    store.complete(running.id, claim.token, json!(1)).await.unwrap();
}

#[tokio::test]
async fn a_command_nobody_waits_for_is_done_before_the_file_closes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs");
    let store = SqliteJobs::open(&path).unwrap();
    for _ in 0..50 {
        // Sent, and given up before the answer.
        let _ = tokio::time::timeout(Duration::ZERO, store.enqueue(new())).await;
    }
    drop(store);
    let store = SqliteJobs::open(&path).unwrap();
    assert_eq!(store.tasks(Filter::default(), None, 100).await.unwrap().len(), 50);
}

#[tokio::test]
async fn one_failing_command_spoils_no_other_in_its_group() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(SqliteJobs::open(&folder.path().join("jobs")).unwrap());
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = store.clone();
        waiting.spawn(async move {
            let work = move |step: &mut step::Step<'_>| {
                let made = transitions::enqueue(step, &new())?;
                if number % 2 == 0 { Ok(made) } else { Err(Error::UnknownTask(made.id).into()) }
            };
            store.writer.run(work).await
        });
    }
    let kept = waiting.join_all().await.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(kept, 10);
    assert_eq!(store.tasks(Filter::default(), None, 100).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_handle_is_woken_through_its_socket() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs");
    let (server, worker) = (SqliteJobs::open(&path).unwrap(), SqliteJobs::open(&path).unwrap());
    // The slow poll behind the sockets needs up to a second: most waits must be far shorter.
    let mut quick = 0;
    for nonce in 0..10 {
        assert!(worker.claim(claimant(100 + nonce)).await.unwrap().is_none());
        let begun = Instant::now();
        let (woken, made) = tokio::join!(worker.wait_for_work(Duration::from_secs(5)), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            server.enqueue(new()).await
        });
        woken.unwrap();
        quick += u32::from(begun.elapsed() < Duration::from_millis(200));
        let claim = worker.claim(claimant(nonce)).await.unwrap().unwrap();
        assert_eq!(claim.task.id, made.unwrap().id);
    }
    assert!(quick >= 5, "only {quick} of 10 were quick");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_openers_of_a_new_file_agree() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs");
    let openers: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || SqliteJobs::open(&path))
        })
        .collect();
    for opener in openers {
        opener.await.unwrap().unwrap().ping().await.unwrap();
    }
}

#[test]
fn files_that_cannot_serve_are_refused_in_words() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refusal = |path: &Path| SqliteJobs::open(path).err().unwrap().to_string();

    fs::write(at("text"), "shopping list ".repeat(1000)).unwrap();
    let told = refusal(&at("text"));
    assert!(told.contains("not a database of this program"), "{told}");

    let told = refusal(&at("text/jobs"));
    assert!(told.contains("cannot make"), "{told}");

    fs::create_dir(at("folder")).unwrap();
    let told = refusal(&at("folder"));
    assert!(told.contains("cannot be opened for writing"), "{told}");

    drop(SqliteJobs::open(&at("torn")).unwrap());
    let mut bytes = fs::read(at("torn")).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0x5a);
    fs::write(at("torn"), bytes).unwrap();
    let told = refusal(&at("torn"));
    assert!(told.contains("damaged"), "{told}");

    drop(SqliteJobs::open(&at("newer")).unwrap());
    Connection::open(at("newer")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let told = refusal(&at("newer"));
    assert!(told.contains("has version 99, this release reads up to 1"), "{told}");
}
