//! Blocks that are `f32` from score to weight, in the panels of [`tile`]: of `f32` itself, and of
//! bf16 where each product rounds what it takes.

use pulp::{Simd, WithSimd};

use super::{
    binary,
    blocks::{Block, Blocks, Hits, Sum, Totals},
};
use crate::{
    Similarity,
    math::{exp_negative, ln},
    row::{LANES, tree},
    simd::{arch, vectorise},
    tile::{self, Factors, PANEL, panel_len},
};

const _: () = assert!(PANEL <= binary::FACTORS);

/// With the factors of a tile's products.
#[derive(Debug, Default)]
pub(super) struct Panels<F>(std::marker::PhantomData<F>);

#[derive(Debug, Default)]
pub(super) struct Queries<F: Factors> {
    scored: F::Queries,
    pulling: F::Others,
}

#[derive(Debug, Default)]
pub(super) struct Packs<F: Factors> {
    scored: F::Candidates,
    pulling: F::Others,
    block: Vec<f32>,
    scratch: F::Scratch,
}

impl<F: Factors> Packs<F> {
    /// The scores of a block.
    fn score(&mut self, block: &Block<'_, Panels<F>>) {
        let (queries, candidates) = block.shape();
        self.block.resize(tile::block_len(queries, candidates), 0.0);
        F::scores(block.similarity, &block.packed.scored, &self.scored, &mut self.block);
    }

    /// Adds the hits' weights and makes of all of them what pulls take.
    fn finish(&mut self, block: &Block<'_, Panels<F>>, hits: Hits<'_>) {
        let (queries, candidates) = block.shape();
        for hit in hits.hits {
            let (column, query, weight) = hits.read(hit);
            self.block[tile::place(queries, query, column)] += weight;
        }
        if !hits.d_biases.is_empty() {
            tile::add_sums(&self.block, queries, hits.d_biases);
        }
        F::pulling(
            block.similarity,
            &mut self.block,
            (queries, candidates),
            (&block.packed.scored, &self.scored),
            &mut self.scratch,
        );
    }
}

impl<F: Factors> Blocks for Panels<F> {
    const ROWS: usize = tile::ROWS;

    type Kept = F::Kept;
    type Queries = Queries<F>;
    type Packs = Packs<F>;

    fn pack_queries(to: &mut Queries<F>, rows: &[f32], width: usize, similarity: Similarity) {
        F::pack_queries(&mut to.scored, rows, width, similarity);
        F::pack_others(&mut to.pulling, rows, width, similarity);
    }

    fn pack_scored(to: &mut Packs<F>, rows: &[f32], width: usize, biases: &[f32]) {
        F::pack_candidates(&mut to.scored, rows, width, biases);
    }

    fn pack_pulling(to: &mut Packs<F>, rows: &[f32], width: usize, similarity: Similarity) {
        F::pack_others(&mut to.pulling, rows, width, similarity);
    }

    fn kept_len(queries: usize, candidates: usize) -> usize {
        tile::block_len(queries, candidates)
    }

    fn exponentiate(
        packs: &mut Packs<F>,
        block: &Block<'_, Self>,
        kept: &mut [F::Kept],
        totals: Totals<'_>,
    ) {
        let (queries, candidates) = block.shape();
        packs.score(block);
        for (query, sum) in totals.score_sums.iter_mut().enumerate() {
            *sum = tile::row(&packs.block, queries, candidates, query).flatten().sum();
        }
        arch().dispatch(Exponentiate::<F> {
            scores: &packs.block,
            kept,
            candidates,
            maxima: totals.maxima,
            sums: totals.sums,
        });
    }

    fn scale(
        packs: &mut Packs<F>,
        block: &Block<'_, Self>,
        kept: &[F::Kept],
        (scales, spread): (&[f32], f32),
        hits: Hits<'_>,
    ) {
        packs.block.resize(kept.len(), 0.0);
        scale::<F>(kept, scales, spread, &mut packs.block);
        packs.finish(block, hits);
    }

    fn derive(
        packs: &mut Packs<F>,
        block: &Block<'_, Self>,
        (weight, spread): (f32, f32),
        losses: &mut [f64],
        hits: Hits<'_>,
    ) {
        packs.score(block);
        weigh(&mut packs.block, block.shape().1, spread, weight, losses);
        packs.finish(block, hits);
    }

