//! `/openapi.json` and `/docs`: the document, and a reference to read and try it, offline.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hyper::{StatusCode, header};

use super::with;
use crate::{
    http::{Problem, Request, bytes, json_text, redirect},
    openapi::openapi,
    router::{Answer, Route, routes},
};

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&openapi()).map(Bytes::from).unwrap_or_default());

static PAGE: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        utoipa_swagger_ui::Config::from("../openapi.json")
            .validator_url("none")
            .try_it_out_enabled(true)
            .filter(true),
    )
});

pub(super) fn routes() -> Vec<Route> {
    routes![document Open, reference Open, reference_file Open]
}

/// Get this document
#[utoipa::path(get, path = "/openapi.json", tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
async fn document(_request: Request) -> Answer {
    Ok(json_text(DOCUMENT.clone()))
}

/// Read the interactive reference
#[utoipa::path(get, path = "/docs", tag = "server",
    responses((status = 200, description = "A page", content_type = "text/html", body = String)))]
async fn reference(request: Request) -> Answer {
    // Its files are named relative to /docs/.
    if !request.parts.uri.path().ends_with('/') {
        let location = format!("{}/docs/", request.app.prefix);
        return Ok(redirect(StatusCode::TEMPORARY_REDIRECT, &location));
    }
    file("index.html")
}

/// Get a file of the interactive reference
#[utoipa::path(get, path = "/docs/{file}", tag = "server",
    params(("file" = String, Path, description = "The file")),
    responses((status = 200, description = "The file", body = Vec<u8>)))]
async fn reference_file(request: Request) -> Answer {
    file(request.segment("file"))
}

fn file(name: &str) -> Answer {
    let file =
        utoipa_swagger_ui::serve(name, Arc::clone(&PAGE)).map_err(|e| Problem::internal(&e))?;
    let file = file.ok_or_else(|| Problem::unknown("file", name, None))?;
    let reply = bytes(StatusCode::OK, &file.content_type, file.bytes.into_owned());
    let reply = with(reply, header::CACHE_CONTROL, "max-age=3600");
    Ok(match file.gzpipped {
        true => with(reply, header::CONTENT_ENCODING, "gzip"),
        false => reply,
    })
}
