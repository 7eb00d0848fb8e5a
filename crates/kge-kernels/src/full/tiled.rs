//! Blocks by AMX's tiles ([`amx`]): scores stand candidate by candidate, a lane a query.
//!
//! So candidates are the left factor as they lie; maxima and sums run down lanes, without a
//! shuffle; and of weights a row is a row of the left factor that pulls candidates, two rows
//! interleaved are a row of the right factor that pulls queries, whose gradients are summed
//! transposed. Scores and weights are `f32` for [`SIDE`] queries at a time, near the registers.

use std::marker::PhantomData;

use super::{
    binary,
    blocks::{Block, Blocks, Hits, Sum, Totals},
};
use crate::{
    Similarity,
    math::exp_negative,
    simd::vectorise,
    tile::amx::{self, Left, Right, SIDE, Split},
};

/// A number of each query of a side.
type Lanes = [f32; SIDE];

/// With the factors rounded once, or split in two.
#[derive(Debug, Default)]
pub(super) struct Tiled<S>(PhantomData<S>);

#[derive(Debug, Default)]
pub(super) struct Queries {
    scored: Right,
    pulling: Right,
}

#[derive(Debug, Default)]
pub(super) struct Packs<S> {
    scored: Left,
    biases: Vec<f32>,
    /// The candidates' transpose.
    pulling: Left,
    /// Scores of all candidates for a side.
    panel: Vec<Lanes>,
    /// The weights `[candidates, queries]`.
    by_candidate: Left,
    /// The weights, a column a query.
    by_query: Right,
    split: PhantomData<fn() -> S>,
}

impl<S: Split> Packs<S> {
    /// Scores the queries of a side: `[candidates]`.
    fn score(&mut self, queries: &Queries, side: usize) -> &mut [Lanes] {
        self.panel.resize(self.scored.rows().next_multiple_of(SIDE), [0.0; SIDE]);
        amx::panel(&self.scored, &queries.scored, side, true, &mut self.panel);
        if !self.biases.is_empty() {
            for (scores, bias) in self.panel.iter_mut().zip(&self.biases) {
                scores.iter_mut().for_each(|score| *score += bias);
            }
        }
        &mut self.panel[..self.scored.rows()]
    }

    /// Takes the weights of a side, candidate by candidate, and the hits' on top.
    #[inline(always)]
    fn weigh(&mut self, side: usize, row: impl Fn(usize) -> Lanes, hits: &mut Hits<'_>) {
        let (by_candidate, by_query) = (&mut self.by_candidate, &mut self.by_query);
        let (queries, candidates, first) = (by_query.columns(), by_candidate.rows(), side * SIDE);
        vectorise(
            #[inline(always)]
            || {
                let (twos, last) = (candidates / 2, candidates % 2);
                for two in 0..twos {
                    let rows = [row(2 * two), row(2 * two + 1)];
                    by_candidate.write(2 * two, side, &rows[0], S::LEFT);
                    by_candidate.write(2 * two + 1, side, &rows[1], S::LEFT);
                    by_query.write_pair(side, two, &rows, S::RIGHT);
                }
                if last == 1 {
                    let rows = [row(2 * twos), [0.0; SIDE]];
                    by_candidate.write(2 * twos, side, &rows[0], S::LEFT);
                    by_query.write_pair(side, twos, &rows, S::RIGHT);
                }
                by_query.fill_up(side, candidates, S::RIGHT);
                let live = SIDE.min(queries - first);
                for (candidate, d_bias) in hits.d_biases.iter_mut().enumerate() {
                    *d_bias += row(candidate)[..live].iter().sum::<f32>();
                }
                for hit in hits.of(first..first + SIDE) {
                    let (candidate, query, hit) = hits.read(hit);
                    let weight = row(candidate)[query - first] + hit;
                    by_candidate.set(candidate, query, weight, S::LEFT);
                    by_query.set(candidate, query, weight, S::RIGHT);
                    if let Some(d_bias) = hits.d_biases.get_mut(candidate) {
                        *d_bias += hit;
                    }
                }
            },
        );
    }
}

