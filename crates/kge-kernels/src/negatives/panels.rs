//! Blocks in the panels of [`tile`]: `f32`, and bf16 where each product rounds what it takes.

use super::blocks::Blocks;
use crate::{
    Similarity,
    tile::{self, Factors},
};

/// With the factors of a tile's products.
#[derive(Debug, Default)]
pub(super) struct Panels<F: Factors> {
    scored: F::Queries,
    negatives: F::Candidates,
    pulling_queries: F::Others,
    pulling_negatives: F::Others,
    block: Vec<f32>,
    scratch: F::Scratch,
    /// Queries and negatives.
    shape: (usize, usize),
}

impl<F: Factors> Blocks for Panels<F> {
    const ROWS: usize = tile::ROWS;

    fn pack_negatives(
        &mut self,
        similarity: Similarity,
        rows: &[f32],
        width: usize,
        biases: &[f32],
    ) {
        self.shape.1 = rows.len() / width;
        F::pack_candidates(&mut self.negatives, rows, width, biases);
        F::pack_others(&mut self.pulling_negatives, rows, width, similarity);
    }

    fn score(&mut self, similarity: Similarity, queries: &[f32], width: usize) {
        self.shape.0 = queries.len() / width;
        F::pack_queries(&mut self.scored, queries, width, similarity);
        F::pack_others(&mut self.pulling_queries, queries, width, similarity);
        self.block.resize(tile::block_len(self.shape.0, self.shape.1), 0.0);
        F::scores(similarity, &self.scored, &self.negatives, &mut self.block);
    }

    fn read(&self, query: usize, scores: &mut [f32]) {
        tile::read_row(&self.block, self.shape.0, query, scores);
    }

    fn write(&mut self, query: usize, weights: &[f32]) {
        tile::write_row(&mut self.block, self.shape.0, query, weights);
    }

    fn add_sums(&self, sums: &mut [f32]) {
        tile::add_sums(&self.block, self.shape.0, sums);
    }

    fn pull(
        &mut self,
        similarity: Similarity,
        (queries, d_queries): (&[f32], &mut [f32]),
        (negatives, d_negatives): (&[f32], &mut [f32]),
    ) {
        let (block, packs) = (&self.block, (&self.scored, &self.negatives));
        F::pulling(similarity, block, self.shape, packs, &mut self.scratch);
        let weights = (&block[..], &self.scratch);
        F::pull_queries(similarity, weights, queries, &self.pulling_negatives, d_queries);
        F::pull_candidates(similarity, weights, negatives, &self.pulling_queries, d_negatives);
    }
}