    fn pull(
        packs: &mut Packs<F>,
        block: &Block<'_, Self>,
        d_queries: Sum<'_>,
        d_candidates: Sum<'_>,
    ) {
        let [d_queries, d_candidates] = [d_queries, d_candidates].map(|sum| {
            if sum.begins {
                sum.floats.fill(0.0);
            }
            sum.floats
        });
        let Block { similarity, queries, packed, candidates, .. } = *block;
        let weights = (&packs.block[..], &packs.scratch);
        F::pull_queries(similarity, weights, queries, &packs.pulling, d_queries);
        F::pull_candidates(similarity, weights, candidates, &packed.pulling, d_candidates);
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

/// Keeps each query's `exp(score - maximum)`; leaves its maximum and sum.
struct Exponentiate<'a, F: Factors> {
    scores: &'a [f32],
    kept: &'a mut [F::Kept],
    candidates: usize,
    maxima: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<F: Factors> WithSimd for Exponentiate<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scores, kept, candidates, maxima, sums } = self;
        let queries = maxima.len();
        let panels = scores.len() / panel_len(queries);
        for (query, (out, sum)) in maxima.iter_mut().zip(sums).enumerate() {
            let row = |panel: usize| {
                let length = PANEL.min(candidates - panel * PANEL);
                (panel * panel_len(queries) + query * PANEL, length)
            };
            let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
            let mut maximum = f32::NEG_INFINITY;
            for panel in 0..panels {
                let (start, length) = row(panel);
                let (vectors, rest) = S::as_simd_f32s(&scores[start..][..length]);
                for &scores in vectors {
                    highest = simd.max_f32s(highest, scores);
                }
                for &score in rest {
                    maximum = maximum.max(score);
                }
            }
            let maximum = maximum.max(simd.reduce_max_f32s(highest));
            let mut lanes = [0.0; LANES];
            for panel in 0..panels {
                let (start, length) = row(panel);
                let (scores, rest) = scores[start..][..length].as_chunks::<LANES>();
                let (kept, kept_rest) = kept[start..][..length].as_chunks_mut::<LANES>();
                for (kept, scores) in kept.iter_mut().zip(scores) {
                    for i in 0..LANES {
                        let exponential = exp_negative(scores[i] - maximum);
                        lanes[i] += exponential;
                        kept[i] = F::keep(exponential);
                    }
                }
                for ((kept, &score), lane) in kept_rest.iter_mut().zip(rest).zip(&mut lanes) {
                    let exponential = exp_negative(score - maximum);
                    *lane += exponential;
                    *kept = F::keep(exponential);
                }
            }
            (*out, *sum) = (maximum, tree(lanes));
        }
    }
}

/// Writes each query's exponentials times its scale, less `spread`.
fn scale<F: Factors>(kept: &[F::Kept], scales: &[f32], spread: f32, weights: &mut [f32]) {
    let panel_len = panel_len(scales.len());
    vectorise(
        #[inline(always)]
        || {
            for (kept, weights) in
                kept.chunks_exact(panel_len).zip(weights.chunks_exact_mut(panel_len))
            {
                let rows = kept.chunks_exact(PANEL).zip(weights.chunks_exact_mut(PANEL));
                for ((kept, weights), &scale) in rows.zip(scales) {
                    for (weight, &kept) in weights.iter_mut().zip(kept) {
                        *weight = F::recall(kept).mul_add(scale, -spread);
                    }
                }
            }
        },
    );
}

/// Replaces scores by `weight (sigmoid(s) - spread)`; writes each query's
/// `sum_j softplus(s_j) - spread s_j`.
fn weigh(block: &mut [f32], candidates: usize, spread: f32, weight: f32, losses: &mut [f64]) {
    losses.fill(0.0);
    vectorise(
        #[inline(always)]
        || {
            for (panel, rows) in block.chunks_exact_mut(panel_len(losses.len())).enumerate() {
                let length = PANEL.min(candidates - panel * PANEL);
                for (row, loss) in rows.chunks_exact_mut(PANEL).zip(&mut *losses) {
                    *loss += derive(&mut row[..length], spread, weight);
                }
            }
        },
    );
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