impl<S: Split> Blocks for Tiled<S> {
    /// Deep enough that sums are read and written seldom; half of it would leave more of 2 MiB to
    /// the packs, and is slower.
    const ROWS: usize = 512;

    type Kept = S::Kept;
    type Queries = Queries;
    type Packs = Packs<S>;

    fn pack_queries(to: &mut Queries, rows: &[f32], width: usize, similarity: Similarity) {
        assert_eq!(similarity, Similarity::Dot, "bf16 is for dot products");
        to.scored.pack_across(rows, width, S::RIGHT);
        to.pulling.pack_down(rows, width, S::RIGHT);
    }

    fn pack_scored(to: &mut Packs<S>, rows: &[f32], width: usize, biases: &[f32]) {
        to.scored.pack(rows, width, S::LEFT);
        assert!(
            biases.is_empty() || biases.len() == to.scored.rows(),
            "a bias a candidate, or none"
        );
        to.biases.clear();
        to.biases.extend_from_slice(biases);
    }

    fn pack_pulling(to: &mut Packs<S>, rows: &[f32], width: usize, _: Similarity) {
        to.pulling.pack_transposed(rows, width, S::LEFT);
    }

    fn kept_len(queries: usize, candidates: usize) -> usize {
        queries.next_multiple_of(SIDE) * candidates
    }

    fn exponentiate(
        packs: &mut Packs<S>,
        block: &Block<'_, Self>,
        kept: &mut [S::Kept],
        totals: Totals<'_>,
    ) {
        let (queries, candidates) = block.shape();
        let kept = kept.as_chunks_mut::<SIDE>().0.chunks_exact_mut(candidates);
        for (side, kept) in kept.enumerate() {
            let scores = packs.score(block.packed, side);
            let first = side * SIDE;
            let live = SIDE.min(queries - first);
            if !totals.score_sums.is_empty() {
                let sums = vectorise(
                    #[inline(always)]
                    || sum(scores),
                );
                totals.score_sums[first..][..live].copy_from_slice(&sums[..live]);
            }
            let (maxima, sums) = vectorise(
                #[inline(always)]
                || exponentiate::<S>(scores, kept),
            );
            totals.maxima[first..][..live].copy_from_slice(&maxima[..live]);
            totals.sums[first..][..live].copy_from_slice(&sums[..live]);
        }
    }

    fn scale(
        packs: &mut Packs<S>,
        block: &Block<'_, Self>,
        kept: &[S::Kept],
        (scales, spread): (&[f32], f32),
        mut hits: Hits<'_>,
    ) {
        let (queries, candidates) = block.shape();
        packs.by_candidate.reshape(candidates, queries, S::LEFT);
        packs.by_query.reshape(queries, candidates, S::RIGHT);
        let kept = kept.as_chunks::<SIDE>().0.chunks_exact(candidates);
        for ((side, kept), scales) in kept.enumerate().zip(scales.chunks(SIDE)) {
            let mut lanes = [0.0; SIDE];
            lanes[..scales.len()].copy_from_slice(scales);
            packs.weigh(
                side,
                #[inline(always)]
                |candidate| {
                    let (kept, mut weights) = (&kept[candidate], lanes);
                    for lane in 0..SIDE {
                        weights[lane] = S::recall(kept[lane]).mul_add(lanes[lane], -spread);
                    }
                    weights
                },
                &mut hits,
            );
        }
    }

    fn derive(
        packs: &mut Packs<S>,
        block: &Block<'_, Self>,
        (weight, spread): (f32, f32),
        losses: &mut [f64],
        mut hits: Hits<'_>,
    ) {
        let (queries, candidates) = block.shape();
        packs.by_candidate.reshape(candidates, queries, S::LEFT);
        packs.by_query.reshape(queries, candidates, S::RIGHT);
        for (side, losses) in losses.chunks_mut(SIDE).enumerate() {
            let scores = packs.score(block.packed, side);
            losses.fill(0.0);
            for scores in scores.chunks_mut(binary::FACTORS) {
                let (products, sums) = vectorise(
                    #[inline(always)]
                    || derive(scores, weight, spread),
                );
                for ((loss, product), sum) in losses.iter_mut().zip(products).zip(sums) {
                    *loss += f64::from(sum) + crate::math::ln(f64::from(product));
                }
            }
            let panel = std::mem::take(&mut packs.panel);
            packs.weigh(
                side,
                #[inline(always)]
                |candidate| panel[candidate],
                &mut hits,
            );
            packs.panel = panel;
        }
    }

