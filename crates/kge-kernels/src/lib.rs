//! The arithmetic of knowledge-graph embedding: products, distances, softmax, updates, ranks.
//!
//! Matrices are row-major `f32` slices beside their shape. A [`Similarity`] compares query rows
//! with candidate rows; [`SoftmaxStep`] trains queries against all candidates; [`optimise`] holds
//! the row updates and [`rank`] what evaluation counts. Work is cut into blocks of fixed size that
//! a [`Pool`] hands to its threads, and partial sums belong to blocks: the number of threads never
//! changes a byte of a result.
//!
//! Every product is one single-threaded call a block, with its depth cut at [`product::DEPTH`].
//! Elementwise loops are compiled for the widest vectors the CPU has and give the same bytes at
//! every width: lanes are fixed, `exp` and `ln` are our own.
//!
//! All `unsafe` of the numeric core lives in this crate.

#![allow(unsafe_code)]

pub mod distance;
pub mod math;
pub mod optimise;
pub mod pool;
pub mod principal;
pub mod product;
pub mod rank;
pub mod row;
pub mod similarity;
pub mod softmax;

pub use pool::Pool;
pub use similarity::Similarity;
pub use softmax::SoftmaxStep;

/// Candidates a tile: one product's worth of entities.
pub const TILE: usize = 512;

/// The SIMD level the elementwise loops run at on this CPU, for provenance.
pub fn simd_level() -> &'static str {
    match pulp::Arch::new() {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "avx2+fma",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "avx512",
        _ => "portable",
    }
}
