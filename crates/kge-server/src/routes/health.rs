//! `/health` and `/workers`: whether the server and those it needs are there.

use hyper::{StatusCode, header};
use kge_jobs::{Filter, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::with;
use crate::{
    app::App,
    http::{Reply, Request, json},
    router::{Answer, Route, routes},
    types::{WorkerEnvelope, WorkerView},
};

/// What the health routes answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok", "version": "0.1.0", "workers": 1, "problems": [], "warnings": []}))]
pub(crate) struct Health {
    /// `ok` or `unavailable`.
    pub status: &'static str,
    /// The release.
    pub version: &'static str,
    /// Workers heard of within the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub workers: Option<usize>,
    /// What keeps requests from being answered.
    pub problems: Vec<String>,
    /// What keeps tasks from being done.
    pub warnings: Vec<String>,
}

pub(super) fn routes() -> Vec<Route> {
    routes![live Open, ready Open, health Open, list_workers Read]
}

/// Ask whether the process lives
#[utoipa::path(get, path = "/health/live", tag = "server",
    responses((status = 200, description = "It does", body = Health)))]
async fn live(_request: Request) -> Answer {
    let (status, version) = ("ok", env!("CARGO_PKG_VERSION"));
    let (problems, warnings) = (Vec::new(), Vec::new());
    Ok(json(StatusCode::OK, &Health { status, version, workers: None, problems, warnings }))
}

/// Ask whether requests can be answered
#[utoipa::path(get, path = "/health/ready", tag = "server",
    responses(
        (status = 200, description = "They can", body = Health),
        (status = 503, description = "They cannot, and why", body = Health),
    ))]
async fn ready(request: Request) -> Answer {
    Ok(readiness(&request.app).await)
}

/// Ask whether requests can be answered
///
/// The same as `/health/ready`.
#[utoipa::path(get, path = "/health", tag = "server",
    responses(
        (status = 200, description = "They can", body = Health),
        (status = 503, description = "They cannot, and why", body = Health),
    ))]
async fn health(request: Request) -> Answer {
    Ok(readiness(&request.app).await)
}

/// List workers
#[utoipa::path(get, path = "/workers", tag = "server",
    responses((status = 200, description = "Workers heard of within the last minute", body = Vec<WorkerEnvelope>)))]
async fn list_workers(request: Request) -> Answer {
    let workers = request.app.jobs.workers().await?;
    let views = workers.into_iter().map(|worker| WorkerEnvelope {
        worker: WorkerView {
            id: worker.id.to_string(),
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            kinds: worker.kinds,
            slots: worker.slots,
            features: worker.features,
            lacks: worker.lacks,
            tasks: worker.tasks.iter().map(|id| id.0).collect(),
            last_seen: worker.last_seen.to_string(),
        },
    });
    Ok(json(StatusCode::OK, &views.collect::<Vec<_>>()))
}

async fn readiness(app: &App) -> Reply {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut workers = None;
    if let Err(error) = app.jobs.ping().await {
        problems.push(error.to_string());
    } else {
        let alive = app.jobs.workers().await.unwrap_or_default();
        let queued = Filter { state: Some(State::Queued), ..Filter::default() };
        for task in app.jobs.tasks(queued, None, 100).await.unwrap_or_default() {
            let kind = task.kind;
            let able: Vec<_> = alive.iter().filter(|worker| worker.kinds.contains(&kind)).collect();
            // A worker learns what it can offer when it looks for work; what it lacks, it says.
            let lacked = |need: &&String| able.iter().all(|worker| worker.lacks.contains(need));
            let words = if able.is_empty() {
                format!("a {kind:?} task is queued, but no worker runs such tasks")
            } else if let Some(need) = task.needs.features.iter().find(lacked) {
                format!("a {kind:?} task is queued that needs {need}, which no worker has")
            } else {
                continue;
            };
            if !warnings.contains(&words) {
                warnings.push(words);
            }
        }
        workers = Some(alive.len());
    }
    if let Err(error) = app.catalog.plugins().await {
        problems.push(error.to_string());
    }
    let (code, status) = match problems.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let reply = json(code, &Health { status, version, workers, problems, warnings });
    if code == StatusCode::OK { reply } else { with(reply, header::RETRY_AFTER, "5") }
}
