//! Algorithms and plugins.

use serde_json::{Value, json};

use super::{Server, server::component};

#[test]
fn the_old_form() {
    let server = Server::start();
    let body = json!({"algorithm": {"embedding_size": "50", "margin": 2, "max_epochs": 80}});
    let made = server.post("/algorithms", body);
    assert_eq!((made.status, made.header("location")), (201, "/algorithms/1"));
    assert_eq!(made.json()["status"], 202);
    assert_eq!(made.json()["algorithm"], json!({"id": 1}));

    let one = server.get("/algorithms/1").json();
    for (member, value) in [
        ("id", json!(1)),
        ("embedding_size", json!(50)),
        ("margin", json!(2.0)),
        ("max_epochs", json!(80)),
        ("plugin", json!("transe")),
    ] {
        assert_eq!(one[member], value, "{member}");
    }
    assert_eq!(server.get("/algorithms").json(), json!([one]));

    for (body, pointer) in [
        (json!({"algorithm": {"embedding_size": 50}}), "/algorithm"),
        (json!({"algorithm": {"embedding_size": 50, "colour": 1}}), "/algorithm/colour"),
        (json!({"algorithm": {"embedding_size": "x", "margin": 2}}), "/algorithm/embedding_size"),
        (json!({"embedding_size": 50, "margin": 2}), ""),
    ] {
        let refused = server.post("/algorithms", &body);
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{}", refused.text());
    }
    assert_eq!(server.delete("/algorithms/1").status, 204);
    assert_eq!(server.get("/algorithms/1").status, 404);
}

#[test]
fn the_full_form_and_presets() {
    let server = Server::start();
    let presets = server.get("/algorithms/presets").json();
    let names: Vec<&str> =
        presets.as_array().unwrap().iter().filter_map(|p| p["preset"].as_str()).collect();
    assert_eq!(names, kge_embed::preset_names());
    for preset in presets.as_array().unwrap() {
        let made = server.post("/algorithms", json!({"algorithm": preset["algorithm"]}));
        assert_eq!(made.status, 201, "{}", made.text());
        let stored = server.get(made.header("location")).json();
        assert_eq!(stored["regime"], preset["algorithm"]["regime"]);
    }
    let mut misfit = presets[0]["algorithm"].clone();
    misfit["dim"] = Value::from("many");
    let refused = server.post("/algorithms", json!({"algorithm": misfit}));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/algorithm/dim");
}

#[test]
fn plugins_are_listed_and_named() {
    let server = Server::start();
    assert_eq!(server.get("/plugins").json(), json!([]));
    let plugin = server.plugin("distmult");
    let listed = server.get("/plugins").json();
    assert_eq!(listed[0]["plugin"]["name"], "distmult");
    assert_eq!(listed[0]["plugin"]["sha256"], plugin.sha256.as_str());
    assert_eq!(server.get("/plugins/distmult").json(), listed[0]);
    assert_eq!(server.get(&format!("/plugins/{}", plugin.sha256)).json(), listed[0]);
    let missing = server.get("/plugins/dismult");
    assert_eq!(missing.status, 404);
    let words = missing.json()["detail"].as_str().unwrap().to_owned();
    assert!(words.contains("dismult") && words.contains("\"distmult\""), "{words}");
}

#[test]
fn a_plugin_is_added_checked_and_deleted() {
    let server = Server::start();
    let wasm = [("content-type", "application/wasm")];
    let added = server.send("POST", "/plugins", &wasm, component("distmult"));
    assert_eq!(added.status, 201, "{}", added.text());
    let (sha256, location) =
        (added.json()["plugin"]["sha256"].clone(), added.header("location").to_owned());
    assert_eq!(location, format!("/plugins/{}", sha256.as_str().unwrap()));
    assert!(added.json()["checks"].as_array().unwrap().len() > 9, "{}", added.text());
    assert_eq!(server.get(&location).json()["plugin"]["name"], "distmult");
    // Again changes nothing.
    let again = server.send("POST", "/plugins", &wasm, component("distmult"));
    assert_eq!(again.json()["plugin"], added.json()["plugin"]);
    assert_eq!(server.get("/plugins").json().as_array().unwrap().len(), 1);
    assert_eq!(server.delete("/plugins/distmult").status, 204);
    assert_eq!(server.get("/plugins/distmult").status, 404);
    assert_eq!(server.delete("/plugins/distmult").status, 404);
}

#[test]
fn what_is_no_plugin_is_refused_in_words() {
    let server = Server::start();
    let refused = server.send("POST", "/plugins", &[], "not wasm at all");
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["type"], "/problems/plugin-refused");
    assert_eq!(refused.json()["detail"], "not a plugin: no WebAssembly component at all");
    let large = vec![0; (16 << 20) + 1];
    assert_eq!(server.send("POST", "/plugins", &[], large).status, 413);
}

#[test]
fn a_plugin_that_a_model_needs_stays() {
    let server = Server::start();
    let dataset = server.dataset(&["a likes b"]);
    let model = server.model(dataset, 2, &[]);
    let kept = server.delete("/plugins/distmult");
    assert_eq!(kept.status, 409);
    let words = format!("plugin \"distmult\" is in use: model {model} needs it; delete that first");
    assert_eq!(kept.json()["detail"], words);
    assert_eq!(server.delete(&format!("/models/{model}")).status, 204);
    assert_eq!(server.delete("/plugins/distmult").status, 204);
}
