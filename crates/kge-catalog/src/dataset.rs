//! What a dataset's manifest says.

use kge_graph::Counts;
use serde::{Deserialize, Serialize};

use crate::{AlgorithmId, DatasetId, ModelId};

/// A dataset, as `datasets/<id>/manifest-<n>.json` says, and what is pending on top of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// `kge.dataset/1`.
    pub schema: String,
    /// Its id.
    pub id: DatasetId,
    /// Its name, unique among datasets.
    pub name: String,
    /// What it is, in its owner's words; may be empty.
    pub description: String,
    /// 0 plain, 1 Wikidata, 2 DBpedia-like.
    pub dataset_type: u8,
    /// The hash of its sealed revision; `None` before anything was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Exact counts. What the catalogue hands out includes pending additions; what the manifest
    /// holds is what is sealed.
    pub counts: Counts,
    /// Pending files up to this number are part of `revision`.
    pub pending: u64,
    /// Its published models, oldest first.
    #[serde(default)]
    pub models: Vec<ModelId>,
    /// The model that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<ModelId>,
    /// The algorithm of the last training, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<ChosenAlgorithm>,
    /// The last training or crawl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When its manifest was last written, RFC 3339.
    pub updated: String,
    /// The number of the manifest this was read from; not stored.
    #[serde(skip)]
    pub version: u32,
    /// The last pending file there is, sealed or not; not stored.
    #[serde(skip)]
    pub through: u64,
}

/// An algorithm as a dataset remembers it: stored ones can be deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenAlgorithm {
    /// Its id, if it is a stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AlgorithmId>,
    /// The whole algorithm.
    pub algorithm: serde_json::Value,
}

/// What a dataset is made from.
#[derive(Clone, Debug, Default)]
pub struct NewDataset {
    /// Its name; one is given if there is none: `dataset 7`.
    pub name: Option<String>,
    /// What it is.
    pub description: String,
    /// 0 plain, 1 Wikidata, 2 DBpedia-like.
    pub dataset_type: u8,
}

impl Dataset {
    /// The schema this release writes and reads.
    pub const SCHEMA: &'static str = "kge.dataset/1";

    /// Changes whenever anything of the dataset does, without quotes.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.version, self.through)
    }

    /// Whether there are additions or removals that its revision does not hold.
    pub fn has_pending(&self) -> bool {
        self.through > self.pending
    }
}

/// What a manifest holds: the dataset, and whether it is the tombstone of a deleted one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    #[serde(flatten)]
    pub(crate) dataset: Dataset,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<String>,
}
