//! What a step asks of a precision: how a block of queries meets the negatives.

use std::fmt::Debug;

use crate::Similarity;

/// The packs, scores and pulls of one precision.
pub(super) trait Blocks: Debug + Default {
    /// Queries of a block.
    const ROWS: usize;

    /// Takes the negatives, `[count, width]`, and their biases, one each or none.
    fn pack_negatives(
        &mut self,
        similarity: Similarity,
        rows: &[f32],
        width: usize,
        biases: &[f32],
    );

    /// Scores a block of queries, `[at most ROWS, width]`, against the negatives.
    fn score(&mut self, similarity: Similarity, queries: &[f32], width: usize);

    /// Copies a query's scores, one a negative.
    fn read(&self, query: usize, scores: &mut [f32]);

    /// Takes a query's weights in the place of its scores.
    fn write(&mut self, query: usize, weights: &[f32]);

    /// Adds each negative's sum of weights to `sums`.
    fn add_sums(&self, sums: &mut [f32]);

    /// Adds to both gradients what the weights pull: `(rows, gradient)`, `[count, width]` each.
    fn pull(
        &mut self,
        similarity: Similarity,
        queries: (&[f32], &mut [f32]),
        negatives: (&[f32], &mut [f32]),
    );
}
