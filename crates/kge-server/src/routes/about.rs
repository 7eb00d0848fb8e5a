//! `/` and `/problems/{slug}`: where to begin, and what an error means.

use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{KINDS, Problem, Request, json, redirect},
    router::{Answer, Route, routes},
};

/// What a class of problems means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemKind {
    /// The path that `type` names.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: &'static str,
    /// The status it is sent with.
    pub status: u16,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What it means and what to do.
    pub about: &'static str,
}

pub(super) fn routes() -> Vec<Route> {
    routes![root Open, problem_kind Open]
}

/// Go to the interactive reference
#[utoipa::path(get, path = "/", tag = "server",
    responses((status = 307, description = "To /docs/")))]
async fn root(request: Request) -> Answer {
    let location = format!("{}/docs/", request.app.prefix);
    Ok(redirect(StatusCode::TEMPORARY_REDIRECT, &location))
}

/// Read what a problem means
#[utoipa::path(get, path = "/problems/{slug}", tag = "server",
    params(("slug" = String, Path, description = "The last part of a problem's `type`")),
    responses((status = 200, description = "What it means", body = ProblemKind)))]
async fn problem_kind(request: Request) -> Answer {
    let slug = request.segment("slug");
    let known = KINDS.iter().find(|known| known.slug == slug);
    let known = known.ok_or_else(|| Problem::unknown("problem", slug, None))?;
    let view = ProblemKind {
        kind: format!("{}/problems/{slug}", request.app.prefix),
        title: known.title,
        status: known.status,
        retryable: known.retryable,
        about: known.about,
    };
    Ok(json(StatusCode::OK, &view))
}
