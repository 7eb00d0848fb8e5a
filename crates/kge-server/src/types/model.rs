//! Models and plugins.

use kge_model::ModelRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A model, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelEnvelope {
    /// The model.
    pub model: ModelView,
}

/// A published model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelView {
    /// Its number.
    pub id: u64,
    /// The dataset it was trained on.
    pub dataset: u64,
    /// The hash of the revision it was trained on.
    pub revision: String,
    /// Whether it answers for its dataset.
    pub promoted: bool,
    /// The plugin that scores.
    pub plugin: PluginName,
    /// The dimension it was configured with.
    pub dim: usize,
    /// Floats in an entity row.
    pub entity_width: usize,
    /// Floats in a relation row.
    pub relation_width: usize,
    /// Whether relations have a second row for head prediction.
    pub reciprocal: bool,
    /// The whole training recipe.
    pub algorithm: Value,
    /// The stored algorithm it was trained by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub algorithm_id: Option<u64>,
    /// The task that made it.
    pub task: u64,
    /// SHA-256 of `embeddings.safetensors`.
    pub embeddings_sha256: String,
    /// Metrics of the test split.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evaluation: Option<Value>,
    /// When it was published.
    #[schema(format = DateTime)]
    pub created: String,
}

/// A plugin by name, version and hash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub sha256: String,
}

/// Metrics, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationEnvelope {
    /// The model.
    pub model: u64,
    /// Filtered, realistic ranks: both directions together and each alone.
    pub evaluation: Value,
}

/// What happened epoch by epoch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryEnvelope {
    /// The model.
    pub model: u64,
    /// One entry an epoch: loss, seconds, validation metrics.
    pub history: Vec<Value>,
}

/// A plugin, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginEnvelope {
    /// The plugin.
    pub plugin: PluginView,
}

/// A plugin that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginAdded {
    /// The plugin.
    pub plugin: PluginView,
    /// What was checked, and the figure that was found; one entry a property.
    pub checks: Vec<String>,
}

/// A WebAssembly component, as bytes.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct WasmComponent(#[allow(dead_code, reason = "only its schema is used")] Vec<u8>);

/// A scoring model as a component.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugin)]
pub(crate) struct PluginView {
    /// The name that algorithms use.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// One line.
    pub summary: String,
    /// Where the model comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub citation: Option<Value>,
    /// What can be set, beside the dimension.
    pub hyper_parameters: Vec<Value>,
    /// Bytes of the component.
    pub size: u64,
    /// When it was added.
    #[schema(format = DateTime)]
    pub created: String,
}

impl ModelView {
    /// A model as clients see it.
    pub(crate) fn new(record: ModelRecord, promoted: bool) -> Self {
        let kge_model::PluginRef { name, version, sha256 } = record.plugin;
        Self {
            id: record.id,
            dataset: record.dataset,
            revision: record.revision,
            promoted,
            plugin: PluginName { name, version, sha256 },
            dim: record.dim,
            entity_width: record.layout.entity_width,
            relation_width: record.layout.relation_width,
            reciprocal: record.reciprocal,
            algorithm: record.algorithm,
            algorithm_id: record.algorithm_id,
            task: record.task,
            embeddings_sha256: record.embeddings_sha256,
            evaluation: record.evaluation,
            created: record.created,
        }
    }
}

impl PluginView {
    /// A plugin as clients see it.
    pub(crate) fn new(record: kge_catalog::PluginRecord) -> Self {
        let json = |value: Result<Value, _>| value.unwrap_or(Value::Null);
        let description = record.description;
        Self {
            name: record.name,
            version: record.version,
            sha256: record.sha256,
            summary: description.summary,
            citation: description.citation.map(|c| json(serde_json::to_value(c))),
            hyper_parameters: description
                .hyper_parameters
                .iter()
                .map(|p| json(serde_json::to_value(p)))
                .collect(),
            size: record.size,
            created: record.created,
        }
    }
}
