//! Questions to a model, and what they answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{DatasetView, TripleNames};

/// What POST …/similar_entities takes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"entity": {"value": "Q42", "type": "uri"}}))]
pub(crate) struct SimilarAsked {
    /// The entity, or a vector.
    #[schema(value_type = AskedEntity)]
    pub entity: Option<Value>,
}

/// An entity by name, or a point by its vector.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AskedEntity {
    /// A name or URI, or a vector.
    pub value: Value,
    /// `uri` or `embedding`, in any letter case.
    #[serde(rename = "type")]
    #[schema(default = "uri")]
    pub kind: Option<String>,
}

/// What similar_entities answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarView {
    /// The dataset.
    pub dataset: DatasetView,
    /// The neighbours.
    pub similar_entities: SimilarBlock,
}

/// The neighbours of a point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarBlock {
    /// What was asked.
    pub entity: AskedEntityView,
    /// Answers there are.
    pub limit: usize,
    /// As it was asked.
    pub search_k: i64,
    /// Nearest first; an entity is its own nearest.
    pub response: Vec<NeighbourView>,
}

/// What was asked, as it was asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedEntityView {
    /// The name, or the vector.
    pub value: Value,
    /// `uri` or `embedding`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A neighbour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NeighbourView {
    /// Its name.
    pub entity: String,
    /// Angular: `sqrt(2 - 2 cos)`, 0 to 2.
    pub distance: f32,
    /// Its names, with `object`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub object: Option<NamesView>,
}

/// An entity's names by language; empty where none are stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamesView {
    /// The short form: `Q42`.
    pub entity_id: String,
    /// The name in the dataset.
    pub entity_uri: String,
    /// Labels by language.
    pub label: Value,
    /// Other labels by language.
    pub alt_label: Value,
    /// Descriptions by language.
    pub description: Value,
}

/// What POST …/embeddings takes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"entities": ["Q42", "Q36180"]}))]
pub(crate) struct EmbeddingsAsked {
    /// Names of entities.
    pub entities: Option<Vec<String>>,
    /// Names of relations.
    pub relations: Option<Vec<String>>,
}

/// A name and its row.
pub(crate) type NamedRow = (String, Vec<f32>);

/// What POST …/embeddings answers; unknown names are left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"embeddings": [["Q42", [0.1, -0.2]]]}))]
pub(crate) struct EmbeddingsView {
    /// Each entity, as it was asked, and its row.
    #[schema(value_type = Vec<Vec<Value>>)]
    pub embeddings: Vec<NamedRow>,
    /// Each relation, as it was asked, and its row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<Vec<Value>>>)]
    pub relations: Option<Vec<NamedRow>>,
}

/// What POST …/distance takes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"distance": ["Q42", "Q36180"]}))]
pub(crate) struct DistanceAsked {
    /// Two entities; more are allowed, two are used.
    pub distance: Vec<String>,
}

/// What POST …/distance answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DistanceView {
    /// Angular: `sqrt(2 - 2 cos)`, 0 to 2.
    pub distance: f32,
}

/// What POST …/predict takes: a triple with one part left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"head": "Q42", "relation": "P106", "k": 10, "filter_known": true}))]
pub(crate) struct PredictAsked {
    /// The head.
    pub head: Option<String>,
    /// The relation.
    pub relation: Option<String>,
    /// The tail.
    pub tail: Option<String>,
    /// Answers wanted; 10 if left out.
    #[serde(alias = "limit")]
    #[schema(default = 10, minimum = 1)]
    pub k: Option<usize>,
    /// Whether triples of the dataset are left out; they are if this is.
    #[schema(default = true)]
    pub filter_known: Option<bool>,
}

/// What POST …/predict answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictView {
    /// The model that answers.
    pub model: u64,
    /// The part that was left out: `head` or `tail`.
    pub missing: &'static str,
    /// Best first.
    pub predictions: Vec<Prediction>,
}

/// One way to complete the triple.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Prediction {
    /// The entity.
    pub entity: String,
    /// Its score; higher is more plausible.
    pub score: f32,
    /// Its place, from 1.
    pub rank: usize,
    /// Whether the dataset has the triple already.
    pub known: bool,
}

/// What POST …/score takes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"triples": [{"head": "Q42", "relation": "P106", "tail": "Q36180"}]}))]
pub(crate) struct ScoreAsked {
    /// The triples.
    pub triples: Vec<TripleNames>,
}

/// What POST …/score answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreView {
    /// The model that answers.
    pub model: u64,
    /// In the order asked.
    pub scores: Vec<ScoredTriple>,
}

/// How plausible a triple is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoredTriple {
    /// The triple, as it was asked.
    #[serde(flatten)]
    #[schema(inline)]
    pub triple: TripleNames,
    /// Higher is more plausible.
    pub score: f32,
    /// Where head and tail stand among all candidates.
    pub rank: RankView,
}

/// Filtered ranks, from 1; ties count half.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankView {
    /// Of the head, given relation and tail.
    pub head: f64,
    /// Of the tail, given head and relation.
    pub tail: f64,
}

/// A vector.
pub(crate) type Numbers = Vec<f32>;
