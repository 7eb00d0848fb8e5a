//! `/datasets`: making, listing, editing and deleting them.

use std::{collections::HashMap, time::Duration};

use hyper::{StatusCode, header};
use kge_catalog::{Dataset, DatasetId};
use kge_jobs::{Filter, Kind, State};

use super::{page, with};
use crate::{
    app::App,
    http::{Problem, Reply, Request, empty, json, kind},
    router::{Answer, Route, routes},
    types::{self, DatasetCreated, DatasetEnvelope, DatasetView, EditDataset, NewDataset},
};

pub(super) fn routes() -> Vec<Route> {
    routes![
        list_datasets Read,
        create_dataset Write,
        get_dataset Read,
        replace_dataset Write,
        edit_dataset Write,
        delete_dataset Write,
    ]
}

/// List datasets
///
/// Everything there is, unless `limit` is given.
#[utoipa::path(get, path = "/datasets", tag = "datasets",
    params(
        ("limit" = Option<u64>, Query, description = "At most so many"),
        ("cursor" = Option<u64>, Query, description = "Those after this id; see the `Link` header"),
    ),
    responses((status = 200, description = "Datasets by id", body = Vec<DatasetEnvelope>)))]
async fn list_datasets(request: Request) -> Answer {
    let query = &request.query;
    let (limit, cursor) = (query.integer("limit")?, query.integer("cursor")?);
    let mut datasets = request.app.catalog.datasets().await?;
    datasets.retain(|dataset| request.sees(Some(dataset.id.0)));
    let running = running(&request.app, None).await?;
    let path = format!("{}/datasets", request.app.prefix);
    let (datasets, link) = page(datasets, limit, cursor, |d| d.id.0, query, &path);
    let views: Vec<_> = datasets
        .iter()
        .map(|dataset| DatasetEnvelope { dataset: viewed(dataset, &running) })
        .collect();
    let reply = json(StatusCode::OK, &views);
    Ok(link.into_iter().fold(reply, |reply, link| with(reply, header::LINK, &link)))
}

/// Make a dataset
///
/// A dataset without a name gets one. Names are unique.
#[utoipa::path(post, path = "/datasets", tag = "datasets",
    params(("dataset_type" = Option<u8>, Query, description = "0 plain, 1 Wikidata (default), 2 DBpedia-like")),
    request_body = NewDataset,
    responses((status = 201, description = "Made", body = DatasetCreated)))]
async fn create_dataset(mut request: Request) -> Answer {
    let asked: Option<u8> = request.query.integer("dataset_type")?;
    let body: NewDataset = request.optional_json().await?.unwrap_or_default();
    let dataset = request
        .app
        .catalog
        .create_dataset(kge_catalog::NewDataset {
            name: body.name.filter(|name| !name.is_empty()),
            description: body.description.unwrap_or_default(),
            dataset_type: asked.or(body.dataset_type).unwrap_or(1),
        })
        .await?;
    let id = dataset.id.0;
    let reply = json(StatusCode::CREATED, &DatasetCreated { dataset: types::DatasetId { id } });
    Ok(with(reply, header::LOCATION, &format!("{}/datasets/{id}", request.app.prefix)))
}

/// Get a dataset
#[utoipa::path(get, path = "/datasets/{id}", tag = "datasets",
    params(("id" = u64, Path, description = "The dataset")),
    responses((status = 200, description = "The dataset; `ETag` names its version", body = DatasetEnvelope)))]
async fn get_dataset(request: Request) -> Answer {
    let dataset = request.app.catalog.dataset(dataset_id(&request)?).await?;
    shown(&request, &dataset).await
}

/// Change a dataset's description
#[utoipa::path(put, path = "/datasets/{id}", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("If-Match" = Option<String>, Header, description = "Only if it still has this `ETag`"),
    ),
    request_body = EditDataset,
    responses((status = 200, description = "The dataset", body = DatasetEnvelope)))]
async fn replace_dataset(mut request: Request) -> Answer {
    let body: EditDataset = request.optional_json().await?.unwrap_or_default();
    edit(&request, EditDataset { name: None, ..body }).await
}

