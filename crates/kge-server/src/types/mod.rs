//! What stands in bodies: the shapes clients rely on, and their schemas.

mod algorithm;
mod dataset;
mod model;
mod question;
mod task;
mod triples;

pub(crate) use algorithm::{
    AlgorithmCreated, AlgorithmId, AlgorithmView, FullAlgorithm, NewAlgorithm, OldAlgorithm,
    PresetView,
};
pub(crate) use dataset::{
    DatasetCreated, DatasetEnvelope, DatasetId, DatasetView, EditDataset, NameEnvelope, NameView,
    NewDataset, RelationEnvelope,
};
pub(crate) use model::{
    EvaluationEnvelope, HistoryEnvelope, ModelEnvelope, ModelView, PluginAdded, PluginEnvelope,
    PluginView, WasmComponent,
};
pub(crate) use question::{
    AskedEntity, AskedEntityView, DistanceAsked, DistanceView, EmbeddingsAsked, EmbeddingsView,
    NamesView, NeighbourView, Numbers, PredictAsked, PredictView, Prediction, RankView, ScoreAsked,
    ScoreView, ScoredTriple, SimilarAsked, SimilarBlock, SimilarView,
};
pub(crate) use task::{
    Accepted, TaskEnvelope, TaskId, TaskView, TrainAsked, WorkerEnvelope, WorkerView,
};
pub(crate) use triples::{Removed, TripleNames, TriplesAccepted, TriplesAnswer, TriplesForm};
