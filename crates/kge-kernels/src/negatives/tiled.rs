//! Blocks by AMX's tiles ([`amx`]): scores and weights stand query by query, since a query's loss
//! takes all of its scores at once.

use std::marker::PhantomData;

use super::blocks::Blocks;
use crate::{
    Similarity,
    aligned::Floats,
    row,
    tile::{
        amx::{self, Left, Right, Split},
        bf16,
    },
};

/// With the factors rounded once, or split in two.
#[derive(Debug, Default)]
pub(super) struct Tiled<S> {
    scored: Left,
    negatives: Right,
    biases: Vec<f32>,
    pulling_queries: Right,
    pulling_negatives: Right,
    /// Scores, then weights: `[queries, negatives]`.
    block: Floats,
    by_query: Left,
    by_negative: Left,
    split: PhantomData<S>,
}

impl<S: Split> Blocks for Tiled<S> {
    /// Whole sides; of a chunk of usual size, all.
    const ROWS: usize = 256;

    fn pack_negatives(
        &mut self,
        similarity: Similarity,
        rows: &[f32],
        width: usize,
        biases: &[f32],
    ) {
        bf16::assert_dot(similarity);
        self.negatives.pack_across(None, rows, width, S::RIGHT);
        self.pulling_negatives.pack_down(None, rows, width, S::RIGHT);
        assert!(
            biases.is_empty() || biases.len() == self.negatives.columns(),
            "a bias a negative, or none"
        );
        self.biases.clear();
        self.biases.extend_from_slice(biases);
    }

    fn score(&mut self, _: Similarity, queries: &[f32], width: usize) {
        self.scored.pack(queries, width, S::LEFT);
        self.pulling_queries.pack_down(None, queries, width, S::RIGHT);
        self.block.resize(self.scored.rows() * self.negatives.columns());
        amx::product(self.scored.lent(), &self.negatives, true, &mut self.block);
        if !self.biases.is_empty() {
            let rows = self.block.chunks_exact_mut(self.biases.len());
            rows.for_each(|scores| row::add(scores, &self.biases));
        }
    }

    fn read(&self, query: usize, scores: &mut [f32]) {
        scores.copy_from_slice(&self.block[query * scores.len()..][..scores.len()]);
    }

    fn write(&mut self, query: usize, weights: &[f32]) {
        self.block[query * weights.len()..][..weights.len()].copy_from_slice(weights);
    }

    fn add_sums(&self, sums: &mut [f32]) {
        self.block.chunks_exact(sums.len()).for_each(|weights| row::add(sums, weights));
    }

    fn pull(
        &mut self,
        _: Similarity,
        (_, d_queries): (&[f32], &mut [f32]),
        (_, d_negatives): (&[f32], &mut [f32]),
    ) {
        let negatives = self.negatives.columns();
        if negatives == 0 {
            return;
        }
        self.by_query.pack(&self.block, negatives, S::LEFT);
        self.by_negative.pack_transposed(&self.block, negatives, S::LEFT);
        amx::product(self.by_query.lent(), &self.pulling_negatives, false, d_queries);
        amx::product(self.by_negative.lent(), &self.pulling_queries, false, d_negatives);
    }
}
