//! Training and evaluating embeddings.
//!
//! [`train`] runs an [`Algorithm`] over a graph and gives [`Trained`] rows; [`evaluate`] ranks a
//! split's triples among all candidates. Both see a scoring model only through
//! [`kge_model::ScoringModel`], report through [`Control`], and know no files, no async code, no
//! HTTP and no unsafe.
//!
//! A step is the same in every regime: the model turns anchors and relations into query rows
//! (`queries`), a regime compares them with candidates and gives their gradients (`against_all`,
//! `sampled`), the model pulls those back, and what belongs to one row is summed in a fixed
//! order before the optimiser moves it (`contributions`, `parameters`).

#![forbid(unsafe_code)]

mod against_all;
mod algorithm;
mod contributions;
mod control;
mod error;
mod evaluate;
mod initial;
mod parameters;
mod presets;
mod queries;
mod questions;
mod random;
mod sampled;
mod train;
mod validate;

pub use algorithm::{Algorithm, Loss, Optimiser, Precision, Regime, Regulariser};
pub use control::{Control, EpochReport, Progress};
pub use error::Error;
pub use evaluate::{Evaluation, Metrics, evaluate};
pub use kge_kernels::simd_level;
pub use presets::{preset, preset_names};
pub use train::{Trained, train};

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
