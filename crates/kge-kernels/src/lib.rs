//! The arithmetic of knowledge-graph embedding: products, distances, softmax, updates, ranks.
//!
//! Matrices are row-major `f32` slices beside their shape. A [`Similarity`] compares query rows
//! with candidate rows; [`FullStep`] trains queries against all candidates; [`optimise`] holds
//! the row updates and [`rank`] what evaluation counts. Work is cut into blocks of fixed size that
//! a [`Pool`] hands to its threads, and partial sums belong to blocks: the number of threads never
//! changes a byte of a result.
//!
//! A step's products are loops of our own over blocks ([`tile`]). General products of matrices are
//! faer's, one single-threaded call a block, with their depth cut at [`product::DEPTH`].
//! Elementwise loops are compiled for the widest vectors the CPU has and give the same bytes at
//! every width: lanes are fixed, `exp` and `ln` are our own.
//!
//! All `unsafe` of the numeric core lives in this crate.

#![allow(unsafe_code)]

mod aligned;
pub mod full;
mod gather;
pub mod loss;
pub mod math;
pub mod negatives;
pub mod optimise;
pub mod pair;
pub mod pool;
mod precision;
pub mod principal;
pub mod product;
pub mod rank;
pub mod row;
pub mod simd;
pub mod similarity;
pub mod tile;

pub use full::FullStep;
pub use gather::{gather, prefetch};
pub use pool::Pool;
pub use precision::Precision;
pub use simd::level as simd_level;
pub use similarity::Similarity;
