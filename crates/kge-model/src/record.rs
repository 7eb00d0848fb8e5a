//! `model.json`: what a published model is, written once and never changed.

use serde::{Deserialize, Serialize};

use crate::{HyperParameters, Layout};

/// What `models/<id>/model.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// `kge.model/1`.
    pub schema: String,
    /// The model's id.
    pub id: u64,
    /// The dataset it was trained on.
    pub dataset: u64,
    /// The hash of the dataset's revision it was trained on.
    pub revision: String,
    /// The component that scores.
    pub plugin: PluginRef,
    /// The dimension it was configured with.
    pub dim: usize,
    /// The hyper-parameters it was configured with, complete.
    pub hyper_parameters: HyperParameters,
    /// The layout of the rows.
    pub layout: Layout,
    /// Whether each relation has a second, reciprocal row for head prediction.
    pub reciprocal: bool,
    /// The whole training recipe, as it was asked for.
    pub algorithm: serde_json::Value,
    /// The algorithm's id in this server, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_id: Option<u64>,
    /// The fencing token under which the parts were written.
    pub token: u64,
    /// The task that made it.
    pub task: u64,
    /// SHA-256 of `embeddings.safetensors`, in hexadecimal; the model's digest.
    pub embeddings_sha256: String,
    /// Metrics of the test split, if it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<serde_json::Value>,
    /// When it was published, RFC 3339.
    pub created: String,
}

/// A plugin, by the name people use and the hash that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
}

impl ModelRecord {
    /// The schema this release writes and reads.
    pub const SCHEMA: &'static str = "kge.model/1";
}
