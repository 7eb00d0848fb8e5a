//! `POST /datasets/{id}/train`: from a request to a queued task.

use hyper::{StatusCode, header};
use kge_catalog::{AlgorithmId, ChosenAlgorithm};
use kge_embed::Algorithm;
use kge_jobs::{Kind, Needs, NewTask};
use serde_json::{Value, json};

use super::{
    algorithms,
    datasets::{dataset_id, view},
    with,
};
use crate::{
    http::{self, Problem, Request, kind},
    router::{Answer, Route, routes},
    types::{Accepted, TaskId, TrainAsked},
};

pub(super) fn routes() -> Vec<Route> {
    routes![train Train]
}

/// Train a model
///
/// Without a body, as the old service had it: `?algorithm=` is required, and training a trained
/// dataset needs `?ignore_status=true`. A body may name the algorithm and more; then a trained
/// dataset just gets another model.
#[utoipa::path(post, path = "/datasets/{id}/train", tag = "tasks",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("algorithm" = Option<String>, Query, description = "A stored algorithm's number, or a preset's name"),
        ("algorithm_id" = Option<String>, Query, description = "The same"),
        ("ignore_status" = Option<bool>, Query, description = "Train although it is trained"),
    ),
    request_body(content = Option<TrainAsked>),
    responses((status = 202, description = "Queued; `Location` is the task", body = Accepted)))]
async fn train(mut request: Request) -> Answer {
    let ignore_status = request.query.boolean("ignore_status")?;
    let body: Option<TrainAsked> = request.optional_json().await?;
    let new_form = body.is_some();
    let body = body.unwrap_or_default();
    let id = dataset_id(&request)?;
    let app = &request.app;

    let named = ["algorithm_id", "algorithm"].iter().find_map(|name| request.query.text(name));
    let asked = match (&body.algorithm, named) {
        (Some(form), _) => form.clone(),
        (None, Some(named)) => Value::from(named),
        (None, None) => {
            let words = "the parameter \"algorithm\" is missing: the number of a stored algorithm, \
                         or the name of a preset (see /algorithms/presets)";
            return Err(Problem::new(&kind::MISSING_PARAMETER, words));
        }
    };
    let dataset = app.catalog.dataset(id).await?;
    let (algorithm_id, mut algorithm) = resolve(&request, asked).await?;
    algorithm.seed = body.seed.unwrap_or(algorithm.seed);
    algorithm.epochs = body.epochs.unwrap_or(algorithm.epochs);
    if !new_form && !ignore_status && view(app, &dataset).await?.status & 2 != 0 {
        let words =
            format!("dataset {id} is trained already; ?ignore_status=true trains another model");
        return Err(Problem::new(&kind::CONFLICT, words));
    }
    if dataset.counts.train == 0 {
        let words = format!("dataset {id} has no triples to train on: add some first");
        return Err(Problem::new(&kind::CONFLICT, words));
    }
    if let Some(revision) = &body.revision {
        app.catalog.revision(revision).await?;
    }
    let plugin = app.catalog.plugin(&algorithm.plugin).await?;
    check(&plugin, &algorithm)?;

    let model = app.catalog.reserve_model(id).await?;
    let algorithm = serde_json::to_value(&algorithm).map_err(|error| Problem::internal(&error))?;
    let payload = json!({
        "model": model,
        "revision": body.revision,
        "algorithm": algorithm,
        "algorithm_id": algorithm_id,
        "plugin": {"name": plugin.name, "version": plugin.version, "sha256": plugin.sha256},
        "evaluate": body.evaluate.unwrap_or(true),
        "promote": body.promote,
        "old_form": !new_form,
    });
    let needs = Needs { features: vec![Needs::engine(), Needs::plugin(&plugin.sha256)] };
    let task = NewTask { needs, ..NewTask::new(Kind::Train, Some(id.0), payload) };
    let task = app.jobs.enqueue(task).await?.id.0;
    let chosen = ChosenAlgorithm { id: algorithm_id, algorithm };
    app.catalog
        .update_dataset(id, |dataset| {
            dataset.task = Some(task);
            dataset.algorithm = Some(chosen.clone());
        })
        .await?;
    let accepted = Accepted {
        status: 202,
        message: format!("Task {task} created successfully: it trains model {model}"),
        task: TaskId { id: task },
        model: Some(model.0),
    };
    let reply = http::json(StatusCode::ACCEPTED, &accepted);
    let reply = with(reply, header::LOCATION, &format!("{}/tasks/{task}", app.prefix));
    Ok(with(reply, header::RETRY_AFTER, "1"))
}

/// The algorithm a request means: a stored one's number, a preset's name, or the thing itself.
async fn resolve(
    request: &Request,
    asked: Value,
) -> Result<(Option<AlgorithmId>, Algorithm), Problem> {
    let number = asked.as_u64().or_else(|| asked.as_str()?.trim().parse().ok());
    if let Some(number) = number {
        let record = request.app.catalog.algorithm(AlgorithmId(number)).await?;
        let algorithm = algorithms::read(record.algorithm, "/algorithm")?;
        return Ok((Some(record.id), algorithm));
    }
    let Some(name) = asked.as_str() else {
        return Ok((None, algorithms::read(asked, "/algorithm")?));
    };
    let preset = kge_embed::preset(name).ok_or_else(|| {
        let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
        let nearest = kge_embed::preset_names().iter().min_by_key(distance);
        let nearest = nearest.filter(|known| distance(known) * 2 <= known.len().max(2));
        Problem::unknown("algorithm", name, nearest.copied())
    })?;
    Ok((None, preset))
}

/// What the plugin says of itself already refuses some hyper-parameters.
fn check(plugin: &kge_catalog::PluginRecord, algorithm: &Algorithm) -> Result<(), Problem> {
    let complete = plugin.description.complete(&algorithm.hyper_parameters);
    complete.map(drop).map_err(|reason| Problem::field("/algorithm/hyper_parameters", reason))
}
