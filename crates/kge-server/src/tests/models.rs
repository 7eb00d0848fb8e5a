//! Models: listed, promoted, downloaded, deleted, and which one answers.

use serde_json::json;

use super::{
    Server,
    server::{PEOPLE, rows},
};

#[test]
fn every_training_is_a_model_and_the_promoted_one_answers() {
    let server = Server::start();
    let id = server.dataset(&PEOPLE);
    let first = server.model(id, 2, &rows());
    let second = server.model(id, 2, &[("ann", &[5.0, 5.0])]);
    let row = || {
        let asked = json!({"entities": ["ann"]});
        server.post(&format!("/datasets/{id}/embeddings"), asked).json()["embeddings"][0][1].clone()
    };
    assert_eq!(row(), json!([1.0, 0.0]));

    let models = server.get(&format!("/datasets/{id}/models")).json();
    assert_eq!(models.as_array().unwrap().len(), 2);
    assert_eq!(
        (&models[0]["model"]["id"], &models[0]["model"]["promoted"]),
        (&json!(first), &json!(true))
    );
    assert_eq!(server.get(&format!("/models/{second}")).json(), models[1]);

    let promoted = server.post(&format!("/models/{second}/promote"), "");
    assert_eq!((promoted.status, &promoted.json()["model"]["promoted"]), (200, &json!(true)));
    assert_eq!(row(), json!([5.0, 5.0]));
    assert_eq!(server.delete(&format!("/models/{second}")).status, 204);
    assert_eq!(row(), json!([1.0, 0.0]));
    for path in
        [format!("/models/{second}"), format!("/models/{second}/history"), "/models/x".into()]
    {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
}

#[test]
fn what_is_known_of_a_model() {
    let server = Server::start();
    let id = server.dataset(&PEOPLE);
    let model = server.model(id, 2, &rows());
    let at = |part: &str| server.get(&format!("/models/{model}/{part}"));
    assert_eq!(at("evaluation").json()["evaluation"]["both"]["mrr"], 0.5);
    assert_eq!(at("history").json()["history"][1], json!({"epoch": 2, "loss": 1.5}));
    assert_eq!(at("provenance").status, 404);
    let rows = at("embeddings");
    assert_eq!(rows.header("content-type"), "application/octet-stream");
    assert!(rows.header("content-disposition").contains("model-1.safetensors"));
    assert!(rows.text().contains("\"entities\""));
    let etag = rows.header("etag");
    let path = format!("/models/{model}/embeddings");
    assert_eq!(server.send("GET", &path, &[("If-None-Match", etag)], "").status, 304);
}

#[test]
fn a_model_is_loaded_once_for_all_who_wait() {
    let server = Server::start();
    let id = server.dataset(&PEOPLE);
    server.model(id, 2, &rows());
    std::thread::scope(|scope| {
        let asks: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| server.get(&format!("/datasets/{id}/similar_entities/ann")).status)
            })
            .collect();
        for ask in asks {
            assert_eq!(ask.join().unwrap(), 200);
        }
    });
}
