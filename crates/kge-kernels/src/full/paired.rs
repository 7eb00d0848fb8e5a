//! Blocks whose factors are bf16 two by two, as `vdpbf16ps` takes them ([`bf16`]): scores are
//! `f32`, weights are rounded once for both of their products.

use super::{
    blocks::{Block, Blocks, Derive, Rows, Sum, Totals},
    panels::{Panels, sum_scores, weigh},
};
use crate::{
    Pool, Similarity,
    tile::{
        self, PANEL,
        bf16::{self, Grouped, Pairs, Transposed},
    },
};

/// For dot products.
#[derive(Debug, Default)]
pub(super) struct Paired;

#[derive(Debug, Default)]
pub(super) struct Queries {
    scored: Grouped,
    pulling: Pairs,
}

#[derive(Debug, Default)]
pub(super) struct Packs {
    scored: Transposed,
    pulling: Pairs,
    block: Vec<f32>,
    /// A block's weights in pairs of candidates.
    by_query: Vec<u32>,
}

impl Packs {
    /// Leaves the scores of a block.
    fn score(&mut self, block: &Block<'_, Paired>) {
        let (queries, candidates) = block.shape();
        self.block.resize(tile::block_len(queries, candidates), 0.0);
        self.by_query.resize(self.block.len() / 2, 0);
        bf16::scores(&block.packed.scored, &self.scored, &mut self.block);
    }
}

impl Blocks for Paired {
    const ROWS: usize = tile::ROWS;
    const ADDED: usize = tile::ROWS;

    fn tile(_: usize) -> usize {
        tile::TILE
    }

    /// Two queries' weights of a candidate.
    type Kept = u32;
    type Queries = Queries;
    type Packs = Packs;

    fn pack_queries(_: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        bf16::assert_dot(rows.similarity);
        to.scored.pack(rows.floats, rows.width);
    }

    fn pack_pulling_queries(_: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        to.pulling.pack(rows.floats, rows.width);
    }

    fn pack_candidates(to: &mut Packs, rows: &[f32], width: usize, biases: &[f32]) {
        to.scored.pack(rows, width, biases);
    }

    fn pack_pulling_candidates(to: &mut Packs, rows: &[f32], width: usize, _: Similarity) {
        to.pulling.pack(rows, width);
    }

    fn kept_len(queries: usize, candidates: usize) -> usize {
        bf16::coupled_len(queries, candidates)
    }

    fn exponentiate(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        shifts: &[f32],
        kept: &mut [u32],
        totals: Totals<'_>,
        d_queries: Option<Sum<'_>>,
    ) {
        packs.score(block);
        sum_scores(&packs.block, block.shape(), totals.score_sums);
        let candidates = block.shape().1;
        let weights = (&mut packs.by_query[..], kept);
        bf16::exponentiate(&packs.block, candidates, (shifts, totals.sums), weights);
        if let Some(d_queries) = d_queries {
            bf16::pull_queries(&packs.by_query, &packs.pulling, d_queries.begun());
        }
    }

    fn derive(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        how: &Derive<'_>,
        kept: &mut [u32],
        losses: &mut [f64],
        d_queries: Sum<'_>,
    ) {
        packs.score(block);
        weigh(&mut packs.block, block, how, losses);
        bf16::round_block(&packs.block, block.shape(), (&mut packs.by_query, kept));
        bf16::pull_queries(&packs.by_query, &packs.pulling, d_queries.begun());
    }

    fn prepare(_: &mut Packs, _: &Block<'_, Self>, _: &[u32]) {}

    fn pull_candidates(
        _: &mut Packs,
        block: &Block<'_, Self>,
        kept: &[u32],
        d_candidates: Sum<'_>,
    ) {
        bf16::pull_candidates(kept, &block.packed.pulling, d_candidates.begun());
    }

    fn add_sums(block: &Block<'_, Self>, kept: &[u32], scales: &[f32], sums: &mut [f32]) {
        let couples = block.shape().0.div_ceil(2) * PANEL;
        for (panel, sums) in kept.chunks_exact(couples).zip(sums.chunks_mut(PANEL)) {
            for (pairs, scales) in panel.chunks_exact(PANEL).zip(scales.chunks(2)) {
                for (sum, &pair) in sums.iter_mut().zip(pairs) {
                    for (weight, scale) in bf16::halves(pair).into_iter().zip(scales) {
                        *sum = weight.mul_add(*scale, *sum);
                    }
                }
            }
        }
    }

    fn sum_len(queries: usize, width: usize) -> usize {
        Panels::sum_len(queries, width)
    }

    fn total<'a>(
        sums: impl Iterator<Item = &'a [f32]> + Clone,
        width: usize,
        d_queries: &mut [f32],
    ) {
        Panels::total(sums, width, d_queries);
    }
}
