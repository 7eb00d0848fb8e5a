//! Triples in every form that old and new clients send.

use serde_json::json;

use super::{Server, wire::gzip};

#[test]
fn every_form_is_taken() {
    let server = Server::start();
    let wrapped = r#"{"triples":[{"subject":{"value":"a"},"predicate":{"value":"r"},"object":{"value":"b"}}]}"#;
    let bare = r#" [{"subject":"a","predicate":"r","object":"b"}]"#;
    for (content_type, body) in [
        ("application/json", wrapped),
        ("text/plain", wrapped),
        ("", wrapped),
        ("application/x-www-form-urlencoded", bare),
        ("text/plain;charset=UTF-8", r#"[["a","r","b"]]"#),
        ("text/tab-separated-values", "a\tr\tb\n"),
        ("", "a\tr\tb\n"),
        ("text/csv", "a,r,b\n"),
        ("application/n-triples", "<a:> <r:> <b:> .\n"),
        ("", "<a:> <r:> <b:> .\n"),
        ("text/turtle", "@prefix x: <x:> . x:a x:r x:b, \"a literal\" ."),
    ] {
        let id = server.dataset(&[]);
        let headers: &[_] = match content_type {
            "" => &[],
            content_type => &[("Content-Type", content_type)],
        };
        let reply = server.send("POST", &format!("/datasets/{id}/triples"), headers, body);
        assert_eq!(reply.status, 202, "{content_type} {body}: {}", reply.text());
        assert_eq!(reply.json()["status"], 202);
        assert_eq!(reply.json()["added"], 1, "{content_type} {body}");
        assert!(reply.json()["message"].is_string());
        let dataset = server.get(&format!("/datasets/{id}")).json();
        assert_eq!(dataset["dataset"]["triples"], 1);
        assert_eq!(dataset["dataset"]["entities"], 2);
    }
}

#[test]
fn nothing_and_duplicates_are_taken_too() {
    let server = Server::start();
    let id = server.dataset(&["a r b"]);
    let path = format!("/datasets/{id}/triples");
    for body in ["", "[]", "  \n"] {
        let reply = server.post(&path, body);
        assert_eq!((reply.status, &reply.json()["added"]), (202, &json!(0)), "{body:?}");
    }
    let again = server.post(&path, json!([["a", "r", "b"], ["a", "r", "c"], ["a", "r", "c"]]));
    assert_eq!((&again.json()["added"], &again.json()["duplicate"]), (&json!(1), &json!(2)));
}

#[test]
fn packed_bodies_are_unpacked() {
    let server = Server::start();
    let id = server.dataset(&[]);
    let path = format!("/datasets/{id}/triples");
    let by_header = gzip(b"a\tr\tb\n");
    let reply = server.send("POST", &path, &[("Content-Encoding", "gzip")], by_header);
    assert_eq!(reply.json()["added"], 1, "{}", reply.text());
    let reply = server.send("POST", &path, &[], gzip(b"a\tr\tc\n"));
    assert_eq!(reply.json()["added"], 1, "{}", reply.text());
}

#[test]
fn faults_name_their_place_and_nothing_is_added() {
    let server = Server::start();
    let id = server.dataset(&["a r b"]);
    let path = format!("/datasets/{id}/triples");
    for (body, place) in [
        ("x\ty\tz\nx\ty\n", "line 2, column "),
        ("[[\"x\",\"y\",\"z\"],\n [\"x\",\"y\"]]", "line 2, column "),
        ("[[\"x\",\"y\",\"z\"],\n", "line "),
    ] {
        let reply = server.post(&path, body);
        assert_eq!((reply.status, &reply.json()["title"]), (400, &json!("Malformed body")));
        let words = reply.json()["description"].as_str().unwrap().to_owned();
        assert!(words.starts_with(place) && words.contains("expected"), "{words}");
    }
    assert_eq!(server.get(&format!("/datasets/{id}")).json()["dataset"]["triples"], 1);
    let odd = server.send("POST", &path, &[("Content-Type", "image/png")], "abc");
    assert_eq!(odd.status, 415);
    assert_eq!(server.post("/datasets/9/triples", "[]").status, 404);
    assert_eq!(server.post(&format!("{path}?split=tset"), "[]").status, 400);
}

#[test]
fn splits_are_kept_apart_and_the_stronger_wins() {
    let server = Server::start();
    let id = server.dataset(&["a r b", "a r c"]);
    let path = format!("/datasets/{id}/triples");
    let test =
        server.post(&format!("{path}?split=test"), json!([["a", "r", "b"], ["a", "r", "d"]]));
    assert_eq!((&test.json()["added"], &test.json()["moved"]), (&json!(1), &json!(1)));
    let splits = server.get(&format!("/datasets/{id}")).json()["dataset"]["splits"].clone();
    assert_eq!(splits, json!({"train": 1, "valid": 0, "test": 2}));
}

#[test]
fn wikidata_names_of_every_form_are_one() {
    let server = Server::start();
    let id = server.dataset_of_type(
        1,
        &[
            "Q42 P17 Q30",
            "http://www.wikidata.org/entity/Q42 http://www.wikidata.org/prop/direct/P17 Q30",
            "Q42 http://www.wikidata.org/prop/statement/P17 Q30",
            "somebody P17 Q30",
        ],
    );
    let dataset = server.get(&format!("/datasets/{id}")).json();
    assert_eq!(dataset["dataset"]["triples"], 2);
    let entities = server.get(&format!("/datasets/{id}/entities")).text();
    assert!(entities.contains("http://www.wikidata.org/entity/Q42"));
    // Names of other kinds are kept as they are.
    assert!(entities.contains("\"somebody\""));
}

#[test]
fn triples_come_out_as_asked() {
    let server = Server::start();
    let id = server.dataset(&["a r b", "a r c"]);
    let path = format!("/datasets/{id}/triples");
    server.post(&format!("{path}?split=test"), json!([["a", "r", "d"]]));
    let tsv = server.send("GET", &path, &[("Accept", "text/tab-separated-values")], "");
    assert_eq!(tsv.header("content-type"), "text/tab-separated-values");
    assert_eq!(tsv.text().lines().count(), 3);
    let test = server.get(&format!("{path}?split=test&format=tsv"));
    assert_eq!(test.text(), "a\tr\td\n");
    let json = server.get(&path);
    assert_eq!(json.json()["triples"].as_array().map(Vec::len), Some(3), "{}", json.text());
    assert_eq!(server.send("GET", &path, &[("Accept", "image/png")], "").status, 406);
    assert_eq!(server.get(&format!("{path}?format=docx")).status, 400);
    // Plain names are no IRIs: said before the answer begins.
    let turtle = server.send("GET", &path, &[("Accept", "text/turtle")], "");
    assert_eq!(turtle.status, 422, "{}", turtle.text());
}

#[test]
fn triples_are_taken_out() {
    let server = Server::start();
    let id = server.dataset(&["a r b", "a r c"]);
    let path = format!("/datasets/{id}/triples");
    let reply =
        server.send("DELETE", &path, &[], json!([["a", "r", "b"], ["x", "y", "z"]]).to_string());
    assert_eq!((reply.status, &reply.json()["removed"]), (200, &json!(1)));
    assert_eq!(server.get(&format!("/datasets/{id}")).json()["dataset"]["triples"], 1);
}

#[test]
fn a_body_too_large_for_memory_becomes_an_import_task() {
    let server = Server::start_with(|config| {
        config.body_limit = 1000;
        config.upload_limit = 20_000;
    });
    let id = server.dataset(&[]);
    let path = format!("/datasets/{id}/triples?split=valid");
    let triples: String = (0..500).map(|n| format!("a{n}\tr\tb{n}\n")).collect();
    // Large as it comes, and large only when it is unpacked.
    for (task, body) in [(1, triples.clone().into_bytes()), (2, gzip(triples.as_bytes()))] {
        let length = body.len();
        let reply = server.send("POST", &path, &[("Content-Type", "")], body);
        assert_eq!(reply.status, 202, "{}", reply.text());
        assert_eq!(reply.json()["task"]["id"], task);
        assert_eq!(reply.header("location"), format!("/tasks/{task}"));
        let queued = server.runtime.block_on(server.jobs.task(kge_jobs::TaskId(task))).unwrap();
        assert_eq!(
            (&queued.payload["format"], &queued.payload["split"]),
            (&json!("tsv"), &json!("valid"))
        );
        let upload = queued.payload["upload"].as_str().unwrap().to_owned();
        let size = server.runtime.block_on(async {
            let store = server.catalog.store();
            store.get(&format!("uploads/{upload}")).await.unwrap().unwrap().len()
        });
        assert_eq!(size, length, "kept as it came");
    }
    let reply = server.post(&path, "x".repeat(30_000));
    assert_eq!((reply.status, &reply.json()["title"]), (413, &json!("Body too large")));
    let reply = server.send("POST", &path, &[("Content-Type", "image/png")], triples);
    assert_eq!(reply.status, 415, "{}", reply.text());
    let uploads = server.runtime.block_on(server.catalog.store().list("uploads")).unwrap();
    assert_eq!(uploads.len(), 2, "what was refused is not kept");
}
