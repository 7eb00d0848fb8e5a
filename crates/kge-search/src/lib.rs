//! Questions to a published model: what is like X, what is missing, how plausible is a triple.
//!
//! A [`ServedModel`] holds a model's rows, its vocabulary and its scoring model;
//! [`similar`](ServedModel::similar), [`predict`](ServedModel::predict) and
//! [`score`](ServedModel::score) answer by an exact scan; [`principal`](ServedModel::principal)
//! lays entities out for a map. All are CPU work for a blocking thread.

#![forbid(unsafe_code)]

mod error;
mod map;
mod neighbours;
mod predict;
mod served;

pub use error::Error;
pub use kge_kernels::principal::Principal;
pub use neighbours::Neighbour;
pub use predict::{Answer, Question, Scored};
pub use served::ServedModel;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
