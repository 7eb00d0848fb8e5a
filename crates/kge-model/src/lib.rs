//! What a scoring model is.
//!
//! Everything rests on one decomposition:
//!
//! ```text
//! score(h, r, t) = similarity( query(h, r), candidate(t, r) )
//! ```
//!
//! [`ScoringModel`] is the factory that all threads share; each thread asks it for a [`Session`],
//! which turns anchor rows and relation rows into query rows and pulls gradients back
//! (the vector-Jacobian product). [`Layout`] says how wide the rows are, how they start and which
//! [`Similarity`] compares a query with a candidate. [`Embeddings`] are the rows themselves and
//! [`ModelRecord`] is what `model.json` says of them.
//!
//! The trainer and the plugin host do not know each other: they meet here.

#![forbid(unsafe_code)]

mod describe;
mod embeddings;
mod error;
mod layout;
mod record;
mod session;

pub use describe::{Citation, Description, HyperParameter, HyperParameterKind, HyperParameters};
pub use embeddings::Embeddings;
pub use error::Error;
pub use kge_kernels::Similarity;
pub use layout::{Constraint, Direction, Initialiser, Layout, SharedTensor};
pub use record::{ModelRecord, PluginRef};
pub use session::{QueryBatch, QueryGradient, ScoringModel, Session, project};

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
