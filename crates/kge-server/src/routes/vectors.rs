//! `/datasets/{id}/embeddings` and `/distance`: rows of the promoted model.

use hyper::StatusCode;
use kge_catalog::{Dataset, Position, normalise};
use kge_graph::{EntityId, RelationId};
use kge_search::ServedModel;

use super::datasets::dataset_id;
use crate::{
    http::{Problem, Request, json},
    router::{Answer, Route, routes},
    types::{DistanceAsked, DistanceView, EmbeddingsAsked, EmbeddingsView},
};

pub(super) fn routes() -> Vec<Route> {
    routes![embeddings Read, distance Read]
}

/// Get rows of the promoted model
///
/// In the order asked; unknown names are left out.
#[utoipa::path(post, path = "/datasets/{id}/embeddings", tag = "questions",
    params(("id" = u64, Path, description = "The dataset")),
    request_body = EmbeddingsAsked,
    responses((status = 200, description = "Names and rows", body = EmbeddingsView)))]
async fn embeddings(mut request: Request) -> Answer {
    let asked: EmbeddingsAsked = request.json().await?;
    if asked.entities.is_none() && asked.relations.is_none() {
        return Err(Problem::field("/entities", "missing: expected a list of names"));
    }
    let (dataset, served) = request.app.served.promoted(dataset_id(&request)?).await?;
    let entity_row = |name: String| {
        let id = find_entity(&dataset, &served, &name).ok()?;
        Some((name, served.embeddings.entity(id.0).to_vec()))
    };
    let relation_row = |name: String| {
        let id = find_relation(&dataset, &served, &name).ok()?;
        Some((name, served.embeddings.relation(id.0).to_vec()))
    };
    let embeddings = asked.entities.unwrap_or_default().into_iter().filter_map(entity_row);
    let relations = asked.relations.map(|names| names.into_iter().filter_map(relation_row));
    let view = EmbeddingsView {
        embeddings: embeddings.collect(),
        relations: relations.map(Iterator::collect),
    };
    Ok(json(StatusCode::OK, &view))
}

/// Measure the distance of two entities
#[utoipa::path(post, path = "/datasets/{id}/distance", tag = "questions",
    params(("id" = u64, Path, description = "The dataset")),
    request_body = DistanceAsked,
    responses((status = 200, description = "Angular, 0 to 2", body = DistanceView)))]
async fn distance(mut request: Request) -> Answer {
    let asked: DistanceAsked = request.json().await?;
    let [a, b, ..] = asked.distance.as_slice() else {
        return Err(Problem::field("/distance", "expected two names of entities"));
    };
    let (dataset, served) = request.app.served.promoted(dataset_id(&request)?).await?;
    let (a, b) = (find_entity(&dataset, &served, a)?, find_entity(&dataset, &served, b)?);
    Ok(json(StatusCode::OK, &DistanceView { distance: served.distance(a, b) }))
}

/// The entity a question names.
///
/// # Errors
/// 404 with the nearest known name.
pub(super) fn find_entity(
    dataset: &Dataset,
    served: &ServedModel,
    name: &str,
) -> Result<EntityId, Problem> {
    let canonical = normalise(dataset.dataset_type, Position::Entity, name);
    let graph = &served.graph;
    graph
        .entity(&canonical)
        .ok_or_else(|| Problem::unknown("entity", name, graph.entities().nearest(&canonical)))
}

/// The relation a question names.
///
/// # Errors
/// 404 with the nearest known name.
pub(super) fn find_relation(
    dataset: &Dataset,
    served: &ServedModel,
    name: &str,
) -> Result<RelationId, Problem> {
    let canonical = normalise(dataset.dataset_type, Position::Relation, name);
    let graph = &served.graph;
    graph
        .relation(&canonical)
        .ok_or_else(|| Problem::unknown("relation", name, graph.relations().nearest(&canonical)))
}
