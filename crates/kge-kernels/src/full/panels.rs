//! Blocks of `f32` from score to weight, in the panels of [`tile`].

use pulp::{Simd, WithSimd};

use super::{
    binary,
    blocks::{Block, Blocks, Derive, Rows, Sum, Totals},
};
use crate::{
    Pool, Similarity,
    math::{exp_bounded, ln},
    row::{LANES, tree},
    simd::{arch, vectorise},
    tile::{self, Columns, F32, Factors as _, Grouped, PANEL, Transposed, panel_len},
};

const _: () = assert!(PANEL <= binary::FACTORS);

/// For every similarity.
#[derive(Debug, Default)]
pub(super) struct Panels;

#[derive(Debug, Default)]
pub(super) struct Queries {
    scored: Grouped,
    pulling: Columns,
}

#[derive(Debug, Default)]
pub(super) struct Packs {
    scored: Transposed,
    pulling: Columns,
    /// Weights over distances, where these pull.
    scratch: Vec<f32>,
}

impl Panels {
    /// Pulls the queries by weights that are [prepared](Blocks::prepare).
    pub(super) fn pull_queries(
        packs: &Packs,
        block: &Block<'_, Self>,
        kept: &[f32],
        d_queries: Sum<'_>,
    ) {
        let weights = (kept, &packs.scratch);
        let (similarity, d_queries) = (block.similarity, d_queries.begun());
        F32::pull_queries(similarity, weights, block.queries, &packs.pulling, d_queries);
    }
}

impl Blocks for Panels {
    const ROWS: usize = tile::ROWS;
    const ADDED: usize = tile::ROWS;

    fn tile(_: usize) -> usize {
        tile::TILE
    }

    /// One weight, in the order of [`tile`].
    type Kept = f32;
    type Queries = Queries;
    type Packs = Packs;

    fn pack_queries(_: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        F32::pack_queries(&mut to.scored, rows.floats, rows.width, rows.similarity);
    }

    fn pack_pulling_queries(_: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        F32::pack_others(&mut to.pulling, rows.floats, rows.width, rows.similarity);
    }

    fn pack_candidates(to: &mut Packs, rows: &[f32], width: usize, biases: &[f32]) {
        F32::pack_candidates(&mut to.scored, rows, width, biases);
    }

    fn pack_pulling_candidates(to: &mut Packs, rows: &[f32], width: usize, similarity: Similarity) {
        F32::pack_others(&mut to.pulling, rows, width, similarity);
    }

    fn kept_len(queries: usize, candidates: usize) -> usize {
        tile::block_len(queries, candidates)
    }

    fn exponentiate(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        shifts: &[f32],
        kept: &mut [f32],
        totals: Totals<'_>,
        d_queries: Option<Sum<'_>>,
    ) {
        F32::scores(block.similarity, &block.packed.scored, &packs.scored, kept);
        sum_scores(kept, block.shape(), totals.score_sums);
        let (candidates, sums) = (block.shape().1, totals.sums);
        arch().dispatch(Exponentiate { block: kept, candidates, shifts, sums });
        if let Some(d_queries) = d_queries {
            Self::prepare(packs, block, kept);
            Self::pull_queries(packs, block, kept, d_queries);
        }
    }

    fn derive(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        how: &Derive<'_>,
        kept: &mut [f32],
        losses: &mut [f64],
        d_queries: Sum<'_>,
    ) {
        F32::scores(block.similarity, &block.packed.scored, &packs.scored, kept);
        weigh(kept, block, how, losses);
        Self::prepare(packs, block, kept);
        Self::pull_queries(packs, block, kept, d_queries);
    }

    fn prepare(packs: &mut Packs, block: &Block<'_, Self>, kept: &[f32]) {
        let queries = (&block.packed.scored, &packs.scored);
        F32::pulling(block.similarity, kept, block.shape(), queries, &mut packs.scratch);
    }

    fn pull_candidates(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        kept: &[f32],
        d_candidates: Sum<'_>,
    ) {
        let weights = (kept, &packs.scratch);
        let Block { similarity, packed, candidates, .. } = *block;
        let d_candidates = d_candidates.begun();
        F32::pull_candidates(similarity, weights, candidates, &packed.pulling, d_candidates);
    }

