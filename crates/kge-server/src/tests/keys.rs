//! Servers that ask for keys: who is let in, and what they see.

use kge_catalog::{DatasetId, NewKey, Scope};
use serde_json::json;

use super::{Reply, Server};

fn asking() -> Server {
    Server::start_with(|config| config.asks_for_keys = true)
}

fn key(server: &Server, scopes: &[Scope], change: impl FnOnce(&mut NewKey)) -> String {
    let scopes = scopes.iter().copied().collect();
    let mut new = NewKey { name: "test".into(), scopes, datasets: None, expires: None };
    change(&mut new);
    server.runtime.block_on(server.catalog.create_key(new)).unwrap().0
}

fn ask(server: &Server, key: &str, method: &str, path: &str, body: &str) -> Reply {
    server.send(method, path, &[("Authorization", &format!("Bearer {key}"))], body)
}

#[test]
fn only_what_is_open_is_answered_without_a_key() {
    let server = asking();
    for path in ["/health/live", "/health/ready", "/openapi.json", "/docs/", "/problems/forbidden"]
    {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in ["/datasets", "/tasks", "/models/1", "/workers", "/plugins"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"kge\"");
    }
    let wrong = ask(&server, &format!("kge_{}", "0".repeat(64)), "GET", "/datasets", "");
    assert_eq!((wrong.status, &wrong.json()["title"]), (401, &json!("Unauthorised")));
}

#[test]
fn keys_allow_what_their_scopes_say_until_they_end() {
    let server = asking();
    let reader = key(&server, &[Scope::Read], |_| {});
    let writer = key(&server, &[Scope::Write], |_| {});
    let trainer = key(&server, &[Scope::Train], |_| {});
    let admin = key(&server, &[Scope::Admin], |_| {});
    let ended = key(&server, &[Scope::Admin], |new| {
        new.expires = Some("2020-01-01T00:00:00Z".parse().unwrap());
    });
    let make = |key: &str, name: &str| {
        ask(&server, key, "POST", "/datasets", &json!({ "name": name }).to_string()).status
    };
    let train =
        |key: &str| ask(&server, key, "POST", "/datasets/1/train?algorithm=transe", "").status;
    assert_eq!((make(&reader, "r"), make(&trainer, "t"), make(&ended, "e")), (403, 403, 401));
    assert_eq!((make(&writer, "w"), make(&admin, "a")), (201, 201));
    assert_eq!(ask(&server, &reader, "GET", "/datasets", "").json().as_array().unwrap().len(), 2);
    // Let in, and told that there is nothing to train on.
    assert_eq!(
        (train(&reader), train(&writer), train(&trainer), train(&admin)),
        (403, 403, 409, 409)
    );
    // Let in, and told that this is no component.
    let plugins = key(&server, &[Scope::Plugins], |_| {});
    let add = |key: &str| ask(&server, key, "POST", "/plugins", "wasm").status;
    assert_eq!((add(&writer), add(&plugins), add(&admin)), (403, 422, 422));
    let told = ask(&server, &reader, "DELETE", "/datasets/1", "");
    assert_eq!(told.json()["detail"], "the key \"test\" allows read; this needs write");

    let id = server.runtime.block_on(server.catalog.key_shown(&reader)).unwrap().unwrap().id;
    server.runtime.block_on(server.catalog.revoke_key(&id)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(ask(&server, &reader, "GET", "/datasets", "").status, 401);
}

#[test]
fn a_key_for_one_dataset_sees_no_other() {
    let server = asking();
    let admin = key(&server, &[Scope::Admin], |_| {});
    for name in ["mine", "theirs"] {
        let body = json!({ "name": name }).to_string();
        assert_eq!(ask(&server, &admin, "POST", "/datasets?dataset_type=0", &body).status, 201);
    }
    for id in [1, 2] {
        let path = format!("/datasets/{id}/triples");
        assert_eq!(ask(&server, &admin, "POST", &path, "[[\"a\",\"r\",\"b\"]]").status, 202);
    }
    server.plugin("transe");
    let narrow = key(&server, &[Scope::Write, Scope::Train], |new| {
        new.datasets = Some([DatasetId(1)].into());
    });
    for (method, path, status) in [
        ("GET", "/datasets/1", 200),
        ("GET", "/datasets/2", 404),
        ("DELETE", "/datasets/2", 404),
        ("GET", "/algorithms", 200),
        ("DELETE", "/algorithms/1", 403),
        ("POST", "/datasets", 403),
        ("POST", "/datasets/2/train?algorithm=transe", 404),
        ("POST", "/datasets/1/train?algorithm=transe", 202),
        ("GET", "/tasks/1", 200),
    ] {
        let reply = ask(&server, &narrow, method, path, "");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    }
    assert_eq!(ask(&server, &admin, "POST", "/datasets/2/train?algorithm=transe", "").status, 202);
    assert_eq!(ask(&server, &narrow, "GET", "/tasks/2", "").status, 404);
    assert_eq!(ask(&server, &narrow, "DELETE", "/tasks/2", "").status, 404);
    let count =
        |path: &str, key: &str| ask(&server, key, "GET", path, "").json().as_array().unwrap().len();
    assert_eq!((count("/datasets", &narrow), count("/datasets", &admin)), (1, 2));
    assert_eq!((count("/tasks", &narrow), count("/tasks", &admin)), (1, 2));
}
