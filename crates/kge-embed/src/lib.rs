//! Training and evaluating embeddings.
//!
//! [`train`] runs an [`Algorithm`] over a graph and gives [`Trained`] rows; [`evaluate`] ranks a
//! split's triples among all candidates. Both see a scoring model only through
//! [`kge_model::ScoringModel`], report through [`Control`], and know no files, no async code, no
//! HTTP and no unsafe.

#![forbid(unsafe_code)]

mod algorithm;

pub use algorithm::{Algorithm, Loss, Optimiser, Regime, Regulariser};