    fn pull(
        packs: &mut Packs<S>,
        block: &Block<'_, Self>,
        d_queries: Sum<'_>,
        d_candidates: Sum<'_>,
    ) {
        let rows = block.width.next_multiple_of(SIDE);
        let sums = d_queries.floats.as_chunks_mut::<SIDE>().0.chunks_exact_mut(rows);
        for (side, sums) in sums.enumerate() {
            amx::panel(&packs.pulling, &packs.by_query, side, d_queries.begins, sums);
        }
        let (weights, queries) = (&packs.by_candidate, &block.packed.pulling);
        amx::product(weights, queries, d_candidates.begins, d_candidates.floats);
    }

    /// `[queries / SIDE, width, SIDE]`, rounded up.
    fn sum_len(queries: usize, width: usize) -> usize {
        queries.next_multiple_of(SIDE) * width.next_multiple_of(SIDE)
    }

    fn total<'a>(
        sums: impl Iterator<Item = &'a [f32]> + Clone,
        width: usize,
        d_queries: &mut [f32],
    ) {
        let rows = width.next_multiple_of(SIDE);
        for (side, d_queries) in d_queries.chunks_mut(SIDE * width).enumerate() {
            for first in (0..width).step_by(SIDE) {
                let mut total = [[0.0; SIDE]; SIDE];
                for sum in sums.clone() {
                    let sum = &sum.as_chunks::<SIDE>().0[side * rows + first..][..SIDE];
                    crate::row::add(total.as_flattened_mut(), sum.as_flattened());
                }
                for (lane, d_query) in d_queries.chunks_exact_mut(width).enumerate() {
                    for (d, total) in d_query[first..].iter_mut().zip(&total) {
                        *d = total[lane];
                    }
                }
            }
        }
    }
}

/// Each lane's sum.
#[inline(always)]
fn sum(scores: &[Lanes]) -> Lanes {
    let mut sums = [0.0; SIDE];
    for scores in scores {
        for lane in 0..SIDE {
            sums[lane] += scores[lane];
        }
    }
    sums
}

/// Keeps `exp(score - maximum)`; gives each lane's maximum and sum.
#[inline(always)]
fn exponentiate<S: Split>(scores: &[Lanes], kept: &mut [[S::Kept; SIDE]]) -> (Lanes, Lanes) {
    let mut maxima = [f32::NEG_INFINITY; SIDE];
    for scores in scores {
        for lane in 0..SIDE {
            let (score, maximum) = (scores[lane], maxima[lane]);
            maxima[lane] = if score > maximum { score } else { maximum };
        }
    }
    let mut sums = [0.0; SIDE];
    for (scores, kept) in scores.iter().zip(kept) {
        for lane in 0..SIDE {
            let exponential = exp_negative(scores[lane] - maxima[lane]);
            sums[lane] += exponential;
            kept[lane] = S::keep(exponential);
        }
    }
    (maxima, sums)
}

/// Replaces scores by weights; gives each lane's product and sum, whose parts its loss is.
#[inline(always)]
fn derive(scores: &mut [Lanes], weight: f32, spread: f32) -> (Lanes, Lanes) {
    let (mut products, mut sums) = ([1.0; SIDE], [0.0; SIDE]);
    for scores in scores {
        for lane in 0..SIDE {
            let (product, sum) = (&mut products[lane], &mut sums[lane]);
            binary::derive(&mut scores[lane], product, sum, spread, weight);
        }
    }
    (products, sums)
}
