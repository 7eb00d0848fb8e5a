//! The queue in a Redis: shared by processes, lost for a while, found again.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kge_jobs::{JobStore, Kind, Needs, NewTask, RedisJobs};
use serde_json::json;

use crate::house::{House, KGE, complex, kge, kge_json, plugins};

const PATIENCE: Duration = Duration::from_secs(120);

/// A Redis that keeps what it was told, with the password `hunter2`.
pub(crate) struct Redis {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// `None`, said aloud, where there is no `redis-server` outside CI.
    pub(crate) fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut programs = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
        let Some(program) = programs.find(|program| program.is_file()) else {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not installed");
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut redis = Self { program, folder, port, child: None };
        redis.restart();
        Some(redis)
    }

    fn restart(&mut self) {
        let child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--requirepass", "hunter2", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn address(&self, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A ring of towns, and which country each lies in.
fn towns(folder: &Path) -> u64 {
    let mut file = std::fs::File::create(folder.join("towns.tsv")).unwrap();
    for town in 0..60 {
        writeln!(file, "town{town}\troad\ttown{}", (town + 1) % 60).unwrap();
        writeln!(file, "town{town}\tlies_in\tcountry{}", town / 10).unwrap();
    }
    120
}

fn ready(house: &House) -> (u16, String) {
    let (status, body) = house.send("GET", "/health/ready", None, Vec::new());
    (status, body["problems"][0].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_outage_of_redis_is_said_and_costs_nothing() {
    let Some(mut redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let triples = towns(folder.path());
    // The password comes from a file, and is no process's argument.
    std::fs::write(folder.path().join("address"), redis.address("hunter2") + "\n").unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let house = House::open_logged(folder.path(), &[("KGE_JOBS_FILE", "address")], log);

    house.post("/datasets?dataset_type=0", &json!({ "name": "towns", "description": "" }));
    let bytes = std::fs::read(folder.path().join("towns.tsv")).unwrap();
    let media_type = Some("text/tab-separated-values");
    let (status, body) = house.send("POST", "/datasets/1/triples", media_type, bytes);
    assert!(status < 300, "{body}");
    if let Some(task) = body["task"]["id"].as_u64() {
        house.finish(task, PATIENCE);
    }
    assert_eq!(house.get("/datasets/1")["dataset"]["triples"], triples);
    house.finish(house.train(1, &complex(8, 5)), PATIENCE);
    let similar = house.get("/datasets/1/similar_entities/town7");
    assert_eq!(ready(&house).0, 200);

    // Redis dies under a training, and comes back before the lease is over.
    house.post("/algorithms", &json!({ "algorithm": complex(8, 30_000) }));
    let path = "/datasets/1/train?algorithm=2&ignore_status=true";
    let long = house.post(path, &serde_json::Value::Null)["task"]["id"].as_u64().unwrap();
    house.until(long, PATIENCE, |state| state == "STARTED");
    redis.kill();
    let began = Instant::now();
    let (status, problem) = loop {
        let answer = ready(&house);
        if answer.0 == 503 || began.elapsed() > PATIENCE {
            break answer;
        }
    };
    let expected = format!("job store redis://127.0.0.1:{}: cannot be reached", redis.port);
    assert!(status == 503 && problem.starts_with(&expected), "{status} {problem}");
    let (status, problem) = house.send("GET", "/tasks/1", None, Vec::new());
    assert_eq!((status, &problem["retryable"]), (503, &json!(true)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("cannot be reached"), "{problem}");
    assert_eq!(house.header("/health/ready", "retry-after").as_deref(), Some("5"));
    assert_eq!(house.header("/tasks/1", "retry-after").as_deref(), Some("5"));
    assert_eq!(house.get("/datasets/1/similar_entities/town7"), similar);

    redis.restart();
    let began = Instant::now();
    while ready(&house).0 != 200 {
        assert!(began.elapsed() < PATIENCE, "{}", ready(&house).1);
        std::thread::sleep(Duration::from_millis(50));
    }
    house.finish(long, PATIENCE);
    let address = redis.address("hunter2");
    let arguments = ["--jobs", &address, "--data", "data", "tasks", "show", &long.to_string()];
    let task = kge_json(folder.path(), &arguments);
    assert_eq!(task["attempts"].as_array().unwrap().len(), 1, "{task}");

    drop(house);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("cannot be reached"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_redis_that_refuses_ends_the_start_in_words() {
    let Some(redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (address, code, why) in [
        (redis.address("wrong-hunter2"), 1, "wrong user name or password"),
        (redis.address("hunter2") + "/99", 1, "it has no database of that number"),
        (redis.address("hunter2") + "/first", 2, "expected a number from 0 to 255"),
        ("postgres://:hunter2@host".to_owned(), 2, "expected redis://"),
    ] {
        for command in ["serve", "worker"] {
            let arguments = ["--jobs", &address, "--data", "data", command];
            let output = kge(folder.path(), &arguments);
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{command} {errors}");
            assert!(errors.contains(why), "{command} {address}: {errors}");
            assert!(!errors.contains("hunter2"), "{errors}");
        }
    }
}

#[test]
fn a_server_and_a_worker_start_before_their_redis() {
    let Some(mut redis) = Redis::start() else { return };
    redis.kill();
    let folder = tempfile::tempdir().unwrap();
    let address = redis.address("hunter2");
    let house = House::open_with(folder.path(), &[("KGE_JOBS", &address)]);
    let (status, problem) = ready(&house);
    assert!(status == 503 && problem.contains("Connection refused"), "{status} {problem}");
    let mut worker = Command::new(KGE)
        .args(["worker", "--data", "data"])
        .arg("--plugins")
        .arg(plugins())
        .env("KGE_JOBS", &address)
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    redis.restart();
    let began = Instant::now();
    loop {
        let (_, workers) = house.send("GET", "/workers", None, Vec::new());
        if workers.as_array().is_some_and(|workers| workers.len() == 2) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{workers}");
        std::thread::sleep(Duration::from_millis(50));
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn tasks_of_another_release_or_plugin_are_left_alone_and_that_is_said() {
    let Some(redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let address = redis.address("hunter2");
    let house = House::open_with(folder.path(), &[("KGE_JOBS", &address)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let nobody_has = ["engine:999", "plugin:00ff"].map(str::to_owned).to_vec();
    let made = runtime.block_on(async {
        let jobs = RedisJobs::open(&address).unwrap();
        let needs = Needs { features: nobody_has.clone() };
        let task = NewTask { needs, ..NewTask::new(Kind::Train, None, json!({})) };
        jobs.enqueue(task).await.unwrap().id.0
    });
    let began = Instant::now();
    loop {
        let lacks = house.get("/workers")[0]["worker"]["lacks"].clone();
        if lacks == json!(nobody_has) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{lacks}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let health = house.get("/health/ready");
    let expected = json!(["a Train task is queued that needs engine:999, which no worker has"]);
    assert_eq!(health["warnings"], expected);
    let task = house.get(&format!("/tasks/{made}?no_redirect=true"));
    assert_eq!(task["task"]["state"], "PENDING");
}
