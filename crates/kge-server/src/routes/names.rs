//! `/datasets/{id}/entities` and `/relations`: names and how often they are used.

use hyper::{StatusCode, header};
use kge_graph::{Graph, Vocabulary};

use super::{datasets::dataset_id, next, with};
use crate::{
    http::{Problem, Reply, Request, json},
    router::{Answer, Route, routes},
    served::blocking,
    types::{NameEnvelope, NameView, RelationEnvelope},
};

/// Names of a page, unless the request asks for another number.
const PAGE: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    routes![list_entities Read, list_relations Read]
}

/// List a dataset's entities
///
/// The most used first.
#[utoipa::path(get, path = "/datasets/{id}/entities", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("limit" = Option<usize>, Query, description = "At most so many; 100 if left out"),
        ("cursor" = Option<usize>, Query, description = "Where to begin; see the `Link` header"),
    ),
    responses((status = 200, description = "Entities with their mentions", body = Vec<NameEnvelope>)))]
async fn list_entities(request: Request) -> Answer {
    let (views, link) = names(&request, "entities", Graph::entities, |graph, counts| {
        for (_, triple) in graph.iter() {
            counts[triple.head.0 as usize] += 1;
            if triple.tail != triple.head {
                counts[triple.tail.0 as usize] += 1;
            }
        }
    })
    .await?;
    let views: Vec<_> = views.into_iter().map(|entity| NameEnvelope { entity }).collect();
    Ok(linked(json(StatusCode::OK, &views), link))
}

/// List a dataset's relations
///
/// The most used first.
#[utoipa::path(get, path = "/datasets/{id}/relations", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("limit" = Option<usize>, Query, description = "At most so many; 100 if left out"),
        ("cursor" = Option<usize>, Query, description = "Where to begin; see the `Link` header"),
    ),
    responses((status = 200, description = "Relations with their triples", body = Vec<RelationEnvelope>)))]
async fn list_relations(request: Request) -> Answer {
    let (views, link) = names(&request, "relations", Graph::relations, |graph, counts| {
        for (_, triple) in graph.iter() {
            counts[triple.relation.0 as usize] += 1;
        }
    })
    .await?;
    let views: Vec<_> = views.into_iter().map(|relation| RelationEnvelope { relation }).collect();
    Ok(linked(json(StatusCode::OK, &views), link))
}

async fn names(
    request: &Request,
    what: &str,
    vocabulary: fn(&Graph) -> &Vocabulary,
    count: fn(&Graph, &mut [u64]),
) -> Result<(Vec<NameView>, Option<String>), Problem> {
    let id = dataset_id(request)?;
    let limit: usize = request.query.integer("limit")?.unwrap_or(PAGE);
    let start: usize = request.query.integer("cursor")?.unwrap_or(0);
    let graph = request.app.catalog.graph(id).await?;
    let (views, total) = blocking(move || {
        let names = vocabulary(&graph);
        let mut counts = vec![0; names.len()];
        count(&graph, &mut counts);
        let views = names.iter().zip(counts).skip(start).take(limit);
        let views = views.map(|(name, count)| NameView { name: name.to_owned(), count });
        (views.collect::<Vec<_>>(), names.len())
    })
    .await?;
    let end = start.saturating_add(limit);
    let path = format!("{}/datasets/{id}/{what}", request.app.prefix);
    let link = (limit > 0 && end < total).then(|| next(&path, &request.query, &end.to_string()));
    Ok((views, link))
}

fn linked(reply: Reply, link: Option<String>) -> Reply {
    link.into_iter().fold(reply, |reply, link| with(reply, header::LINK, &link))
}
