//! Questions to a model whose rows are small enough to check by hand.

use serde_json::{Value, json};

use super::{
    Server,
    server::{PEOPLE, rows},
};

fn trained() -> Server {
    let server = Server::start();
    let id = server.dataset(&PEOPLE);
    assert_eq!(id, 1);
    server.model(id, 2, &rows());
    server
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|n| n["entity"].as_str().unwrap()).collect()
}

#[test]
fn similar_entities_in_every_form() {
    let server = trained();
    let path = "/datasets/1/similar_entities";
    let ann = json!({"entity": {"value": "ann", "type": "uri"}}).to_string();
    let vector = json!({"entity": {"value": [1.0, 0.0], "type": "Embedding"}}).to_string();
    for (method, path, body) in [
        ("GET", format!("{path}/ann?limit=2"), ""),
        ("GET", format!("{path}?entity=ann&limit=2"), ""),
        ("POST", format!("{path}?limit=2&search_k=&use_cache=true"), &ann),
        ("POST", "//datasets/1/similar_entities/?limit=2".to_owned(), &ann),
        ("POST", format!("{path}?limit=2"), &vector),
    ] {
        let reply = server.send(method, &path, &[("Content-Type", "text/plain")], body);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let body = reply.json();
        assert_eq!(body["dataset"]["id"], 1);
        let block = &body["similar_entities"];
        // The entity itself, then two more.
        assert_eq!(names(&block["response"]), ["ann", "bob", "cid"], "{path}");
        assert_eq!((&block["limit"], &block["search_k"]), (&json!(3), &json!(-1)));
        let distance = |place: usize| block["response"][place]["distance"].as_f64().unwrap();
        assert!(distance(0).abs() < 1e-3);
        assert!((distance(2) - 2f64.sqrt()).abs() < 1e-6);
        assert!(block["response"][0].get("object").is_none());
    }
    let echoed = server.get("/datasets/1/similar_entities/ann?search_k=100").json();
    assert_eq!(echoed["similar_entities"]["search_k"], 100);
    assert_eq!(echoed["similar_entities"]["entity"], json!({"value": "ann", "type": "uri"}));
    let object = server.get("/datasets/1/similar_entities/ann?object=True").json();
    assert_eq!(
        object["similar_entities"]["response"][0]["object"],
        json!({"entity_id": "ann", "entity_uri": "ann", "label": {}, "alt_label": {}, "description": {}})
    );
}

