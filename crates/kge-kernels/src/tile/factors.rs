//! In what precision the factors of a step's products are held.
//!
//! Scores, weights, losses, gradients and rows are `f32` always; what a precision chooses is how
//! rows and weights enter the three products of a tile.

use std::fmt::Debug;

use super::{Columns, Grouped, Transposed};
use crate::Similarity;

/// The packs and products of one precision. Shapes as for the functions of [`tile`](super).
pub(crate) trait Factors: Debug + Default {
    /// Queries, for scores.
    type Queries: Debug + Default + Send + Sync;
    /// A tile's candidates, for scores.
    type Candidates: Debug + Default + Send;
    /// Rows that pull.
    type Others: Debug + Default + Send + Sync;
    /// A block of weights, made ready for pulls.
    type Scratch: Debug + Default + Send;

    fn pack_queries(to: &mut Self::Queries, rows: &[f32], width: usize, similarity: Similarity);
    fn pack_candidates(to: &mut Self::Candidates, rows: &[f32], width: usize, biases: &[f32]);
    fn pack_others(to: &mut Self::Others, rows: &[f32], width: usize, similarity: Similarity);

    fn scores(
        similarity: Similarity,
        queries: &Self::Queries,
        candidates: &Self::Candidates,
        block: &mut [f32],
    );

    /// Makes of weights what pulls take beside them.
    fn pulling(
        similarity: Similarity,
        weights: &[f32],
        shape: (usize, usize),
        packs: (&Self::Queries, &Self::Candidates),
        scratch: &mut Self::Scratch,
    );

    fn pull_queries(
        similarity: Similarity,
        weights: (&[f32], &Self::Scratch),
        queries: &[f32],
        candidates: &Self::Others,
        d_queries: &mut [f32],
    );

    fn pull_candidates(
        similarity: Similarity,
        weights: (&[f32], &Self::Scratch),
        candidates: &[f32],
        queries: &Self::Others,
        d_candidates: &mut [f32],
    );
}

/// As they are.
#[derive(Debug, Default)]
pub(crate) struct F32;

impl Factors for F32 {
    type Queries = Grouped;
    type Candidates = Transposed;
    type Others = Columns;
    type Scratch = Vec<f32>;

    fn pack_queries(to: &mut Grouped, rows: &[f32], width: usize, similarity: Similarity) {
        to.pack(rows, width, similarity);
    }

    fn pack_candidates(to: &mut Transposed, rows: &[f32], width: usize, biases: &[f32]) {
        to.pack(rows, width, biases);
    }

    fn pack_others(to: &mut Columns, rows: &[f32], width: usize, similarity: Similarity) {
        to.pack(rows, width, similarity);
    }

    fn scores(
        similarity: Similarity,
        queries: &Grouped,
        candidates: &Transposed,
        block: &mut [f32],
    ) {
        super::scores(similarity, queries, candidates, block);
    }

    fn pulling(
        similarity: Similarity,
        weights: &[f32],
        _: (usize, usize),
        (queries, candidates): (&Grouped, &Transposed),
        scratch: &mut Vec<f32>,
    ) {
        if super::pulls_by_distance(similarity) {
            scratch.resize(weights.len(), 0.0);
            super::pulling(similarity, weights, queries, candidates, scratch);
        }
    }

    fn pull_queries(
        similarity: Similarity,
        (weights, scratch): (&[f32], &Vec<f32>),
        queries: &[f32],
        candidates: &Columns,
        d_queries: &mut [f32],
    ) {
        let weights = if super::pulls_by_distance(similarity) { scratch } else { weights };
        super::pull_queries(similarity, weights, queries, candidates, d_queries);
    }

    fn pull_candidates(
        similarity: Similarity,
        (weights, scratch): (&[f32], &Vec<f32>),
        candidates: &[f32],
        queries: &Columns,
        d_candidates: &mut [f32],
    ) {
        let weights = if super::pulls_by_distance(similarity) { scratch } else { weights };
        super::pull_candidates(similarity, weights, candidates, queries, d_candidates);
    }
}
