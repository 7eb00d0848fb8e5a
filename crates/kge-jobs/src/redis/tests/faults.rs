//! Redis away, paused, full, locked, read-only or too new: each said in words, nothing lost.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use fred::types::CustomCommand;

use super::*;

/// The first word that a store at this address has to say.
async fn told(address: &str) -> Error {
    let answer = RedisJobs::open(address).unwrap().ping().await;
    answer.expect_err(address)
}

fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Refused { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_at_the_start_is_said_at_once_and_ends_by_itself() {
    let Some(mut server) = Server::away(&[]) else { return };
    let begun = Instant::now();
    let store = RedisJobs::open(&server.address()).unwrap();
    let error = store.enqueue(new()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let expected = format!("job store {}: cannot be reached: Connection refused", server.address());
    assert_eq!(error.to_string(), expected);
    assert!(!is_refused(&error), "waiting helps");
    server.restart();
    soon(async || store.enqueue(new()).await).await;

    let error = told("redis://no-such-host.invalid").await;
    assert!(error.to_string().contains("cannot be reached: failed to lookup"), "{error}");
    let error = told("redis+unix:///nowhere/socket").await;
    assert!(error.to_string().contains("cannot be reached: No such file"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_in_the_middle_is_said_at_once_and_waits_go_on_after_it() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = Server::start(&options) else { return };
    let store = Arc::new(RedisJobs::open(&server.address()).unwrap());
    let worker = Arc::new(RedisJobs::open(&server.address()).unwrap());
    let made = store.enqueue(new()).await.unwrap();
    let claim = worker.claim(claimant(1)).await.unwrap().unwrap();
    server.kill();

    let begun = Instant::now();
    let error = store.task(made.id).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    let error = store.task(made.id).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("cannot be reached"), "{error}");

    server.restart();
    let beat = || Heartbeat {
        task: made.id,
        token: claim.token,
        lease: Duration::from_secs(60),
        progress: None,
    };
    soon(async || worker.heartbeat(beat()).await).await;
    soon(async || store.ping().await).await;
    let holder = worker.clone();
    let patience = Duration::from_secs(20);
    let waits =
        tokio::spawn(async move { holder.wait_for_cancel(made.id, claim.token, patience).await });
    store.cancel(made.id).await.unwrap();
    assert!(waits.await.unwrap().unwrap(), "the holder was not told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_does_not_hold_callers_for_ever() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    store.ping().await.unwrap();
    server.signal("STOP");
    let begun = Instant::now();
    let error = store.enqueue(new()).await.unwrap_err();
    let waited = begun.elapsed();
    server.signal("CONT");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    assert!(error.to_string().contains("does not answer"), "{error}");
    soon(async || store.ping().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_hears_why() {
    let Some(server) = Server::start(&["--requirepass", "hunter2", "--databases", "4"]) else {
        return;
    };
    let host = server.address().replace("redis://", "");
    RedisJobs::open(&format!("redis://:hunter2@{host}/3")).unwrap().ping().await.unwrap();
    for (address, why) in [
        (format!("redis://:wrong-hunter@{host}"), "wrong user name or password"),
        (format!("redis://nobody:hunter2@{host}"), "wrong user name or password"),
        (format!("redis://{host}"), "it asks for a password"),
        (format!("redis://:hunter2@{host}/4"), "it has no database of that number"),
    ] {
        let error = told(&address).await;
        assert!(is_refused(&error), "{error}");
        let error = error.to_string();
        assert!(error.contains(why), "{address}: {error}");
        assert!(!error.contains("hunter"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_is_noticed_and_mended() {
    let Some(mut server) = Server::start(&["--requirepass", "first"]) else { return };
    let host = server.address().replace("redis://", "");
    let store = RedisJobs::open(&format!("redis://:first@{host}")).unwrap();
    store.ping().await.unwrap();
    for (password, fits) in [("second", false), ("first", true)] {
        server.kill();
        server.set_options(&["--requirepass", password]);
        server.restart();
        soon(async || {
            let answer = store.ping().await;
            let as_expected =
                answer.is_ok() == fits && answer.as_ref().err().is_none_or(is_refused);
            if as_expected { Ok(()) } else { answer.and(Err(Error::UnknownTask(TaskId(0)))) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_takes_no_task_but_lets_all_others_end() {
    let Some(server) = Server::start(&["--maxmemory", "6mb"]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    let mut made = Vec::new();
    for nonce in 0..4 {
        made.push(store.enqueue(new()).await.unwrap().id);
        if nonce < 3 {
            store.claim(claimant(nonce)).await.unwrap().unwrap();
        }
    }
    let mut fill = Vec::new();
    let mut errors = Vec::new();
    // Large ones first; where they no longer fit, small ones may.
    for size in [20_000, 1000, 10, 0, 0, 0] {
        let text = json!({ "text": "x".repeat(size) });
        loop {
            match store.enqueue(NewTask::new(Kind::Export, None, text.clone())).await {
                Ok(task) => fill.push(task.id),
                Err(error) => break errors.push(error),
            }
            assert!(fill.len() < 2000, "it never fills up");
        }
    }
    let error = errors.pop().unwrap();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("it is full: raise its maxmemory"), "{error}");
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("it is full"), "{error}");
    // A new handle can still come in.
    let store = RedisJobs::open(&server.address()).unwrap();

    let claims: Vec<Claim> = {
        let mut claims = Vec::new();
        for nonce in 0..4 {
            claims.push(store.claim(claimant(nonce)).await.unwrap().unwrap());
        }
        claims
    };
    assert_eq!(claims.iter().map(|claim| claim.task.id).collect::<Vec<_>>(), made);
    let progress = crate::Progress { step: 7, ..Default::default() };
    let lease = Duration::from_secs(60);
    let (task, token) = (claims[0].task.id, claims[0].token);
    store.heartbeat(Heartbeat { task, token, lease, progress: Some(progress) }).await.unwrap();
    store.complete(task, token, json!({ "mrr": 0.5 })).await.unwrap();
    let failure = Failure { kind: "io".into(), message: "lost".into(), retryable: false };
    store.fail(claims[1].task.id, claims[1].token, failure).await.unwrap();
    store.hand_back(claims[2].task.id, claims[2].token).await.unwrap();
    store.cancel(claims[3].task.id).await.unwrap();
    store.acknowledge_cancel(claims[3].task.id, claims[3].token).await.unwrap();
    store.pause(Kind::Export, true).await.unwrap();
    assert!(store.ping().await.is_err(), "it is still full");
    for id in fill.iter().take(40) {
        store.cancel(*id).await.unwrap();
        store.remove(*id).await.unwrap();
    }
    store.ping().await.unwrap();
    store.enqueue(new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_named_as_such() {
    let Some(server) = Server::start(&["--replicaof", "127.0.0.1", "1"]) else { return };
    let error = told(&server.address()).await;
    assert!(error.to_string().contains("it is a replica"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_layout_is_refused() {
    let Some(server) = Server::start(&[]) else { return };
    RedisJobs::open(&server.address()).unwrap().ping().await.unwrap();
    let admin = server.client().await;
    let _: () = fred::interfaces::LuaInterface::eval(
        &admin,
        "redis.call('HSET', KEYS[1], 'version', '2')",
        "{kge}:meta",
        Vec::<String>::new(),
    )
    .await
    .unwrap();
    let error = told(&server.address()).await;
    assert!(matches!(error, Error::Version { found: 2, supported: 1, .. }), "{error}");
}

/// Answers as a Redis of this version would, as far as a greeting goes.
fn pretend(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let info = format!("redis_version:{version}\r\n");
                    let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let answer = match asked.contains("INFO") {
                        true => format!("${}\r\n{info}\r\n", info.len()),
                        false => ":1\r\n".to_owned(),
                    };
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_redis_is_refused() {
    let error = told(&pretend("6.0.16")).await;
    assert!(is_refused(&error), "{error}");
    let expected = "it is Redis 6.0.16; 6.2 or newer is needed";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_made_again() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisJobs::open(&server.address()).unwrap();
    let worker = RedisJobs::open(&server.address()).unwrap();
    worker.ping().await.unwrap();
    let admin = server.client().await;
    for kind in ["pubsub", "normal"] {
        let kill = CustomCommand::new_static("CLIENT", None::<u16>, false);
        let _: i64 = admin.custom(kill, vec!["KILL", "TYPE", kind]).await.unwrap();
        let mut quick = false;
        for nonce in 0..10 {
            let nonce = 100 * (nonce + 1);
            soon(async || {
                while worker.claim(claimant(nonce)).await?.is_some() {}
                Ok(())
            })
            .await;
            let begun = Instant::now();
            let (_, made) = tokio::join!(worker.wait_for_work(Duration::from_secs(5)), async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                soon(async || store.enqueue(new()).await).await
            });
            quick = begun.elapsed() < Duration::from_millis(600);
            let claim = soon(async || worker.claim(claimant(nonce + 1)).await).await.unwrap();
            worker.complete(made.id, claim.token, json!(null)).await.unwrap();
            if quick {
                break;
            }
        }
        assert!(quick, "no message comes through after {kind} connections were cut");
    }
}
