//! What a dataset's manifest says.

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

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Distinct entities.
    pub entities: u64,
    /// Distinct relations.
    pub relations: u64,
    /// Triples of the training split.
    pub train: u64,
    /// Triples of the validation split.
    pub valid: u64,
    /// Triples of the test split.
    pub test: u64,
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

impl Counts {
    /// Triples of all splits.
    pub fn triples(&self) -> u64 {
        self.train + self.valid + self.test
    }
}
