//! `/models`: what training made.

use hyper::{StatusCode, header};
use kge_catalog::{DatasetId, ModelId};
use kge_model::ModelRecord;
use serde_json::Value;

use super::{datasets::dataset_id, with};
use crate::{
    http::{Problem, Request, bytes, empty, json, json_text},
    router::{Answer, Route, routes},
    types::{EvaluationEnvelope, HistoryEnvelope, ModelEnvelope, ModelView},
};

pub(super) fn routes() -> Vec<Route> {
    routes![
        list_models Read,
        get_model Read,
        delete_model Write,
        promote_model Write,
        model_evaluation Read,
        model_history Read,
        model_provenance Read,
        model_embeddings Read,
    ]
}

/// List a dataset's models
#[utoipa::path(get, path = "/datasets/{id}/models", tag = "models",
    params(("id" = u64, Path, description = "The dataset")),
    responses((status = 200, description = "Models, oldest first", body = Vec<ModelEnvelope>)))]
async fn list_models(request: Request) -> Answer {
    let catalog = &request.app.catalog;
    let dataset = catalog.dataset(dataset_id(&request)?).await?;
    let promoted = dataset.promoted.map(|id| id.0);
    let records = catalog.models(dataset.id).await?;
    let views = records.into_iter().map(|record| {
        let promoted = Some(record.id) == promoted;
        ModelEnvelope { model: ModelView::new(record, promoted) }
    });
    Ok(json(StatusCode::OK, &views.collect::<Vec<_>>()))
}

/// Get a model
#[utoipa::path(get, path = "/models/{id}", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "The model", body = ModelEnvelope)))]
async fn get_model(request: Request) -> Answer {
    let record = record(&request).await?;
    Ok(json(StatusCode::OK, &shown(&request, record).await))
}

/// Delete a model
///
/// If it was promoted, the newest one left answers.
#[utoipa::path(delete, path = "/models/{id}", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 204, description = "Gone")))]
async fn delete_model(request: Request) -> Answer {
    let record = record(&request).await?;
    request.app.catalog.delete_model(ModelId(record.id)).await?;
    request.app.served.forget(DatasetId(record.dataset));
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Let a model answer for its dataset
#[utoipa::path(post, path = "/models/{id}/promote", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "It answers now", body = ModelEnvelope)))]
async fn promote_model(request: Request) -> Answer {
    let record = record(&request).await?;
    request.app.catalog.promote(ModelId(record.id)).await?;
    request.app.served.forget(DatasetId(record.dataset));
    Ok(json(StatusCode::OK, &shown(&request, record).await))
}

/// Get a model's metrics
#[utoipa::path(get, path = "/models/{id}/evaluation", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "Filtered, realistic ranks on the test split", body = EvaluationEnvelope)))]
async fn model_evaluation(request: Request) -> Answer {
    let record = record(&request).await?;
    let model = record.id;
    let evaluation = record.evaluation.ok_or_else(|| {
        let words = format!("model {model} was not evaluated: its dataset had no test split, or the training was asked not to");
        Problem::new(&crate::http::kind::NOT_FOUND, words)
    })?;
    Ok(json(StatusCode::OK, &EvaluationEnvelope { model, evaluation }))
}

/// Get a model's history
#[utoipa::path(get, path = "/models/{id}/history", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "Loss and validation metrics by epoch", body = HistoryEnvelope)))]
async fn model_history(request: Request) -> Answer {
    let model = record(&request).await?.id;
    let lines = request.app.catalog.model_part(ModelId(model), "history.jsonl").await?;
    let history = lines
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice::<Value>)
        .collect::<Result<_, _>>()
        .map_err(|error| Problem::internal(&error))?;
    Ok(json(StatusCode::OK, &HistoryEnvelope { model, history }))
}

/// Get a model's provenance
///
/// An in-toto statement with SLSA's provenance predicate.
#[utoipa::path(get, path = "/models/{id}/provenance", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "What went in, what ran, what came out", body = Value)))]
async fn model_provenance(request: Request) -> Answer {
    let model = ModelId(record(&request).await?.id);
    let provenance = request.app.catalog.model_part(model, "provenance.json").await?;
    Ok(json_text(provenance))
}

/// Download a model's embeddings
///
/// safetensors: `entities` and `relations`, rows in id order. The names by row are those of
/// `/datasets/{id}/entities` at the model's revision.
#[utoipa::path(get, path = "/models/{id}/embeddings", tag = "models",
    params(("id" = u64, Path, description = "The model")),
    responses((status = 200, description = "safetensors", content_type = "application/octet-stream", body = Vec<u8>)))]
async fn model_embeddings(request: Request) -> Answer {
    let record = record(&request).await?;
    let etag = format!("\"{}\"", record.embeddings_sha256);
    if request.header(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&etag)) {
        return Ok(with(empty(StatusCode::NOT_MODIFIED), header::ETAG, &etag));
    }
    let rows = request.app.catalog.model_part(ModelId(record.id), "embeddings.safetensors").await?;
    let reply = bytes(StatusCode::OK, "application/octet-stream", rows);
    let name = format!("attachment; filename=\"model-{}.safetensors\"", record.id);
    Ok(with(with(reply, header::CONTENT_DISPOSITION, &name), header::ETAG, &etag))
}

async fn record(request: &Request) -> Result<ModelRecord, Problem> {
    let id = ModelId(request.number("model", "id")?);
    Ok(request.app.catalog.model(id).await?)
}

async fn shown(request: &Request, record: ModelRecord) -> ModelEnvelope {
    let dataset = request.app.catalog.dataset(DatasetId(record.dataset)).await;
    let promoted = dataset.is_ok_and(|d| d.promoted == Some(ModelId(record.id)));
    ModelEnvelope { model: ModelView::new(record, promoted) }
}
