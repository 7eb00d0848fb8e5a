//! Datasets as old clients know them.

use serde_json::json;

use super::{Server, server::members};

#[test]
fn made_listed_edited_deleted() {
    let server = Server::start();
    let made = server.post("/datasets?dataset_type=0", r#"{"name": "films", "description": "d"}"#);
    assert_eq!((made.status, made.header("location")), (201, "/datasets/1"));
    assert_eq!(made.json(), json!({"dataset": {"id": 1}}));

    let reply = server.get("/datasets/1");
    let dataset = &reply.json()["dataset"];
    for (member, value) in [
        ("id", json!(1)),
        ("name", json!("films")),
        ("description", json!("d")),
        ("status", json!(0)),
        ("entities", json!(0)),
        ("triples", json!(0)),
        ("algorithm", json!({})),
        ("dataset_type", json!("Dataset")),
        ("models", json!([])),
    ] {
        assert_eq!(dataset[member], value, "{member}");
    }
    // Members without a value are left out, not null.
    let absent = ["task", "revision", "promoted_model"];
    assert!(members(dataset).iter().all(|name| !absent.contains(name)));

    let put = server.send("PUT", "/datasets/1", &[], r#"{"name": "x", "description": "new"}"#);
    assert_eq!(put.status, 200);
    assert_eq!(put.json()["dataset"]["name"], "films");
    assert_eq!(put.json()["dataset"]["description"], "new");
    let patch = server.send("PATCH", "/datasets/1", &[], r#"{"name": "cinema"}"#);
    assert_eq!(patch.json()["dataset"]["name"], "cinema");

    assert_eq!(server.delete("/datasets/1").status, 204);
    assert_eq!(server.delete("/datasets/1").status, 404);
    assert_eq!(server.get("/datasets/1").status, 404);
}

#[test]
fn types_are_numbers_when_asked_and_names_when_answered() {
    let server = Server::start();
    for (query, name) in [
        ("", "WikidataDataset"),
        ("?dataset_type=", "WikidataDataset"),
        ("?dataset_type=0", "Dataset"),
        ("?dataset_type=1", "WikidataDataset"),
        ("?dataset_type=2", "ESDBpediaDataset"),
    ] {
        let made = server.post(&format!("/datasets{query}"), "{}");
        let dataset = server.get(made.header("location"));
        assert_eq!(dataset.json()["dataset"]["dataset_type"], name, "{query}");
        assert!(!dataset.json()["dataset"]["name"].as_str().unwrap().is_empty());
    }
    for query in ["?dataset_type=x", "?dataset_type=3", "?dataset_type=-1"] {
        let refused = server.post(&format!("/datasets{query}"), "{}");
        assert_eq!((refused.status, &refused.json()["title"]), (400, &json!("Invalid parameter")));
    }
}

#[test]
fn names_are_unique() {
    let server = Server::start();
    assert_eq!(server.post("/datasets", r#"{"name": "films"}"#).status, 201);
    let taken = server.post("/datasets", r#"{"name": "films"}"#);
    assert_eq!((taken.status, &taken.json()["title"]), (409, &json!("Name taken")));
}

#[test]
fn bodies_are_json_whatever_their_type() {
    let server = Server::start();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "image/png"] {
        let headers = [("Content-Type", content_type)];
        assert_eq!(server.send("POST", "/datasets", &headers, "{}").status, 201);
    }
    let broken = server.post("/datasets", "{\"name\": \n oops}");
    assert_eq!(broken.status, 400);
    let words = broken.json()["detail"].as_str().unwrap().to_owned();
    assert!(words.starts_with("line 2, column 2: expected"), "{words}");
    let misfit = server.post("/datasets", r#"{"name": 7}"#);
    assert_eq!(misfit.json()["errors"][0]["pointer"], "/name");
}

#[test]
fn lists_are_whole_unless_a_limit_is_given() {
    let server = Server::start();
    for _ in 0..5 {
        server.post("/datasets", "");
    }
    let ids = |reply: &super::Reply| {
        let all = reply.json();
        let all = all.as_array().unwrap().iter().map(|d| d["dataset"]["id"].as_u64().unwrap());
        all.collect::<Vec<_>>()
    };
    assert_eq!(ids(&server.get("/datasets")), [1, 2, 3, 4, 5]);
    let mut path = "/datasets?limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = server.get(&path);
        pages.push(ids(&page));
        let link = page.header("link").to_owned();
        let Some((next, _)) = link.strip_prefix('<').and_then(|l| l.split_once(">; rel=\"next\""))
        else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(server.get("/datasets?limit=x").status, 400);
}

#[test]
fn edits_can_be_bound_to_a_version() {
    let server = Server::start();
    server.post("/datasets", "{}");
    let etag = server.get("/datasets/1").header("etag").to_owned();
    let edit = |etag: &str| {
        let body = format!("{{\"description\": \"at {}\"}}", etag.replace('"', ""));
        server.send("PUT", "/datasets/1", &[("If-Match", etag)], body)
    };
    let first = edit(&etag);
    assert_eq!(first.status, 200);
    assert_ne!(first.header("etag"), etag);
    assert_eq!(edit(&etag).status, 412);
    assert_eq!(server.send("DELETE", "/datasets/1", &[("If-Match", &etag)], "").status, 412);
    assert_eq!(edit("*").status, 200);
}

#[test]
fn names_are_paged_with_their_counts() {
    let server = Server::start();
    let id = server.dataset(&["a r b", "a r c", "a s a"]);
    let page = server.get(&format!("/datasets/{id}/entities?limit=1"));
    assert_eq!(page.json(), json!([{"entity": {"name": "a", "count": 3}}]));
    assert!(page.header("link").contains("cursor=1"));
    let rest = server.get(&format!("/datasets/{id}/entities?cursor=1"));
    assert_eq!(rest.json().as_array().unwrap().len(), 2);
    assert_eq!(rest.header("link"), "");
    let relations = server.get(&format!("/datasets/{id}/relations"));
    assert_eq!(relations.json()[0], json!({"relation": {"name": "r", "count": 2}}));
    assert_eq!(server.get("/datasets/9/entities").status, 404);
}