/// Change a dataset's name or description
#[utoipa::path(patch, path = "/datasets/{id}", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("If-Match" = Option<String>, Header, description = "Only if it still has this `ETag`"),
    ),
    request_body = EditDataset,
    responses((status = 200, description = "The dataset", body = DatasetEnvelope)))]
async fn edit_dataset(mut request: Request) -> Answer {
    let body: EditDataset = request.optional_json().await?.unwrap_or_default();
    edit(&request, body).await
}

/// Delete a dataset and its models
#[utoipa::path(delete, path = "/datasets/{id}", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("If-Match" = Option<String>, Header, description = "Only if it still has this `ETag`"),
    ),
    responses((status = 204, description = "Gone")))]
async fn delete_dataset(request: Request) -> Answer {
    let id = dataset_id(&request)?;
    if let Some(expected) = if_match(&request) {
        let found = request.app.catalog.dataset(id).await?.etag();
        if found != expected {
            let words = format!("dataset {id} is at version {found}, not at {expected}");
            return Err(Problem::new(&kind::PRECONDITION_FAILED, words));
        }
    }
    request.app.catalog.delete_dataset(id).await?;
    request.app.served.forget(id);
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn edit(request: &Request, changes: EditDataset) -> Answer {
    let id = dataset_id(request)?;
    let change = |dataset: &mut Dataset| {
        if let Some(name) = &changes.name {
            dataset.name.clone_from(name);
        }
        if let Some(description) = &changes.description {
            dataset.description.clone_from(description);
        }
    };
    let catalog = &request.app.catalog;
    let dataset = match if_match(request) {
        Some(etag) => catalog.update_dataset_if(id, &etag, change).await?,
        None => catalog.update_dataset(id, change).await?,
    };
    shown(request, &dataset).await
}

async fn shown(request: &Request, dataset: &Dataset) -> Result<Reply, Problem> {
    let dataset_view = view(&request.app, dataset).await?;
    let reply = json(StatusCode::OK, &DatasetEnvelope { dataset: dataset_view });
    Ok(with(reply, header::ETAG, &format!("\"{}\"", dataset.etag())))
}

/// The version that `If-Match` names; `*` names any.
fn if_match(request: &Request) -> Option<String> {
    let text = request.header(header::IF_MATCH)?.trim();
    (text != "*").then(|| text.trim_start_matches("W/").trim_matches('"').to_owned())
}

/// The dataset a path names.
///
/// # Errors
/// 404 if it is no number.
pub(super) fn dataset_id(request: &Request) -> Result<DatasetId, Problem> {
    request.number("dataset", "id").map(DatasetId)
}

/// A dataset with its status.
///
/// # Errors
/// 503 if the job store does not answer.
pub(super) async fn view(app: &App, dataset: &Dataset) -> Result<DatasetView, Problem> {
    Ok(viewed(dataset, &running(app, Some(dataset.id)).await?))
}

/// How long an answer waits for what stands beside it.
const BESIDE: Duration = Duration::from_secs(1);

/// A dataset as part of an answer that does not depend on the job store: if that is away, it is
/// shown as nobody working on it.
pub(super) async fn view_beside_answer(app: &App, dataset: &Dataset) -> DatasetView {
    let running = tokio::time::timeout(BESIDE, running(app, Some(dataset.id))).await;
    viewed(dataset, &running.ok().and_then(Result::ok).unwrap_or_default())
}

/// The datasets with running tasks, and whether one of those trains.
async fn running(app: &App, dataset: Option<DatasetId>) -> Result<HashMap<u64, bool>, Problem> {
    let filter = Filter {
        state: Some(State::Running),
        dataset: dataset.map(|id| id.0),
        ..Filter::default()
    };
    let mut running = HashMap::new();
    for task in app.jobs.tasks(filter, None, 1000).await? {
        if let Some(dataset) = task.dataset {
            *running.entry(dataset).or_insert(false) |= task.kind == Kind::Train;
        }
    }
    Ok(running)
}

fn viewed(dataset: &Dataset, running: &HashMap<u64, bool>) -> DatasetView {
    let training = running.get(&dataset.id.0);
    DatasetView::new(dataset, training.is_some(), training.copied().unwrap_or(false))
}