    fn add_sums(block: &Block<'_, Self>, kept: &[f32], scales: &[f32], sums: &mut [f32]) {
        let panels = kept.chunks_exact(panel_len(block.shape().0)).zip(sums.chunks_mut(PANEL));
        for (panel, sums) in panels {
            for (row, scale) in panel.chunks_exact(PANEL).zip(scales) {
                for (sum, weight) in sums.iter_mut().zip(row) {
                    *sum = weight.mul_add(*scale, *sum);
                }
            }
        }
    }

    fn sum_len(queries: usize, width: usize) -> usize {
        queries * width
    }

    fn total<'a>(
        mut sums: impl Iterator<Item = &'a [f32]> + Clone,
        _: usize,
        d_queries: &mut [f32],
    ) {
        if let Some(first) = sums.next() {
            d_queries.copy_from_slice(first);
        }
        sums.for_each(|sum| crate::row::add(d_queries, sum));
    }
}

/// Writes the sums of each query's scores, if anybody asks.
pub(super) fn sum_scores(scores: &[f32], (queries, candidates): (usize, usize), sums: &mut [f32]) {
    for (query, sum) in sums.iter_mut().enumerate() {
        *sum = tile::row(scores, queries, candidates, query).flatten().sum();
    }
}

/// Replaces scores by `exp(score - shift)`; leaves each query's sum of them.
struct Exponentiate<'a> {
    block: &'a mut [f32],
    candidates: usize,
    shifts: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Exponentiate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { block, candidates, shifts, sums } = self;
        let panel_len = panel_len(shifts.len());
        for (query, (&shift, sum)) in shifts.iter().zip(sums).enumerate() {
            let mut lanes = [0.0; LANES];
            for (panel, rows) in block.chunks_exact_mut(panel_len).enumerate() {
                let length = PANEL.min(candidates - panel * PANEL);
                let row = &mut rows[query * PANEL..][..length];
                let (chunks, rest) = row.as_chunks_mut::<LANES>();
                for chunk in chunks {
                    for i in 0..LANES {
                        chunk[i] = exp_bounded(chunk[i] - shift);
                        lanes[i] += chunk[i];
                    }
                }
                for (score, lane) in rest.iter_mut().zip(&mut lanes) {
                    *score = exp_bounded(*score - shift);
                    *lane += *score;
                }
            }
            *sum = tree(lanes);
        }
    }
}

/// Replaces scores by the weights of [`Blocks::derive`]; writes each query's
/// `sum_j softplus(s_j) - spread s_j`.
pub(super) fn weigh<B: Blocks>(
    scores: &mut [f32],
    block: &Block<'_, B>,
    how: &Derive<'_>,
    losses: &mut [f64],
) {
    let (queries, candidates) = block.shape();
    losses.fill(0.0);
    vectorise(
        #[inline(always)]
        || {
            for (panel, rows) in scores.chunks_exact_mut(panel_len(queries)).enumerate() {
                let length = PANEL.min(candidates - panel * PANEL);
                for (row, loss) in rows.chunks_exact_mut(PANEL).zip(&mut *losses) {
                    *loss += derive(&mut row[..length], how.spread, how.weight);
                }
            }
        },
    );
    for hit in how.hits.of(block.tile, block.first..block.first + queries) {
        let (query, column) = hit.pair();
        scores[tile::place(queries, query - block.first, column)] += how.hit_weight;
    }
}

/// The logarithms of a panel are one.
#[inline(always)]
fn derive(row: &mut [f32], spread: f32, weight: f32) -> f64 {
    let (mut products, mut sums) = ([1.0_f32; LANES], [0.0_f32; LANES]);
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for i in 0..LANES {
            binary::derive(&mut chunk[i], &mut products[i], &mut sums[i], spread, weight);
        }
    }
    let rest = chunks.into_remainder().iter_mut().zip(&mut products).zip(&mut sums);
    for ((s, product), sum) in rest {
        binary::derive(s, product, sum, spread, weight);
    }
    let mut product = 1.0;
    for lane in products {
        product *= f64::from(lane);
    }
    f64::from(tree(sums)) + ln(product)
}
