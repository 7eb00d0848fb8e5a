//! Train tasks: a revision, a plugin and an algorithm become a published model.

use std::{sync::Arc, time::Instant};

use kge_catalog::{DatasetId, ModelId};
use kge_embed::{Algorithm, Control};
use kge_graph::{Graph, Split};
use kge_jobs::{Claim, Progress};
use kge_model::{ModelRecord, PluginRef, ScoringModel};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Publication, Result,
    attempt::on_own_thread,
    claims::Context,
    publish::{self, publish},
    report::Reporter,
};

/// What a train task asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    model: ModelId,
    revision: Option<String>,
    algorithm: Algorithm,
    #[serde(default)]
    algorithm_id: Option<u64>,
    plugin: PluginRef,
    #[serde(default = "yes")]
    evaluate: bool,
    #[serde(default)]
    promote: Option<bool>,
}

fn yes() -> bool {
    true
}

pub(crate) async fn train(
    context: &Arc<Context>,
    claim: &Claim,
    reporter: &Arc<Reporter>,
) -> Result<serde_json::Value> {
    let began = Instant::now();
    let started = jiff::Timestamp::now();
    let catalog = &context.catalog;
    let payload: Payload = serde_json::from_value(claim.task.payload.clone())
        .map_err(|error| Error::user("parameters", format!("payload: {error}")))?;
    let dataset = claim.task.dataset.map(DatasetId);
    let dataset = dataset.ok_or_else(|| Error::user("parameters", "the task has no dataset"))?;

    // An earlier attempt published, and died before it could say so.
    if let Ok(record) = catalog.model(payload.model).await {
        return Ok(result(&record, began));
    }

    reporter.phase("loading the graph");
    let (revision, graph) = match payload.revision {
        Some(hash) => (hash.clone(), catalog.revision(&hash).await.map_err(publish::refuse)?),
        None => catalog.seal(dataset).await.map_err(publish::refuse)?,
    };
    if graph.triples(Split::Train).is_empty() {
        return Err(Error::user("data", "the dataset has no triples in its training split"));
    }
    reporter.phase("loading the plugin");
    let bytes = catalog.plugin_bytes(&payload.plugin.sha256).await.map_err(publish::refuse)?;

    let algorithm = payload.algorithm.clone();
    let (host, threads, evaluate) =
        (context.host.clone(), context.config.threads, payload.evaluate);
    let watcher = reporter.clone();
    let numeric_graph = graph.clone();
    let outcome = on_own_thread("train", move || {
        let plugin = host.load(&bytes).map_err(|error| Error::user("plugin", error))?;
        let model = plugin
            .configure(algorithm.dim, &algorithm.hyper_parameters)
            .map_err(|error| Error::user("parameters", error))?;
        let (trained, evaluation) =
            numeric(&numeric_graph, &model, &algorithm, threads, evaluate, &watcher)?;
        let hyper_parameters = plugin
            .description()
            .complete(&algorithm.hyper_parameters)
            .map_err(|error| Error::user("parameters", error))?;
        Ok((trained, evaluation, model.layout().clone(), hyper_parameters))
    })
    .await?;
    let (trained, evaluation, layout, hyper_parameters) = outcome;

    reporter.phase("publishing");
    if reporter.stopping() {
        return Err(Error::Stopped);
    }
    let publication = Publication {
        model: payload.model,
        dataset,
        revision,
        plugin: payload.plugin,
        algorithm: payload.algorithm,
        algorithm_id: payload.algorithm_id,
        hyper_parameters,
        layout,
        trained,
        evaluation,
        token: claim.token.0,
        task: claim.task.id.0,
        promote: payload.promote.unwrap_or(true),
        threads,
        started,
    };
    let published = publish(catalog, publication).await?;
    Ok(result(&published.record, began))
}

fn result(record: &ModelRecord, began: Instant) -> serde_json::Value {
    json!({
        "model": record.id,
        "evaluation": record.evaluation,
        "embeddings_sha256": record.embeddings_sha256,
        "seconds": began.elapsed().as_secs_f64(),
    })
}

/// Training and evaluation, on the numeric thread.
fn numeric(
    graph: &Graph,
    model: &dyn ScoringModel,
    algorithm: &Algorithm,
    threads: usize,
    evaluate: bool,
    reporter: &Reporter,
) -> Result<(kge_embed::Trained, Option<kge_embed::Evaluation>)> {
    let report = |progress: &kge_embed::Progress| {
        let finished = progress.finished_epoch.as_ref();
        let running = progress.epoch + usize::from(finished.is_none());
        let mut report = Progress {
            step: progress.step,
            current: Some(progress.epoch as u64),
            total: Some(progress.epochs as u64),
            current_steps: Some(progress.batch as u64),
            total_steps: Some(progress.batches as u64),
            message: Some(format!("epoch {running} of {}", progress.epochs)),
            metrics: Default::default(),
        };
        let Some(epoch) = finished else { return reporter.progress(report) };
        report.metrics.insert("loss".into(), epoch.loss);
        report.metrics.insert("triples_per_second".into(), epoch.triples_per_second);
        if let Some(validation) = &epoch.validation {
            report.metrics.insert("valid_mrr".into(), validation.both.mrr);
        }
        reporter.milestone(report);
    };
    let control = Control { threads, cancel: reporter.cancel_flag(), progress: &report };
    let trained =
        kge_embed::train(graph, model, algorithm, &control).map_err(|error| class(&error))?;
    if !evaluate || graph.triples(Split::Test).is_empty() {
        return Ok((trained, None));
    }
    reporter.phase("evaluating the test split");
    // Evaluation counts its own steps; the queue's must not fall back.
    let quiet = |_: &kge_embed::Progress| reporter.phase("evaluating the test split");
    let control = Control { progress: &quiet, ..control };
    let evaluation = kge_embed::evaluate(
        graph,
        model,
        &trained.embeddings,
        algorithm.reciprocal,
        Split::Test,
        &control,
    )
    .map_err(|error| class(&error))?;
    Ok((trained, Some(evaluation)))
}

/// A trap, a refused parameter or a limit is the user's; the same bytes give the same end.
fn class(error: &kge_embed::Error) -> Error {
    match error {
        kge_embed::Error::Cancelled => Error::Stopped,
        kge_embed::Error::Model(kge_model::Error::Io(error)) => Error::transient("io", error),
        kge_embed::Error::Model(error) => Error::user("plugin", error),
        other => Error::user("parameters", other),
    }
}
