//! The contract on a real Redis, started by each test that needs one, and what is Redis's own:
//! outages, power cuts, refusals, memory.

mod faults;
mod server;
mod tls;

use std::{cell::Cell, sync::Arc};

use fred::interfaces::{ClientLike, KeysInterface};

use self::server::Server;
use super::*;
use crate::{
    State,
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
    NewTask::new(Kind::Train, Some(7), json!({ "model": "complex", "dim": 128 }))
}

/// Asks again until the answer is there; an outage ends within seconds.
async fn soon<T>(ask: impl AsyncFn() -> Result<T>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > Duration::from_secs(30) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Runs the conformance suite, each check in a store of its own.
async fn conform(address: &str, two_handles: bool) -> Vec<String> {
    let number = Cell::new(0);
    let failed = conformance::run(async || {
        number.set(number.get() + 1);
        let address = format!("{address}?prefix=check-{}", number.get());
        let store = RedisJobs::open(&address).unwrap();
        if two_handles {
            let worker = Arc::new(RedisJobs::open(&address).unwrap());
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
    let Some(server) = Server::start(&[]) else { return };
    let address = format!("redis+unix://{}", server.socket().display());
    assert_eq!(conform(&address, false).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_keep_the_contract() {
    let Some(server) = Server::start(&[]) else { return };
    assert_eq!(conform(&server.address(), true).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_kill() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = Server::start(&options) else { return };
    let store = Arc::new(RedisJobs::open(&server.address()).unwrap());
    let held = store.enqueue(new()).await.unwrap();
    let claim = store.claim(claimant(1)).await.unwrap().unwrap();
    let ended = store.enqueue(new()).await.unwrap();
    let other = store.claim(claimant(2)).await.unwrap().unwrap();
    store.complete(ended.id, other.token, json!({ "mrr": 0.34 })).await.unwrap();

    // Killed while many are being added: each is answered and kept, or its caller hears an error.
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..2000 {
        let store = store.clone();
        adding.spawn(async move { store.enqueue(new()).await });
    }
    let mut added = Vec::new();
    let mut failed = 0;
    while let Some(answer) = adding.join_next().await {
        match answer.unwrap() {
            Ok(task) => added.push(task),
            Err(error) => {
                failed += 1;
                assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            }
        }
        if added.len() == 100 {
            server.kill();
        }
    }
    assert!(failed > 0, "killed too late");
    server.restart();

    soon(async || store.ping().await).await;
    for task in added {
        assert_eq!(store.task(task.id).await.unwrap(), task);
    }
    let ended = store.task(ended.id).await.unwrap();
    assert_eq!((ended.state, ended.result), (State::Succeeded, Some(json!({ "mrr": 0.34 }))));
    // The lease outlives the outage, and its nonce still gives the same claim.
    let again = store.claim(claimant(1)).await.unwrap().unwrap();
    assert_eq!((again.task.id, again.token), (held.id, claim.token));
    store.complete(held.id, claim.token, json!(null)).await.unwrap();
    let next = store.claim(claimant(3)).await.unwrap().unwrap();
    assert!(next.token > other.token, "{:?} after {:?}", next.token, other.token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_store_starts_anew_and_tokens_still_grow() {
    let Some(mut server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    store.enqueue(new()).await.unwrap();
    let lost = store.claim(claimant(1)).await.unwrap().unwrap();
    server.kill();
    server.restart();
    let made = soon(async || store.enqueue(new()).await).await;
    let claim = store.claim(claimant(2)).await.unwrap().unwrap();
    assert_eq!(claim.task.id, made.id);
    assert!(claim.token > lost.token, "{:?} after {:?}", claim.token, lost.token);
    let late = store.complete(lost.task.id, lost.token, json!(null)).await;
    assert!(matches!(late, Err(Error::LeaseLost(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_script_is_loaded_again() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    store.enqueue(new()).await.unwrap();
    let other = server.client().await;
    let _: () = fred::interfaces::LuaInterface::script_flush(&other, false).await.unwrap();
    store.enqueue(new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_handle_is_woken_by_a_message() {
    let Some(server) = Server::start(&[]) else { return };
    let maker = RedisJobs::open(&server.address()).unwrap();
    let worker = RedisJobs::open(&server.address()).unwrap();
    // The slow poll behind the messages needs up to two seconds: waits must be far shorter.
    let mut quick = 0;
    for nonce in 0..10 {
        while worker.claim(claimant(100 + nonce)).await.unwrap().is_some() {}
        let begun = Instant::now();
        let (woken, made) = tokio::join!(worker.wait_for_work(Duration::from_secs(5)), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            maker.enqueue(new()).await
        });
        woken.unwrap();
        quick += u32::from(begun.elapsed() < Duration::from_millis(200));
        let claim = worker.claim(claimant(nonce)).await.unwrap().unwrap();
        assert_eq!(claim.task.id, made.unwrap().id);
    }
    assert!(quick >= 5, "only {quick} of 10 were quick");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_task_takes_less_than_two_kibibytes() {
    const TASKS: u64 = 2000;
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    store.ping().await.unwrap();
    let admin = server.client().await;
    let used = async || {
        let info: String = admin.info(None).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let before = used().await;
    for nonce in 0..TASKS {
        store.enqueue(new()).await.unwrap();
        let Claim { task, token, .. } = store.claim(claimant(nonce)).await.unwrap().unwrap();
        let progress =
            crate::Progress { step: 1, message: Some("epoch 1".into()), ..Default::default() };
        let lease = Duration::from_secs(30);
        let beat = Heartbeat { task: task.id, token, lease, progress: Some(progress) };
        store.heartbeat(beat).await.unwrap();
        store.complete(task.id, token, json!({ "model": 1, "mrr": 0.34 })).await.unwrap();
    }
    let each = (used().await - before) / TASKS;
    println!("{each} bytes an ended task");
    assert!(each < 2048, "{each} bytes an ended task");
    // Events go a day after the end.
    let left: i64 = admin.ttl("{kge}:events:1").await.unwrap();
    assert!((86_000..=86_400).contains(&left), "{left} s left");
    let far = Timestamp::now().saturating_add(Duration::from_secs(60)).unwrap();
    assert_eq!(store.forget_ended(far).await.unwrap(), TASKS);
    assert!(store.tasks(Filter::default(), None, 10).await.unwrap().is_empty());
    let keys: Vec<String> = server.keys().await;
    assert_eq!(keys, ["{kge}:meta", "{kge}:ping"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_deleted_by_hand_do_not_stop_the_queue() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    let parent = store.enqueue(NewTask::new(Kind::Tune, None, json!({}))).await.unwrap();
    let briefly = Claimant { lease: Duration::from_millis(10), ..claimant(1) };
    let mut gone = vec![store.enqueue(new()).await.unwrap().id];
    store.claim(briefly).await.unwrap().unwrap();
    let late = NewTask { delay: Duration::from_millis(10), ..new() };
    gone.push(store.enqueue(late).await.unwrap().id);
    gone.push(store.enqueue(NewTask { parent: Some(parent.id), ..new() }).await.unwrap().id);
    gone.push(store.enqueue(new()).await.unwrap().id);
    store.cancel(gone[3]).await.unwrap();
    let left = store.enqueue(new()).await.unwrap();
    let admin = server.client().await;
    for id in gone {
        let _: () = admin.del(format!("{{kge}}:task:{id}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let claim = soon(async || {
        let claim = store.claim(claimant(2)).await.unwrap();
        claim.ok_or(Error::UnknownTask(left.id))
    })
    .await;
    assert_eq!(claim.task.id, left.id);
    store.cancel(parent.id).await.unwrap();
    let listed = store.tasks(Filter::default(), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|task| task.id).collect::<Vec<_>>(), [left.id, parent.id]);
    let far = Timestamp::now().saturating_add(Duration::from_secs(60)).unwrap();
    store.forget_ended(far).await.unwrap();
    assert!(store.claim(claimant(3)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_paged() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    let first = store.enqueue(NewTask::new(Kind::Export, None, json!(1))).await.unwrap();
    for _ in 0..(2 * PAGE + 1) {
        store.enqueue(new()).await.unwrap();
    }
    let all = store.tasks(Filter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(all.len(), 2 * PAGE + 2);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    let exports = Filter { kind: Some(Kind::Export), ..Filter::default() };
    let found = store.tasks(exports, None, 5).await.unwrap();
    assert_eq!(found, [first]);
}
