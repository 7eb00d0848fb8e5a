//! `/plugins`: the scoring models that algorithms can name.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{StatusCode, header};
use kge_plugin::CheckReport;

use super::with;
use crate::{
    http::{Problem, Request, broken_off, empty, json, kind},
    router::{Answer, Route, routes},
    served::blocking,
    types::{PluginAdded, PluginEnvelope, PluginView, WasmComponent},
};

pub(super) fn routes() -> Vec<Route> {
    routes![list_plugins Read, add_plugin Plugins, get_plugin Read, delete_plugin Plugins]
}

/// List plugins
#[utoipa::path(get, path = "/plugins", tag = "plugins",
    responses((status = 200, description = "Plugins by name, the newest of a name first", body = Vec<PluginEnvelope>)))]
async fn list_plugins(request: Request) -> Answer {
    let records = request.app.catalog.plugins().await?;
    let views = records.into_iter().map(|r| PluginEnvelope { plugin: PluginView::new(r) });
    Ok(json(StatusCode::OK, &views.collect::<Vec<_>>()))
}

/// Add a plugin
///
/// The body is a WebAssembly component. It is compiled, asked what it is, and held to the whole
/// contract: lengths, gradients, the same bytes on every run, limits. It is stored under its
/// hash; adding it again changes nothing.
#[utoipa::path(post, path = "/plugins", tag = "plugins",
    request_body(content = WasmComponent, content_type = "application/wasm"),
    responses((status = 201, description = "Kept, with what was checked", body = PluginAdded)))]
async fn add_plugin(mut request: Request) -> Answer {
    let component = receive(&mut request).await?;
    let (host, bytes) = (Arc::clone(&request.app.host), component.clone());
    let (description, report) = blocking(move || {
        let plugin = host.load(&bytes)?;
        Ok((plugin.description().clone(), kge_plugin::check(&plugin)))
    })
    .await?
    .map_err(|error: kge_plugin::Error| refused(error.to_string()))?;
    if !report.passed() {
        return Err(failed(&report));
    }
    let record = request.app.catalog.add_plugin(component, description).await?;
    let location = format!("{}/plugins/{}", request.app.prefix, record.sha256);
    let checks = report.findings.into_iter().map(|f| format!("{}: {}", f.what, f.detail));
    let added = PluginAdded { plugin: PluginView::new(record), checks: checks.collect() };
    Ok(with(json(StatusCode::CREATED, &added), header::LOCATION, &location))
}

/// Get a plugin
#[utoipa::path(get, path = "/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "Its name, `name@version`, or SHA-256")),
    responses((status = 200, description = "What it says of itself", body = PluginEnvelope)))]
async fn get_plugin(request: Request) -> Answer {
    let record = request.app.catalog.plugin(request.segment("name")).await?;
    Ok(json(StatusCode::OK, &PluginEnvelope { plugin: PluginView::new(record) }))
}

/// Delete a plugin
///
/// One that a model needs stays.
#[utoipa::path(delete, path = "/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "Its name, `name@version`, or SHA-256")),
    responses((status = 204, description = "Gone")))]
async fn delete_plugin(request: Request) -> Answer {
    request.app.catalog.delete_plugin(request.segment("name")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The component, if it is not larger than what is compiled at all.
async fn receive(request: &mut Request) -> Result<Bytes, Problem> {
    let limit = request.app.host.limits().component_bytes;
    let too_large = || {
        let words = format!("the component is larger than the {limit} bytes this server compiles");
        Problem::new(&kind::BODY_TOO_LARGE, words)
    };
    let declared = request.header(header::CONTENT_LENGTH).and_then(|n| n.parse().ok());
    if declared.is_some_and(|length: usize| length > limit) {
        return Err(too_large());
    }
    let mut component = Vec::new();
    let Some(mut body) = request.take_body() else { return Ok(Bytes::new()) };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error))?;
        if let Some(piece) = frame.data_ref() {
            if component.len() + piece.len() > limit {
                return Err(too_large());
            }
            component.extend_from_slice(piece);
        }
    }
    Ok(component.into())
}

fn refused(words: String) -> Problem {
    Problem::new(&kind::PLUGIN_REFUSED, words)
}

/// 422 with every property that does not hold.
fn failed(report: &CheckReport) -> Problem {
    let mut problem = refused(format!("{} breaks the contract of plugins", report.plugin));
    for finding in report.findings.iter().filter(|finding| !finding.passed) {
        problem = problem.with_error(&finding.what, &finding.detail);
    }
    problem
}
