//! Datasets, their entities and their relations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dataset, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatasetEnvelope {
    /// The dataset.
    pub dataset: DatasetView,
}

/// A dataset. Members without a value are left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Dataset, example = json!({
    "id": 1, "name": "films", "description": "", "status": 2, "state": "trained",
    "entities": 120, "relations": 7, "triples": 950,
    "splits": {"train": 900, "valid": 25, "test": 25}, "algorithm": {},
    "dataset_type": "WikidataDataset", "models": [1], "promoted_model": 1,
    "created": "2026-11-24T10:00:00Z", "updated": "2026-11-24T10:05:00Z"
}))]
pub(crate) struct DatasetView {
    /// Its number, from 1.
    pub id: u64,
    /// Its name, unique on this server.
    pub name: String,
    /// What it is.
    pub description: String,
    /// A bit mask: 1 a task runs, 2 trained, 4 neighbour index, 8 name index.
    pub status: u8,
    /// The same in a word: `empty`, `untrained`, `working`, `trained`.
    pub state: &'static str,
    /// Distinct entities.
    pub entities: u64,
    /// Distinct relations.
    pub relations: u64,
    /// Triples of all splits.
    pub triples: u64,
    /// Triples of each split.
    pub splits: SplitCounts,
    /// The algorithm of the last training; `{}` before the first.
    pub algorithm: serde_json::Value,
    /// `Dataset`, `WikidataDataset` or `ESDBpediaDataset`.
    pub dataset_type: &'static str,
    /// The last training or crawl.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub task: Option<u64>,
    /// The hash of its sealed revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revision: Option<String>,
    /// Its models, oldest first.
    pub models: Vec<u64>,
    /// The model that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub promoted_model: Option<u64>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated: String,
}

/// Triples of each split.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct SplitCounts {
    /// Trained on.
    pub train: u64,
    /// Held out to choose by.
    pub valid: u64,
    /// Held out to measure by.
    pub test: u64,
}

/// What a dataset is made from.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"name": "films", "description": "Films and who made them"}))]
pub(crate) struct NewDataset {
    /// Its name; one is given if there is none.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its type, if the query does not say: 0 plain, 1 Wikidata, 2 DBpedia-like.
    pub dataset_type: Option<u8>,
}

/// What can be changed of a dataset. PUT takes the description only.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"description": "Films and who made them"}))]
pub(crate) struct EditDataset {
    /// A new name (PATCH only).
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
}

/// A dataset's number, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatasetCreated {
    /// The number.
    pub dataset: DatasetId,
}

/// A dataset's number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatasetId {
    /// From 1.
    pub id: u64,
}

/// An entity, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NameEnvelope {
    /// The entity.
    pub entity: NameView,
}

/// A relation, wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelationEnvelope {
    /// The relation.
    pub relation: NameView,
}

/// A name and how often the dataset's triples mention it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NameView {
    /// The name.
    pub name: String,
    /// Mentions in all splits.
    pub count: u64,
}

impl DatasetView {
    /// A dataset as clients see it; `working` says whether a task of it runs, `training` whether
    /// that task trains.
    pub(crate) fn new(dataset: &kge_catalog::Dataset, working: bool, training: bool) -> Self {
        let trained = dataset.promoted.is_some() || training;
        let counts = dataset.counts;
        Self {
            id: dataset.id.0,
            name: dataset.name.clone(),
            description: dataset.description.clone(),
            status: u8::from(working) + 2 * u8::from(trained),
            state: match (working, dataset.promoted.is_some()) {
                (true, _) => "working",
                (false, true) => "trained",
                (false, false) if counts.triples() == 0 => "empty",
                (false, false) => "untrained",
            },
            entities: counts.entities,
            relations: counts.relations,
            triples: counts.triples(),
            splits: SplitCounts { train: counts.train, valid: counts.valid, test: counts.test },
            algorithm: super::algorithm::of_dataset(dataset.algorithm.as_ref()),
            dataset_type: match dataset.dataset_type {
                0 => "Dataset",
                1 => "WikidataDataset",
                _ => "ESDBpediaDataset",
            },
            task: dataset.task,
            revision: dataset.revision.clone(),
            models: dataset.models.iter().map(|id| id.0).collect(),
            promoted_model: dataset.promoted.map(|id| id.0),
            created: dataset.created.clone(),
            updated: dataset.updated.clone(),
        }
    }
}
