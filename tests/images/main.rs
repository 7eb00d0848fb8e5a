//! The images, as operators run them: the compose project with two workers, and each way in
//! which a volume can belong to somebody else.
//!
//! Needs the images in Docker, so it is left out unless asked for:
//!
//!     make images && cargo test --test images -- --ignored --test-threads 1

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compose;
mod docker;

use std::{path::Path, time::Duration, time::Instant};

use compose::Project;
use docker::{docker, docker_fails};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs Docker and the images of `make images`"]
fn the_main_job_survives_a_worker_redis_and_the_project() {
    let project = Project::up();
    project.is_closed_and_hardened();

    let dataset = project.upload("fb15k-237");
    assert_eq!(project.get(&format!("/datasets/{dataset}"))["dataset"]["triples"], 310_116);
    let task = project.train(dataset, 32, 2);
    let started = project.until(task, MINUTE, |task| !task["progress"]["current_steps"].is_null());
    let first = project.worker_container(&started["worker"]);
    docker(&["kill", "--signal", "KILL", &first]);
    eprintln!("killed {first} while it was {}", started["progress"]);

    let done = project.until(task, 15 * MINUTE, |task| task["state"] == "SUCCESS");
    let second = done["worker"].as_str().unwrap();
    assert!(!first.starts_with(&second[..12]), "{second} did both attempts");
    assert_eq!(done["attempts"], 2);
    let model = project.get(&format!("/datasets/{dataset}/models"))[0]["model"].clone();
    let question = format!("/datasets/{dataset}/similar_entities/%2Fm%2F027rn?limit=5");
    let answer = project.get(&question);

    // The queue is in Redis's append-only file.
    project.compose(&["restart", "redis"]);
    project.ready(MINUTE);
    assert_eq!(project.get(&format!("/tasks/{task}?no_redirect=true"))["task"]["state"], "SUCCESS");

    project.compose(&["down"]);
    project.compose(&["up", "-d", "--scale", "worker=2"]);
    project.ready(MINUTE);
    assert_eq!(project.get(&format!("/datasets/{dataset}/models"))[0]["model"], model);
    assert_eq!(project.get(&question), answer);
    assert_eq!(project.get(&format!("/tasks/{task}?no_redirect=true"))["task"]["state"], "SUCCESS");

    let began = Instant::now();
    docker(&["restart", &project.container("web")]);
    project.ready(MINUTE);
    eprintln!("web answers {:.2} s after `docker restart` began", began.elapsed().as_secs_f64());
}

#[test]
#[ignore = "needs Docker and the images of `make images`"]
fn a_volume_of_somebody_else_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(4242), Some(4242)).unwrap();
    let bind = format!("{}:/data", folder.path().display());
    // `nocopy` leaves a new volume as Docker makes it: root's.
    for (volume, owner) in [("kge-test-root:/data:nocopy", 0), (bind.as_str(), 4242)] {
        let said = docker_fails(&["run", "--rm", "--volume", volume, &compose::image("web")]);
        let expected = format!(
            "error: cannot write to the data directory /data: /data belongs to UID {owner} and kge \
             runs as UID 1001; run `chown -R 1001 /data` (on the host, for a mounted volume), or \
             run kge as that user (`--user {owner}`)"
        );
        assert_eq!(said.trim(), expected);
    }
    // And the fix that it names is one.
    let owned = serves(&["--user", "4242:4242", "--volume", &bind]);
    assert_eq!(owned, "4242 4242");
    docker(&["volume", "rm", "kge-test-root"]);
}

#[test]
#[ignore = "needs Docker and the images of `make images`"]
fn any_user_serves_from_a_fresh_volume_and_a_read_only_root() {
    for (user, expected) in [("1001:100", "1001 100"), ("12345", "12345 0"), ("0", "0 0")] {
        let options = ["--user", user, "--read-only", "--cap-drop", "ALL", "--volume", "/data"];
        assert_eq!(serves(&options), expected);
    }
}

#[test]
#[ignore = "needs Docker and the images of `make images`"]
fn a_group_may_write_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(1001), Some(100)).unwrap();
    let bind = format!("{}:/data", folder.path().display());
    serves(&["--volume", &bind, "--env", "KGE_GROUP_WRITABLE=true"]);
    let state = std::fs::metadata(folder.path().join("state")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&state.permissions());
    assert_eq!(mode & 0o777, 0o775);
}

#[test]
#[ignore = "needs Docker and the images of `make images`"]
fn an_open_server_without_a_key_does_not_start() {
    let said = docker_fails(&["run", "--rm", &compose::image("web")]);
    assert!(said.contains("is open to other machines, and there is no key"), "{said}");
}

/// Compose v2 refuses a file that says a key twice; 1.29, which runs here, takes the last.
#[test]
fn no_key_is_said_twice() {
    let repository = compose::repository();
    for file in ["compose.yaml", "compose.dev.yaml", ".env"] {
        let text = std::fs::read_to_string(repository.join(file)).unwrap();
        // The keys that stand above a line, by their indent, and the line's own.
        let mut above: Vec<(usize, &str)> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', '-', '['])) {
            let indent = line.len() - line.trim_start().len();
            let Some((key, _)) = line.split_once([':', '=']) else { continue };
            above.retain(|&(outer, _)| outer < indent);
            above.push((indent, key.trim()));
            let path: Vec<_> = above.iter().map(|&(_, key)| key).collect();
            assert!(seen.insert(path.join(".")), "{file}: {} twice", path.join("."));
        }
    }
}

/// Runs the server until it is healthy; UID and GID of its process.
fn serves(options: &[&str]) -> String {
    let image = compose::image("web");
    let here = ["--env", "KGE_PUBLISHED=127.0.0.1"];
    let run = ["run", "--detach", "--health-interval", "1s"];
    let run = [run.as_slice(), &here, options, &[image.as_str()]].concat();
    let container = docker(&run);
    let began = Instant::now();
    loop {
        let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &container]);
        if health == "healthy" {
            break;
        }
        assert!(began.elapsed() < MINUTE, "{options:?}: {}", docker(&["logs", &container]));
        std::thread::sleep(Duration::from_millis(200));
    }
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &container]);
    let ids = docker::ids(Path::new("/proc").join(pid));
    docker(&["rm", "--force", "--volumes", &container]);
    ids
}
