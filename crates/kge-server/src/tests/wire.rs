//! Paths, headers, origins, errors: what holds for every route.

use serde_json::json;

use super::Server;

#[test]
fn paths_tolerate_slashes_and_a_prefix() {
    let server = Server::start_with(|config| config.path_prefix = Some("/api/".into()));
    for path in [
        "/datasets",
        "//datasets",
        "/datasets/",
        "//datasets//",
        "/api/datasets",
        "/api//datasets/",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let made = server.post("/api/datasets", "{}");
    assert_eq!(made.header("location"), "/api/datasets/1");
    let missing = server.get("/api/datasets/9").json();
    assert_eq!(missing["type"], "/api/problems/not-found");
    assert_eq!(server.get("/api/problems/not-found").json()["title"], "Not found");
}

#[test]
fn an_error_is_a_problem_that_old_clients_can_read() {
    let server = Server::start();
    let reply = server.send("GET", "/datasets/7", &[("X-Request-Id", "abc")], "");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.header("x-request-id"), "abc");
    let words = "there is no dataset \"7\"";
    assert_eq!(
        reply.json(),
        json!({
            "type": "/problems/not-found", "title": "Not found", "status": 404,
            "detail": words, "description": words, "message": words,
            "instance": "/datasets/7", "request_id": "abc", "retryable": false,
        })
    );
    assert!(!server.get("/datasets").header("x-request-id").is_empty());
}

#[test]
fn every_problem_opens() {
    let server = Server::start();
    for kind in crate::http::KINDS {
        let reply = server.get(&format!("/problems/{}", kind.slug));
        assert_eq!(reply.json()["status"], kind.status, "{}", kind.slug);
    }
    assert_eq!(server.get("/problems/nonsense").status, 404);
}

#[test]
fn unknown_paths_and_methods() {
    let server = Server::start();
    assert_eq!(server.get("/nonsense").status, 404);
    let refused = server.send("DELETE", "/datasets", &[], "");
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, POST"));
    let head = server.send("HEAD", "/datasets", &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for path in ["/tasks/undefined", "/datasets/undefined", "/algorithms/x", "/models/-1"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn pages_of_loopback_origins_may_do_everything() {
    let server = Server::start();
    let origin = ("Origin", "http://localhost:8080");
    let preflight = server.send(
        "OPTIONS",
        "/datasets/1/triples",
        &[
            origin,
            ("Access-Control-Request-Method", "PUT"),
            ("Access-Control-Request-Headers", "content-type, x-own"),
        ],
        "",
    );
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), "http://localhost:8080");
    assert_eq!(preflight.header("access-control-allow-methods"), "PUT");
    assert_eq!(preflight.header("access-control-allow-headers"), "content-type, x-own");
    for (method, path, status) in
        [("GET", "/datasets", 200), ("GET", "/datasets/9", 404), ("POST", "/datasets", 201)]
    {
        let reply = server.send(method, path, &[origin], "");
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), "http://localhost:8080");
        assert_eq!(reply.header("access-control-expose-headers"), "*");
    }
}

#[test]
fn pages_of_other_origins_may_not_unless_named() {
    let closed = Server::start();
    let origin = ("Origin", "https://evil.example");
    let read = closed.send("GET", "/datasets", &[origin], "");
    assert_eq!(read.header("access-control-allow-origin"), "");
    let write = closed.send("POST", "/datasets", &[origin, ("Content-Type", "text/plain")], "{}");
    assert_eq!((write.status, write.json()["title"].as_str()), (403, Some("Origin not allowed")));
    assert_eq!(closed.get("/datasets").json(), json!([]));

    let open = Server::start_with(|config| config.cors_origins = vec!["*".into()]);
    let read = open.send("GET", "/datasets", &[origin], "");
    assert_eq!(read.header("access-control-allow-origin"), "https://evil.example");
    assert_eq!(open.send("POST", "/datasets", &[origin], "{}").status, 201);
}

#[test]
fn other_host_names_are_refused_on_loopback() {
    let server = Server::start_with(|config| config.allowed_hosts = vec!["kge.example".into()]);
    for (host, status) in
        [("localhost", 200), ("127.0.0.1:1", 200), ("kge.example", 200), ("evil.example", 403)]
    {
        assert_eq!(server.send("GET", "/health/live", &[("Host", host)], "").status, status);
    }
}

#[test]
fn bodies_over_the_limit_are_refused_in_words() {
    let server = Server::start_with(|config| config.body_limit = 1000);
    let id = server.dataset(&["a b c"]);
    let path = format!("/datasets/{id}/triples");
    // Additions become an import task; what is answered at once has a limit.
    let large = "d\te\tf\n".repeat(400);
    let reply = server.send("DELETE", &path, &[], &large);
    assert_eq!((reply.status, reply.json()["title"].as_str()), (413, Some("Body too large")));
    // Small when packed, large when unpacked, by header or by its own looks.
    let packed = gzip(large.as_bytes());
    assert_eq!(server.send("DELETE", &path, &[("Content-Encoding", "gzip")], &packed).status, 413);
    assert_eq!(server.send("DELETE", &path, &[], &packed).status, 413);
    let odd = server.send("POST", &path, &[("Content-Encoding", "br")], "x");
    assert_eq!(odd.status, 415);
    assert_eq!(server.get(&format!("/datasets/{id}")).json()["dataset"]["triples"], 1);
}

#[test]
fn answers_are_compressed_when_asked_for() {
    let server = Server::start();
    let reply = server.send("GET", "/openapi.json", &[("Accept-Encoding", "gzip")], "");
    assert_eq!(reply.header("content-encoding"), "gzip");
    assert_eq!(server.get("/openapi.json").json()["openapi"], "3.1.0");
}

#[test]
fn the_reference_works_offline() {
    let server = Server::start();
    assert_eq!(server.get("/docs").header("location"), "/docs/");
    assert_eq!(server.get("/").status, 307);
    assert_eq!(server.get("/docs/").header("content-type"), "text/html");
    let start = server.get("/docs/swagger-initializer.js");
    let text = match start.header("content-encoding") {
        "gzip" => {
            let mut text = String::new();
            let mut unpacked = flate2::read::GzDecoder::new(&start.body[..]);
            std::io::Read::read_to_string(&mut unpacked, &mut text).unwrap();
            text
        }
        _ => start.text(),
    };
    assert!(text.contains("../openapi.json") && text.contains("\"none\""), "{text}");
    assert_eq!(server.get("/docs/nonsense.js").status, 404);
}

#[test]
fn health_and_workers() {
    let server = Server::start();
    assert_eq!(server.get("/health/live").json()["status"], "ok");
    for path in ["/health", "/health/ready"] {
        let reply = server.get(path);
        assert_eq!((reply.status, &reply.json()["workers"]), (200, &json!(0)), "{path}");
    }
    assert_eq!(server.get("/workers").json(), json!([]));
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let server = Server::start();
    let config = crate::Config { listen: server.address, ..Default::default() };
    let error = server.runtime.block_on(crate::bind(&config)).unwrap_err().to_string();
    assert!(error.contains(&server.address.to_string()) && error.contains("--listen"), "{error}");
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}
