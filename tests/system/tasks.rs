//! Tasks that do not end as they should: failed, cancelled, interrupted, queued behind an upload.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::house::{House, KGE, complex, data, repository};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_plugin_that_traps_fails_its_task_and_not_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    let build = Command::new(KGE)
        .args(["plugin", "build"])
        .arg(repository().join("tests/hostile"))
        .arg("--out")
        .arg(&plugins)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let house = House::open_with(folder.path(), &[("KGE_PLUGINS", plugins.to_str().unwrap())]);
    house.post("/datasets?dataset_type=0", &json!({ "name": "a", "description": "" }));
    house.post("/datasets/1/triples", &json!([["a", "r", "b"], ["b", "r", "c"]]));
    let worker = house.until_worker(SOON);
    let train = |mode: u32| {
        let mut algorithm = complex(2, 3);
        algorithm["plugin"] = json!("hostile");
        algorithm["regulariser"] = json!(null);
        algorithm["hyper_parameters"] = json!({ "mode": mode });
        house.train(1, &algorithm)
    };
    for (mode, words) in [
        (2, "plugin trapped: wasm `unreachable` instruction executed in query"),
        (4, "plugin trapped: call stack exhausted in query"),
        (5, "query returned NaN in row 0"),
    ] {
        let failed = house.until(train(mode), SOON, |state| state == "FAILURE");
        let told = failed["task"]["error"].to_string();
        assert!(told.contains(words), "{told}");
        assert_eq!(failed["task"]["attempts"], 1, "what cannot work is not tried again");
    }
    // Mode 0 behaves.
    house.finish(train(0), SOON);
    assert_eq!(house.until_worker(SOON), worker, "it is the worker that was there before");
}

#[test]
fn a_cancelled_training_stops_within_a_second() {
    let Some(graph) = data("umls") else { return };
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path());
    let dataset = house.upload("umls", &graph);
    let task = house.train(dataset, &complex(64, 5000));
    house.until(task, SOON, |state| state == "STARTED");
    let asked = Instant::now();
    let (status, body) = house.send("DELETE", &format!("/tasks/{task}"), None, Vec::new());
    assert_eq!(status, 202, "{body}");
    house.until(task, SOON, |state| state == "REVOKED");
    // Polling, and a machine that does other things, take their share.
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(house.get(&format!("/datasets/{dataset}/models")), json!([]));
}

#[test]
fn a_terminated_server_hands_its_task_back_and_does_it_when_it_is_there_again() {
    let Some(graph) = data("umls") else { return };
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path());
    let dataset = house.upload("umls", &graph);
    let task = house.train(dataset, &complex(32, 300));
    house.until(task, SOON, |state| state == "STARTED");
    assert!(house.terminate() < Duration::from_secs(10));

    let house = House::open(folder.path());
    let done = house.finish(task, Duration::from_secs(300));
    assert_eq!(house.model(dataset)["task"], task, "{done}");
}

#[test]
fn a_large_upload_is_imported_by_a_task() {
    let Some(graph) = data("umls") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kge.toml"), "[server]\nbody_limit = 4096\n").unwrap();
    let house = House::open(folder.path());
    let dataset = house.upload("umls", &graph);
    let view = house.get(&format!("/datasets/{dataset}"));
    assert_eq!(view["dataset"]["triples"], 6529, "{view}");

    let mut body = b"a\tr\tb\n".repeat(1000);
    body.extend_from_slice(b"a\tr\n");
    let path = format!("/datasets/{dataset}/triples");
    let (status, queued) = house.send("POST", &path, Some("text/tab-separated-values"), body);
    assert_eq!(status, 202, "{queued}");
    let task = queued["task"]["id"].as_u64().unwrap();
    let failed = house.until(task, SOON, |state| state == "FAILURE");
    let told = failed["task"]["error"].to_string();
    assert!(told.contains("line 1001, column"), "{told}");
    assert_eq!(house.get(&format!("/datasets/{dataset}"))["dataset"]["triples"], 6529);
    let left = std::fs::read_dir(folder.path().join("data/uploads")).unwrap().count();
    assert_eq!(left, 0, "uploads are gone once they are read");
}