#[test]
fn what_cannot_be_asked_is_refused_as_old_clients_expect() {
    let server = trained();
    server.dataset(&PEOPLE);
    for (method, path, body, status, words) in [
        ("POST", "/datasets/1/similar_entities", "{}", 400, "entity"),
        (
            "POST",
            "/datasets/1/similar_entities",
            r#"{"entity":{"value":"a","type":"x"}}"#,
            400,
            "type",
        ),
        (
            "POST",
            "/datasets/1/similar_entities",
            r#"{"entity":{"value":[1],"type":"embedding"}}"#,
            400,
            "2",
        ),
        ("GET", "/datasets/1/similar_entities", "", 400, "entity"),
        ("GET", "/datasets/1/similar_entities/ann?limit=x", "", 400, "limit"),
        ("GET", "/datasets/1/similar_entities/anm", "", 404, "\"ann\""),
        ("GET", "/datasets/2/similar_entities/ann", "", 409, "no model"),
        ("GET", "/datasets/9/similar_entities/ann", "", 404, "dataset \"9\""),
        // The body's faults come before a missing dataset.
        ("POST", "/datasets/9/embeddings", "{}", 400, "entities"),
        ("POST", "/datasets/9/embeddings", r#"{"entities": []}"#, 404, "dataset"),
        ("POST", "/datasets/9/distance", r#"{"distance": ["ann"]}"#, 400, "two"),
        ("POST", "/datasets/9/distance", r#"{"distance": ["ann", "bob"]}"#, 404, "dataset"),
        ("POST", "/datasets/2/embeddings", r#"{"entities": ["ann"]}"#, 409, "no model"),
        ("POST", "/datasets/2/distance", r#"{"distance": ["ann", "bob"]}"#, 409, "no model"),
        ("POST", "/datasets/1/distance", r#"{"distance": ["ann", "bop"]}"#, 404, "\"bob\""),
        ("POST", "/datasets/1/predict", r#"{"head": "ann"}"#, 400, "two of"),
        ("POST", "/datasets/1/predict", r#"{"head": "ann", "tail": "bob"}"#, 422, "not supported"),
        (
            "POST",
            "/datasets/1/predict",
            r#"{"head": "ann", "relation": "lakes"}"#,
            404,
            "\"likes\"",
        ),
        ("POST", "/datasets/1/score", r#"{"triples": [["ann", "likes"]]}"#, 400, "triples/0"),
        ("POST", "/datasets/1/score", r#"{"triples": [["ann", "likes", "eve"]]}"#, 404, "eve"),
    ] {
        let reply = server.send(method, path, &[], body);
        let body = reply.json();
        let said = body["detail"].as_str().unwrap_or_default();
        assert_eq!((reply.status, &body["status"]), (status, &json!(status)), "{path}: {said}");
        assert!(said.contains(words), "{path}: {said}");
        assert_eq!((&body["message"], &body["description"]), (&body["detail"], &body["detail"]));
    }
}

#[test]
fn embeddings_in_the_order_asked() {
    let server = trained();
    let ask = |body: Value| server.post("/datasets/1/embeddings", body).json();
    assert_eq!(
        ask(json!({"entities": ["cid", "nobody", "ann", "cid"]})),
        json!({"embeddings": [["cid", [0.0, 1.0]], ["ann", [1.0, 0.0]], ["cid", [0.0, 1.0]]]})
    );
    assert_eq!(ask(json!({"entities": []})), json!({"embeddings": []}));
    assert_eq!(ask(json!({"relations": ["likes"]}))["relations"], json!([["likes", [1.0, 0.5]]]));
}

#[test]
fn distance_of_two() {
    let server = trained();
    let ask = |names: Value| {
        let reply = server.post("/datasets/1/distance", json!({ "distance": names })).json();
        reply["distance"].as_f64().unwrap()
    };
    assert!((ask(json!(["ann", "dan"])) - 2.0).abs() < 1e-6);
    assert!((ask(json!(["ann", "cid", "bob"])) - 2f64.sqrt()).abs() < 1e-6);
    assert_eq!(ask(json!(["bob", "bob"])), 0.0);
}

#[test]
fn predictions_are_distmults_scores() {
    let server = trained();
    // score(ann, likes, t) = 1*1*t0 + 0*0.5*t1: bob and ann 1, cid 0, dan -1.
    let ask = |body: Value| server.post("/datasets/1/predict", body).json();
    let all = ask(json!({"head": "ann", "relation": "likes", "filter_known": false}));
    assert_eq!((&all["model"], &all["missing"]), (&json!(1), &json!("tail")));
    let predictions = all["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 4);
    assert_eq!(predictions[3], json!({"entity": "dan", "score": -1.0, "rank": 4, "known": false}));
    let known: Vec<_> = predictions.iter().filter(|p| p["known"] == true).collect();
    assert_eq!((known.len(), &known[0]["entity"]), (1, &json!("bob")));

    let new = ask(json!({"head": "ann", "relation": "likes", "k": 2}));
    assert_eq!(names(&new["predictions"]), ["ann", "cid"]);
    let heads = ask(json!({"relation": "likes", "tail": "bob", "limit": 1}));
    assert_eq!(heads["missing"], "head");
    assert_eq!(names(&heads["predictions"]), ["bob"]);
}

#[test]
fn scores_and_ranks_of_triples() {
    let server = trained();
    for triples in [
        json!([["ann", "likes", "bob"], ["ann", "likes", "dan"]]),
        json!([
            {"head": "ann", "relation": "likes", "tail": "bob"},
            {"subject": {"value": "ann"}, "predicate": {"value": "likes"}, "object": {"value": "dan"}}
        ]),
    ] {
        let reply = server.post("/datasets/1/score", json!({ "triples": triples }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let scores = &reply.json()["scores"];
        assert_eq!((&scores[0]["score"], &scores[1]["score"]), (&json!(1.0), &json!(-1.0)));
        // Bob ties with ann: half a place.
        assert_eq!(scores[0]["rank"]["tail"], 1.5);
        assert_eq!(scores[0]["tail"], "bob");
    }
}

#[test]
fn wikidata_answers_with_full_uris_whichever_way_it_is_asked() {
    let server = Server::start();
    let id = server.dataset_of_type(1, &["Q1 P2 Q3"]);
    let uri = |name: &str| format!("http://www.wikidata.org/entity/{name}");
    let (one, three) = (uri("Q1"), uri("Q3"));
    server.model(id, 2, &[(&one, &[1.0, 0.0]), (&three, &[0.0, 1.0])]);
    let encoded = "http%3A%2F%2Fwww.wikidata.org%2Fentity%2FQ1";
    for asked in ["Q1", encoded, &one] {
        let reply = server.get(&format!("/datasets/{id}/similar_entities/{asked}")).json();
        assert_eq!(names(&reply["similar_entities"]["response"]), [&one, &three], "{asked}");
    }
    let echoed = server.post(&format!("/datasets/{id}/embeddings"), json!({"entities": ["Q1"]}));
    assert_eq!(echoed.json(), json!({"embeddings": [["Q1", [1.0, 0.0]]]}));
    let object = server.get(&format!("/datasets/{id}/similar_entities/Q1?object=1")).json();
    assert_eq!(object["similar_entities"]["response"][0]["object"]["entity_id"], "Q1");
}
