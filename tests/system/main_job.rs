//! Triples in, a task, a worker, a plugin, a model, answers; and all of it after SIGKILL.

use std::time::Duration;

use crate::house::{House, complex, data};

#[test]
fn fb15k_237_is_trained_by_rest_and_survives_a_kill() {
    let Some(graph) = data("fb15k-237") else { return };
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path());
    let dataset = house.upload("fb15k-237", &graph);
    let before = house.get(&format!("/datasets/{dataset}"));
    assert_eq!(before["dataset"]["entities"], 14_541);
    assert_eq!(before["dataset"]["triples"], 310_116);

    let task = house.train(dataset, &complex(32, 2));
    house.finish(task, Duration::from_secs(900));
    let model = house.model(dataset);
    // Chance gives an MRR of about 0.0007 among 14,541 entities.
    let mrr = house.mrr(&model);
    assert!(mrr > 0.15, "filtered test MRR {mrr}");
    let question = format!("/datasets/{dataset}/similar_entities/%2Fm%2F027rn?limit=5");
    let similar = house.get(&question);
    // The limit leaves out the entity itself, which comes first.
    assert_eq!(similar["similar_entities"]["response"].as_array().unwrap().len(), 6);

    house.kill();
    let house = House::open(folder.path());
    let after = house.get(&format!("/datasets/{dataset}"));
    assert_eq!(after["dataset"]["triples"], before["dataset"]["triples"]);
    assert_eq!(house.model(dataset), model);
    assert_eq!(house.get(&question), similar);
}
