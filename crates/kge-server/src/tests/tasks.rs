//! From a request to train to the end of its task.

use kge_jobs::{Failure, Heartbeat, Progress};
use serde_json::{Value, json};

use super::{Server, server::PEOPLE};

fn ready() -> (Server, u64) {
    let server = Server::start();
    for plugin in ["transe", "distmult"] {
        server.plugin(plugin);
    }
    let id = server.dataset(&PEOPLE);
    server.post("/algorithms", json!({"algorithm": {"embedding_size": 4, "max_epochs": 3}}));
    (server, id)
}

fn status(server: &Server, id: u64) -> Value {
    server.get(&format!("/datasets/{id}")).json()["dataset"]["status"].clone()
}

#[test]
fn the_old_way_from_queue_to_success() {
    let (server, id) = ready();
    let queued = server.post(&format!("/datasets/{id}/train?algorithm_id=1"), "");
    assert_eq!(queued.status, 202, "{}", queued.text());
    assert_eq!(queued.header("content-type"), "application/json");
    assert_eq!((queued.header("location"), queued.header("retry-after")), ("/tasks/1", "1"));
    let body = queued.json();
    assert_eq!((&body["status"], &body["task"]), (&json!(202), &json!({"id": 1})));
    assert!(body["message"].as_str().unwrap().starts_with("Task 1 created "));

    // The dataset knows before the answer is sent.
    let dataset = server.get(&format!("/datasets/{id}")).json()["dataset"].clone();
    assert_eq!((&dataset["task"], &dataset["status"]), (&json!(1), &json!(0)));
    assert_eq!(dataset["algorithm"]["id"], 1);
    assert_eq!(dataset["algorithm"]["embedding_size"], 4);
    let task = server.get("/tasks/1").json()["task"].clone();
    assert_eq!((&task["state"], &task["id"]), (&json!("PENDING"), &json!(1)));
    assert!(task.get("progress").is_none());

    let claim = server.claim();
    let payload = &claim.task.payload;
    assert_eq!(payload["plugin"]["name"], "transe");
    assert_eq!(payload["plugin"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!((&payload["algorithm_id"], &payload["old_form"]), (&json!(1), &json!(true)));
    assert_eq!((&payload["model"], &payload["revision"]), (&body["model"], &Value::Null));
    let algorithm: kge_embed::Algorithm =
        serde_json::from_value(payload["algorithm"].clone()).unwrap();
    assert_eq!(algorithm, kge_embed::Algorithm::from_old_form(4, 2.0, 3));
    assert_eq!(status(&server, id), 3);

    let progress = Progress { step: 1, current: Some(1), total: Some(3), ..Progress::default() };
    let beat = Heartbeat {
        task: claim.task.id,
        token: claim.token,
        lease: std::time::Duration::from_secs(30),
        progress: Some(progress),
    };
    server.runtime.block_on(server.jobs.heartbeat(beat)).unwrap();
    let task = server.get("/tasks/1?get_debug_info=true").json()["task"].clone();
    assert_eq!(task["state"], "STARTED");
    for (member, value) in [
        ("current", json!(1)),
        ("total", json!(3)),
        ("current_steps", Value::Null),
        ("total_steps", Value::Null),
    ] {
        assert_eq!(task["progress"].get(member), Some(&value), "{member}");
    }
    assert_eq!(task["debug"]["id"], 1);
    assert!(task["debug"].get("celery_uuid").is_some() && task["debug"].get("next").is_some());

    let done = server.jobs.complete(claim.task.id, claim.token, json!({"model": 1}));
    server.runtime.block_on(done).unwrap();
    let over = server.get("/tasks/1");
    assert_eq!((over.status, over.header("location")), (303, "/datasets/1"));
    assert_eq!(over.json()["task"]["state"], "SUCCESS");
    for query in ["no_redirect=true", "no_redirect=1"] {
        let over = server.get(&format!("/tasks/1?{query}"));
        assert_eq!((over.status, over.header("location")), (200, "/datasets/1"));
    }
    // Odd booleans count as not given here.
    assert_eq!(server.get("/tasks/1?no_redirect=maybe").status, 303);
    assert_eq!(server.delete("/tasks/1").status, 409);
    // Tasks outlive their dataset.
    assert_eq!(server.delete(&format!("/datasets/{id}")).status, 204);
    assert_eq!(server.get("/tasks/1?no_redirect=true").status, 200);
    assert_eq!(server.get("/tasks").json()[0]["task"]["id"], 1);
}

#[test]
fn a_failed_task_says_why_and_clears_its_bits() {
    let (server, id) = ready();
    server.post(&format!("/datasets/{id}/train?algorithm=1"), "");
    let claim = server.claim();
    let failure =
        Failure { kind: "plugin".into(), message: "transe: out of fuel".into(), retryable: false };
    server.runtime.block_on(server.jobs.fail(claim.task.id, claim.token, failure)).unwrap();
    let over = server.get("/tasks/1");
    assert_eq!((over.status, &over.json()["task"]["state"]), (200, &json!("FAILURE")));
    assert_eq!(over.json()["task"]["error"]["exception"], "transe: out of fuel");
    assert!(over.json()["task"]["error"]["traceback"].as_str().unwrap().contains("attempt 1"));
    assert_eq!(status(&server, id), 0);
}

#[test]
fn a_trained_dataset_is_only_trained_again_when_told_so() {
    let (server, id) = ready();
    server.model(id, 2, &super::server::rows());
    assert_eq!(status(&server, id), 2);
    let path = format!("/datasets/{id}/train?algorithm=1");
    assert_eq!(server.post(&path, "").status, 409);
    assert_eq!(server.post(&format!("{path}&ignore_status=yes"), "").status, 202);
    assert_eq!(server.post(&format!("{path}&ignore_status=maybe"), "").status, 400);
    // The new form has a body.
    let body = json!({"seed": 7, "promote": false, "evaluate": false});
    assert_eq!(server.post(&path, body).status, 202);
    server.claim();
    let second = server.runtime.block_on(server.jobs.task(kge_jobs::TaskId(2))).unwrap();
    assert_eq!(second.payload["algorithm"]["seed"], 7);
    assert_eq!(second.payload["promote"], false);
    assert_eq!(second.payload["evaluate"], false);
    // A training while trained: 7 would be an index; this is 3.
    assert_eq!(status(&server, id), 3);
}

#[test]
fn what_cannot_be_trained_is_refused_in_words() {
    let (server, id) = ready();
    let path = format!("/datasets/{id}/train");
    let empty = server.dataset(&[]);
    for (path, body, status, words) in [
        (path.clone(), json!(null), 400, "algorithm"),
        (format!("{path}?algorithm=9"), json!(""), 404, "algorithm \"9\""),
        (format!("{path}?algorithm=transx"), json!(""), 404, "\"transe\""),
        ("/datasets/99/train?algorithm=1".into(), json!(""), 404, "dataset \"99\""),
        (format!("/datasets/{empty}/train?algorithm=1"), json!(""), 409, "no triples"),
        (path.clone(), json!({"algorithm": 1, "seeds": 3}), 400, "seeds"),
        (path.clone(), json!({"algorithm": "complex"}), 404, "plugin \"complex\""),
    ] {
        let body = if body.is_object() { body.to_string() } else { String::new() };
        let refused = server.post(&path, body);
        let said = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(refused.status, status, "{path}: {said}");
        assert!(said.contains(words), "{path}: {said}");
    }
    assert_eq!(server.get("/tasks").json(), json!([]));
}

#[test]
fn presets_and_whole_algorithms_are_trained_by_name_or_body() {
    let (server, id) = ready();
    let path = format!("/datasets/{id}/train");
    assert_eq!(server.post(&format!("{path}?algorithm=distmult"), "").status, 202);
    assert_eq!(server.claim().task.payload["plugin"]["name"], "distmult");
    let whole = serde_json::to_value(kge_embed::preset("distmult").unwrap()).unwrap();
    assert_eq!(server.post(&path, json!({"algorithm": whole, "epochs": 2})).status, 202);
    assert_eq!(server.claim_next().task.payload["algorithm"]["epochs"], 2);
}

#[test]
fn tasks_are_cancelled_waiting_or_running() {
    let (server, id) = ready();
    let path = format!("/datasets/{id}/train?algorithm=1");
    server.post(&path, "");
    assert_eq!(server.delete("/tasks/1").status, 204);
    assert_eq!(server.get("/tasks/1").json()["task"]["state"], "REVOKED");
    assert_eq!(server.delete("/tasks/1").status, 204);
    server.post(&path, "");
    server.claim();
    let stopping = server.delete("/tasks/2");
    assert_eq!((stopping.status, stopping.header("location")), (202, "/tasks/2"));
    assert_eq!(stopping.json()["task"]["cancel_requested"], true);
    assert_eq!(server.delete("/tasks/9").status, 404);
}

#[test]
fn tasks_are_listed_by_filter() {
    let (server, id) = ready();
    let other = server.dataset(&PEOPLE);
    for dataset in [id, other, id] {
        server.post(&format!("/datasets/{dataset}/train?algorithm=1"), "");
    }
    let ids = |path: &str| {
        let all = server.get(path).json();
        let all = all.as_array().unwrap().iter().map(|t| t["task"]["id"].as_u64().unwrap());
        all.collect::<Vec<_>>()
    };
    assert_eq!(ids("/tasks"), [3, 2, 1]);
    assert_eq!(ids(&format!("/tasks?dataset={other}")), [2]);
    assert_eq!(ids("/tasks?kind=train&state=PENDING&limit=2"), [3, 2]);
    assert_eq!(ids("/tasks?limit=2&cursor=2"), [1]);
    assert_eq!(server.get("/tasks?state=odd").status, 400);
}

#[test]
fn events_are_followed_and_taken_up_again() {
    let (server, id) = ready();
    server.post(&format!("/datasets/{id}/train?algorithm=1"), "");
    let claim = server.claim();
    let log = server.jobs.log(claim.task.id, claim.token, "log".into(), json!({"line": "hello"}));
    server.runtime.block_on(log).unwrap();
    let done = server.jobs.complete(claim.task.id, claim.token, json!({"model": 1}));
    server.runtime.block_on(done).unwrap();

    let all = server.get("/tasks/1/events");
    assert_eq!(all.header("content-type"), "text/event-stream");
    assert_eq!(all.header("content-encoding"), "");
    let text = all.text();
    assert!(text.contains("event: log\ndata: {") && text.contains("hello"), "{text}");
    let ids: Vec<u64> = text.lines().filter_map(|l| l.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]) && ids.len() >= 2, "{text}");

    let after = |last: u64| {
        server.send("GET", "/tasks/1/events", &[("Last-Event-ID", &last.to_string())], "")
    };
    let rest = after(ids[0]).text();
    assert!(!rest.contains(&format!("id: {}\n", ids[0])) && rest.contains("id: "), "{rest}");
    assert_eq!(after(*ids.last().unwrap()).status, 204);
    assert_eq!(server.get("/tasks/9/events").status, 404);
}

#[test]
fn ended_tasks_are_forgotten_and_others_are_not() {
    let server =
        Server::start_with(|config| config.keep_tasks = Some(std::time::Duration::from_secs(1)));
    server.plugin("transe");
    let id = server.dataset(&PEOPLE);
    for _ in 0..2 {
        let body = json!({"algorithm": "transe"}).to_string();
        assert_eq!(server.post(&format!("/datasets/{id}/train"), body).status, 202);
    }
    let claim = server.claim();
    let failure = Failure { kind: "data".into(), message: "no".into(), retryable: false };
    server.runtime.block_on(server.jobs.fail(claim.task.id, claim.token, failure)).unwrap();
    let began = std::time::Instant::now();
    while server.get("/tasks/1").status != 404 {
        assert!(began.elapsed().as_secs() < 30, "task 1 is still there");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(server.get("/tasks/2").json()["task"]["state"], "PENDING");
}
