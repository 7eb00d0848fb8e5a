//! What the artifact store holds, as records: datasets, revisions, models, plugins, algorithms,
//! keys.
//!
//! [`Catalog`] is the only place that knows both bytes (kge-graph, kge-model) and objects
//! (kge-store); server, worker and commands all work through it, in any number of processes on
//! one store. A [`Dataset`] is a numbered manifest: whoever loses the race for the next number
//! reloads and tries again. Small additions go to immutable `pending/` files and are sealed into
//! a revision when something needs one. Models are published by one put-if-absent of
//! `model.json`, so only one of several workers can.
//!
//! Graphs are decoded and built on blocking threads, never on the caller's.

#![forbid(unsafe_code)]

mod algorithms;
mod append;
mod catalog;
mod dataset;
mod datasets;
mod error;
mod ids;
mod keys;
mod live;
mod models;
mod names;
mod nearest;
mod normalise;
mod overlay;
mod pending;
mod plugins;
mod revisions;
#[cfg(test)]
mod scratch;
mod uploads;

pub use algorithms::AlgorithmRecord;
pub use append::{Addition, Appended, Imported, Removal};
pub use catalog::Catalog;
pub use dataset::{ChosenAlgorithm, Dataset, NewDataset};
pub use error::Error;
pub use ids::{AlgorithmId, DatasetId, ModelId};
pub use keys::{KeyRecord, NewKey, Scope};
pub use kge_graph::Counts;
pub use models::Committed;
pub use normalise::{Position, normalise};
pub use plugins::PluginRecord;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
