//! A killed worker: the API goes on, the task is taken up again.

use std::{process::Command, time::Duration};

use crate::house::{House, complex, data};

#[test]
fn a_killed_worker_is_replaced_and_its_task_succeeds() {
    let Some(graph) = data("umls") else { return };
    let folder = tempfile::tempdir().unwrap();
    let house = House::open_with(folder.path(), &[("KGE_LEASE", "3")]);
    let dataset = house.upload("umls", &graph);
    let task = house.train(dataset, &complex(64, 200));
    house.until(task, Duration::from_secs(60), |state| state == "STARTED");

    let workers = house.get("/workers");
    let worker = workers.pointer("/0/worker").unwrap_or(&workers[0]);
    let pid = worker["pid"].as_u64().unwrap().to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());

    assert_eq!(house.get(&format!("/datasets/{dataset}"))["dataset"]["id"], dataset);
    house.finish(task, Duration::from_secs(300));
    assert_eq!(house.model(dataset)["task"], task);
}
