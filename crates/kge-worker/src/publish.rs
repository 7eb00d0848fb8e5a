//! Publishing a trained model: its parts, then the one object that makes them a model.

use bytes::Bytes;
use jiff::Timestamp;
use kge_catalog::{Catalog, DatasetId, ModelId};
use kge_embed::{Algorithm, Evaluation, Trained};
use kge_model::{HyperParameters, Layout, ModelRecord, PluginRef};
use serde_json::{Value, json};

use crate::{Error, Result};

/// A trained model and everything that made it.
#[derive(Debug)]
pub struct Publication {
    /// The model's id, reserved before.
    pub model: ModelId,
    /// The dataset it was trained on.
    pub dataset: DatasetId,
    /// The hash of the revision it was trained on.
    pub revision: String,
    /// The component that scored.
    pub plugin: PluginRef,
    /// The recipe.
    pub algorithm: Algorithm,
    /// The recipe's id in this store, if it has one.
    pub algorithm_id: Option<u64>,
    /// The model's hyper-parameters, complete.
    pub hyper_parameters: HyperParameters,
    /// The layout of its rows.
    pub layout: Layout,
    /// The rows and how they came about.
    pub trained: Trained,
    /// Metrics of the test split.
    pub evaluation: Option<Evaluation>,
    /// The fencing token under which the parts are written.
    pub token: u64,
    /// The task, 0 if there was none.
    pub task: u64,
    /// Whether the model shall answer for its dataset from now on.
    pub promote: bool,
    /// Numeric threads it was trained with.
    pub threads: usize,
    /// When training began.
    pub started: Timestamp,
}

/// What became of a publication.
#[derive(Debug)]
pub struct Published {
    /// The model's record: this publication's, or the one that was there before.
    pub record: ModelRecord,
    /// Whether this publication made the model; if not, another holder of the task did.
    pub new: bool,
}

/// Writes `embeddings.safetensors`, `evaluation.json`, `history.jsonl` and `provenance.json`
/// under the token, then `model.json`, then the dataset's next manifest.
///
/// # Errors
/// If the store cannot be written; what was written then is garbage that no record names.
pub async fn publish(catalog: &Catalog, publication: Publication) -> Result<Published> {
    let Publication { model, token, promote, .. } = publication;
    let (record, parts) =
        crate::attempt::on_own_thread("encode", move || encode(publication)).await?;
    for (name, bytes) in parts {
        catalog.write_part(model, token, name, bytes).await.map_err(refuse)?;
    }
    let committed = catalog.commit_model(record.clone(), promote).await.map_err(refuse)?;
    let record =
        if committed.published { record } else { catalog.model(model).await.map_err(refuse)? };
    Ok(Published { record, new: committed.published })
}

type Parts = Vec<(&'static str, Bytes)>;

fn encode(mut publication: Publication) -> Result<(ModelRecord, Parts)> {
    publication.algorithm.precision = publication.trained.precision;
    let Publication { trained, evaluation, layout, .. } = &publication;
    let mut embeddings = Vec::new();
    let digest = trained
        .embeddings
        .write(layout, &mut embeddings)
        .map_err(|error| Error::transient("internal", error))?;
    let json = |value: Result<Value, serde_json::Error>| {
        value.map_err(|error| Error::transient("internal", error))
    };
    let evaluation = json(serde_json::to_value(evaluation))?;
    let algorithm = json(serde_json::to_value(&publication.algorithm))?;
    let mut history = String::new();
    for epoch in &trained.history {
        history += &json(serde_json::to_value(epoch))?.to_string();
        history.push('\n');
    }
    let provenance = provenance(&publication, &algorithm, &digest);
    let mut parts: Parts = vec![
        ("embeddings.safetensors", embeddings.into()),
        ("history.jsonl", history.into()),
        ("provenance.json", format!("{provenance:#}").into()),
    ];
    if !evaluation.is_null() {
        parts.push(("evaluation.json", format!("{evaluation:#}").into()));
    }
    let record = ModelRecord {
        schema: ModelRecord::SCHEMA.into(),
        id: publication.model.0,
        dataset: publication.dataset.0,
        revision: publication.revision,
        plugin: publication.plugin,
        dim: publication.algorithm.dim,
        hyper_parameters: publication.hyper_parameters,
        layout: publication.layout,
        reciprocal: publication.algorithm.reciprocal,
        algorithm,
        algorithm_id: publication.algorithm_id,
        token: publication.token,
        task: publication.task,
        embeddings_sha256: digest,
        evaluation: (!evaluation.is_null()).then_some(evaluation),
        created: Timestamp::now().to_string(),
    };
    Ok((record, parts))
}

/// An in-toto statement with SLSA's provenance predicate: what went in, what ran, what came out.
fn provenance(publication: &Publication, algorithm: &Value, digest: &str) -> Value {
    let Publication { model, dataset, revision, plugin, task, threads, started, .. } = publication;
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("models/{model}/embeddings.safetensors"),
            "digest": { "sha256": digest },
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "tag:kge-server,2026:train/1",
                "externalParameters": {
                    "dataset": dataset,
                    "algorithm": algorithm,
                    "seed": publication.algorithm.seed,
                },
                "internalParameters": {
                    "engine_version": version,
                    "simd_level": kge_kernels::simd_level(),
                    "threads": threads,
                },
                "resolvedDependencies": [
                    { "name": "revision", "digest": { "sha256": revision } },
                    {
                        "name": format!("plugin {} {}", plugin.name, plugin.version),
                        "digest": { "sha256": plugin.sha256 },
                    },
                ],
            },
            "runDetails": {
                "builder": {
                    "id": "tag:kge-server,2026:worker",
                    "version": { "kge": version },
                },
                "metadata": {
                    "invocationId": format!("task-{task}"),
                    "startedOn": started,
                    "finishedOn": Timestamp::now(),
                },
            },
        },
    })
}

/// What the catalogue could not do: an unknown thing is the user's, a store's trouble passes.
pub(crate) fn refuse(error: kge_catalog::Error) -> Error {
    match error {
        kge_catalog::Error::Unknown { .. } | kge_catalog::Error::Invalid { .. } => {
            Error::user("parameters", error)
        }
        kge_catalog::Error::Graph(ref graph) if graph.is_input() => Error::user("data", error),
        other => Error::transient("io", other),
    }
}
