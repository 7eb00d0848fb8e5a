//! `/datasets/{id}/similar_entities`: neighbours by angle, by an exact scan.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    datasets::{dataset_id, view_beside_answer},
    vectors::find_entity,
};
use crate::{
    http::{self, Problem, Request, from_value, kind},
    router::{Answer, Route, routes},
    served::blocking,
    types::{
        AskedEntity, AskedEntityView, NamesView, NeighbourView, Numbers, SimilarAsked,
        SimilarBlock, SimilarView,
    },
};

pub(super) fn routes() -> Vec<Route> {
    routes![similar_to_named Read, similar_to_query Read, similar_to_body Read]
}

/// Find entities similar to a named one
///
/// Names with slashes may be percent-encoded or not.
#[utoipa::path(get, path = "/datasets/{id}/similar_entities/{entity}", tag = "questions",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("entity" = String, Path, description = "A name or URI"),
        ("limit" = Option<usize>, Query, description = "Neighbours beside the entity itself; 10 if left out"),
        ("search_k" = Option<i64>, Query, description = "Echoed; the scan is exact"),
        ("object" = Option<bool>, Query, description = "With the names of each neighbour"),
    ),
    responses((status = 200, description = "Nearest first", body = SimilarView)))]
async fn similar_to_named(request: Request) -> Answer {
    let value = request.segment("entity").to_owned();
    similar(&request, AskedEntity { value: value.into(), kind: None }).await
}

/// Find entities similar to one named in the query
#[utoipa::path(get, path = "/datasets/{id}/similar_entities", tag = "questions",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("entity" = String, Query, description = "A name or URI"),
        ("limit" = Option<usize>, Query, description = "Neighbours beside the entity itself; 10 if left out"),
        ("search_k" = Option<i64>, Query, description = "Echoed; the scan is exact"),
        ("object" = Option<bool>, Query, description = "With the names of each neighbour"),
    ),
    responses((status = 200, description = "Nearest first", body = SimilarView)))]
async fn similar_to_query(request: Request) -> Answer {
    let Some(value) = request.query.text("entity").map(Value::from) else {
        return Err(Problem::new(&kind::MISSING_PARAMETER, "the parameter \"entity\" is missing"));
    };
    similar(&request, AskedEntity { value, kind: None }).await
}

/// Find entities similar to a named one or to a vector
#[utoipa::path(post, path = "/datasets/{id}/similar_entities", tag = "questions",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("limit" = Option<usize>, Query, description = "Neighbours beside the entity itself; 10 if left out"),
        ("search_k" = Option<i64>, Query, description = "Echoed; the scan is exact"),
        ("object" = Option<bool>, Query, description = "With the names of each neighbour"),
    ),
    request_body = SimilarAsked,
    responses((status = 200, description = "Nearest first", body = SimilarView)))]
async fn similar_to_body(mut request: Request) -> Answer {
    let asked: SimilarAsked = request.json().await?;
    let entity = match asked.entity {
        None | Some(Value::Null) => {
            let words = "missing: expected {\"value\", \"type\"}";
            return Err(Problem::field("/entity", words));
        }
        Some(Value::String(name)) => AskedEntity { value: name.into(), kind: None },
        Some(entity) => from_value(entity, "/entity")?,
    };
    similar(&request, entity).await
}

async fn similar(request: &Request, asked: AskedEntity) -> Answer {
    let limit: usize = request.query.integer("limit")?.unwrap_or(10);
    let search_k = request.query.integer("search_k")?.unwrap_or(-1);
    let with_names = request.query.boolean("object")?;
    let kind = asked.kind.as_deref().unwrap_or("uri");
    let vector: Option<Numbers> = match kind.to_lowercase().as_str() {
        "uri" if asked.value.is_string() => None,
        "uri" => return Err(Problem::field("/entity/value", "expected a name")),
        "embedding" => Some(from_value(asked.value.clone(), "/entity/value")?),
        _ => {
            let words = format!("unknown type \"{kind}\", expected uri or embedding");
            return Err(Problem::field("/entity/type", words));
        }
    };
    let (dataset, served) = request.app.served.promoted(dataset_id(request)?).await?;
    let named = vector.is_none();
    let vector = match (vector, asked.value.as_str()) {
        (Some(vector), _) => vector,
        (None, name) => {
            let id = find_entity(&dataset, &served, name.unwrap_or_default())?;
            served.embeddings.entity(id.0).to_vec()
        }
    };
    let names = named && with_names;
    let response = blocking(move || {
        let found = served.similar(&vector, limit.saturating_add(1))?;
        let neighbours = found.into_iter().map(|neighbour| {
            let name = served.entity_name(neighbour.entity);
            NeighbourView {
                entity: name.to_owned(),
                distance: neighbour.distance,
                object: names.then(|| unnamed(name)),
            }
        });
        Ok::<_, Problem>(neighbours.collect::<Vec<_>>())
    })
    .await??;
    let block = SimilarBlock {
        entity: AskedEntityView {
            value: asked.value,
            kind: if named { "uri" } else { "embedding" },
        },
        limit: response.len(),
        search_k,
        response,
    };
    let dataset = view_beside_answer(&request.app, &dataset).await;
    Ok(http::json(StatusCode::OK, &SimilarView { dataset, similar_entities: block }))
}

/// An entity without stored names. Empty members, because clients index into them.
fn unnamed(name: &str) -> NamesView {
    NamesView {
        entity_id: name.rsplit('/').next().unwrap_or(name).to_owned(),
        entity_uri: name.to_owned(),
        label: json!({}),
        alt_label: json!({}),
        description: json!({}),
    }
}
