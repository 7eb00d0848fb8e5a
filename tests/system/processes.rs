//! Server and workers as processes of their own, which meet in Redis and in one data directory.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    house::{House, KGE, complex, data, plugins},
    redis::Redis,
};

const SOON: Duration = Duration::from_secs(60);

/// A worker of its own; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(folder: &Path, jobs: &str) -> Self {
        let child = Command::new(KGE)
            .args(["worker", "--data", "data", "--threads", "1"])
            .arg("--plugins")
            .arg(plugins())
            .envs([("KGE_JOBS", jobs), ("KGE_LEASE", "3")])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The pids of the workers that are there, and of those that hold a task.
fn workers(house: &House) -> (Vec<u64>, Vec<u64>) {
    let all = house.get("/workers");
    let all: Vec<_> = all.as_array().unwrap().iter().map(|entry| &entry["worker"]).collect();
    let pid = |worker: &&Value| worker["pid"].as_u64().unwrap();
    let busy = |worker: &&&Value| !worker["tasks"].as_array().unwrap().is_empty();
    (all.iter().map(pid).collect(), all.iter().filter(busy).map(pid).collect())
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < SOON, "{what} took too long");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_workers_share_the_main_job_and_one_takes_over_from_the_other() {
    let Some(graph) = data("fb15k-237") else { return };
    let Some(redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let jobs = redis.address("hunter2");
    let house = House::open_without_worker(folder.path(), &[("KGE_JOBS", &jobs)]);
    let (first, second) =
        (Worker::start(folder.path(), &jobs), Worker::start(folder.path(), &jobs));
    until("two workers", || (workers(&house).0.len() == 2).then_some(()));

    let dataset = house.upload("fb15k-237", &graph);
    let task = house.train(dataset, &complex(16, 2));
    let stream = house.stream(&format!("/tasks/{task}/events"));
    let events = std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.strip_prefix("data:")?.trim().to_owned())).collect()
    });

    // The holder dies in the middle of an epoch; the other one begins anew.
    let under_way = |state: &Value| state["task"]["progress"]["current_steps"].as_u64() > Some(2);
    until("a first step", || {
        under_way(&house.get(&format!("/tasks/{task}?no_redirect=true"))).then_some(())
    });
    let holder = until("a holder", || workers(&house).1.first().copied());
    let (mut killed, other) = match u64::from(first.0.id()) == holder {
        true => (first, second),
        false => (second, first),
    };
    killed.0.kill().unwrap();
    until("the take-over", || workers(&house).1.contains(&u64::from(other.0.id())).then_some(()));
    let done = house.finish(task, Duration::from_secs(900));
    assert_eq!(done["task"]["attempts"], 2, "{done}");

    let mrr = house.mrr(&house.model(dataset));
    assert!(mrr > 0.1, "filtered test MRR {mrr}");
    let events: Vec<String> = events.join().unwrap();
    let with_loss = events.iter().filter(|event| event.contains("\"loss\"")).count();
    assert!(with_loss >= 2, "both epochs were seen as they ended: {events:?}");
}
