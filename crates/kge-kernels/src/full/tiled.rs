//! Blocks by AMX's tiles ([`amx`]): scores stand candidate by candidate, a lane a query.
//!
//! So candidates are the left factor as they lie; sums run down lanes, without a shuffle; and of
//! weights a row is a row of the left factor that pulls candidates, two rows interleaved are a row
//! of the right factor that pulls queries, whose gradients are summed transposed. Scores and
//! weights are `f32` for [`SIDE`] queries and candidates at a time, in the first cache.

use std::marker::PhantomData;

use super::{
    binary,
    blocks::{Block, Blocks, Derive, Rows, Sum, Totals},
};
use crate::{
    Pool, Similarity,
    aligned::Line,
    math::ln,
    simd::vectorise,
    tile::{
        TILE,
        amx::{self, Columns, Left, LeftShape, Lefts, Right, SIDE, Split},
        bf16,
    },
};

/// A number of each query of a side.
type Lanes = [f32; SIDE];

const _: () = assert!(binary::FACTORS.is_multiple_of(SIDE));

/// With the factors rounded once, or split in two.
#[derive(Debug, Default)]
pub(super) struct Tiled<S>(PhantomData<S>);

#[derive(Debug, Default)]
pub(super) struct Queries {
    scored: Right,
    pulling: Right,
}

#[derive(Debug, Default)]
pub(super) struct Packs {
    scored: Left,
    biases: Vec<f32>,
    /// The candidates' transpose.
    pulling: Left,
    /// The weights of a side, a column a query.
    by_query: Right,
}

impl Packs {
    /// Adds the biases of the candidates from `first` on.
    #[inline(always)]
    fn add_biases(biases: &[f32], first: usize, scores: &mut [Lanes]) {
        for (scores, bias) in scores.iter_mut().zip(biases.get(first..).unwrap_or_default()) {
            scores.iter_mut().for_each(|score| *score += bias);
        }
    }

    /// Pulls the queries of a side by its weights.
    fn pull_queries(&self, side: usize, width: usize, d_queries: &mut Sum<'_>) {
        let rows = width.next_multiple_of(SIDE);
        let sums = &mut d_queries.floats.as_chunks_mut::<SIDE>().0[side * rows..][..rows];
        amx::panel(self.pulling.lent(), &self.by_query, 0, d_queries.begins, sums);
    }
}

impl<S: Split> Tiled<S> {
    /// How the weights of a block lie: those of a candidate are a row.
    fn shape(queries: usize, candidates: usize) -> LeftShape {
        LeftShape::new(candidates, queries, S::LEFT)
    }
}

impl<S: Split> Blocks for Tiled<S> {
    /// Only candidates' gradients are summed over a block: so many queries of usual width fill half
    /// of 2 MiB as their right factor.
    const ROWS: usize = if S::LEFT.len() == 1 { 2048 } else { 512 };

    const ADDED: usize = 4 * SIDE;

    /// Both packs of a tile fill half of 2 MiB at most, unless rows are very wide.
    fn tile(width: usize) -> usize {
        const WIDEST: usize = 256;
        (2 * TILE * WIDEST / width.max(WIDEST) / SIDE).max(1) * SIDE
    }

    /// Weights of a candidate.
    type Kept = Line;
    type Queries = Queries;
    type Packs = Packs;

    fn pack_queries(pool: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        bf16::assert_dot(rows.similarity);
        to.scored.pack_across(pool, rows.floats, rows.width, S::RIGHT);
    }

    fn pack_pulling_queries(pool: Option<&Pool>, to: &mut Queries, rows: Rows<'_>) {
        to.pulling.pack_down(pool, rows.floats, rows.width, S::RIGHT);
    }

    fn pack_candidates(to: &mut Packs, rows: &[f32], width: usize, biases: &[f32]) {
        to.scored.pack(rows, width, S::LEFT);
        assert!(
            biases.is_empty() || biases.len() == to.scored.rows(),
            "a bias a candidate, or none"
        );
        to.biases.clear();
        to.biases.extend_from_slice(biases);
    }

    fn pack_pulling_candidates(to: &mut Packs, rows: &[f32], width: usize, _: Similarity) {
        to.pulling.pack_transposed(rows, width, S::LEFT);
    }

    fn kept_len(queries: usize, candidates: usize) -> usize {
        Self::shape(queries, candidates).len()
    }

    fn exponentiate(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        shifts: &[f32],
        kept: &mut [Line],
        totals: Totals<'_>,
        mut d_queries: Option<Sum<'_>>,
    ) {
        let (queries, candidates) = block.shape();
        let shape = Self::shape(queries, candidates);
        packs.by_query.reshape(SIDE, candidates, S::RIGHT);
        for (side, shifts) in shifts.chunks(SIDE).enumerate() {
            let mut columns = Columns { shifts: [0.0; SIDE], totals: [0.0; SIDE] };
            columns.shifts[..shifts.len()].copy_from_slice(shifts);
            let mut score_sums = [0.0; SIDE];
            let Packs { scored, biases, by_query, .. } = &mut *packs;
            let factors = (&*scored, &block.packed.scored, side);
            let weights = (&mut *kept, shape);
            if S::LEFT.len() == 1 && biases.is_empty() && totals.score_sums.is_empty() {
                amx::exponentiate(factors, &mut columns, weights, by_query);
            } else {
                amx::weigh::<S>(
                    factors,
                    #[inline(always)]
                    |first, scores| {
                        Packs::add_biases(biases, first, scores);
                        if !totals.score_sums.is_empty() {
                            add(scores, &mut score_sums);
                        }
                        scores.iter_mut().for_each(|scores| columns.exponentiate::<S>(scores));
                    },
                    weights,
                    by_query,
                );
            }
            let own = side * SIDE..side * SIDE + shifts.len();
            totals.sums[own.clone()].copy_from_slice(&columns.totals[..shifts.len()]);
            if let Some(all) = totals.score_sums.get_mut(own) {
                all.copy_from_slice(&score_sums[..shifts.len()]);
            }
            if let Some(d_queries) = &mut d_queries {
                packs.pull_queries(side, block.width, d_queries);
            }
        }
    }

    fn derive(
        packs: &mut Packs,
        block: &Block<'_, Self>,
        how: &Derive<'_>,
        kept: &mut [Line],
        losses: &mut [f64],
        mut d_queries: Sum<'_>,
    ) {
        let (queries, candidates) = block.shape();
        let shape = Self::shape(queries, candidates);
        packs.by_query.reshape(SIDE, candidates, S::RIGHT);
        for (side, losses) in losses.chunks_mut(SIDE).enumerate() {
            losses.fill(0.0);
            let (mut parts, own) = (Parts::default(), block.first + side * SIDE);
            let hits = how.hits.of(block.tile, own..own + losses.len());
            let Packs { scored, biases, by_query, .. } = &mut *packs;
            amx::weigh::<S>(
                (scored, &block.packed.scored, side),
                #[inline(always)]
                |first, scores| {
                    Packs::add_biases(biases, first, scores);
                    parts.derive(scores, how.weight, how.spread);
                    if (first + SIDE).is_multiple_of(binary::FACTORS) {
                        parts.add_to(losses);
                    }
                    for hit in hits {
                        let (query, candidate) = hit.pair();
                        if let Some(weights) = scores.get_mut(candidate.wrapping_sub(first)) {
                            weights[query - own] += how.hit_weight;
                        }
                    }
                },
                (kept, shape),
                by_query,
            );
            parts.add_to(losses);
            packs.pull_queries(side, block.width, &mut d_queries);
        }
    }

    fn prepare(_: &mut Packs, _: &Block<'_, Self>, _: &[Line]) {}

    fn pull_candidates(
        _: &mut Packs,
        block: &Block<'_, Self>,
        kept: &[Line],
        d_candidates: Sum<'_>,
    ) {
        let (queries, candidates) = block.shape();
        let weights = Lefts::new(kept, Self::shape(queries, candidates));
        let Sum { floats, begins } = d_candidates;
        amx::product(weights, &block.packed.pulling, begins, floats);
    }

    fn add_sums(block: &Block<'_, Self>, kept: &[Line], scales: &[f32], sums: &mut [f32]) {
        let shape = Self::shape(scales.len(), block.shape().1);
        vectorise(
            #[inline(always)]
            || {
                for (candidate, sum) in sums.iter_mut().enumerate() {
                    let mut lanes = [0.0; SIDE];
                    for (weights, scales) in shape.row(kept, candidate).zip(scales.chunks(SIDE)) {
                        for ((lane, weight), scale) in lanes.iter_mut().zip(weights).zip(scales) {
                            *lane = weight.mul_add(*scale, *lane);
                        }
                    }
                    *sum += lanes.iter().sum::<f32>();
                }
            },
        );
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

/// Adds each lane's scores.
#[inline(always)]
fn add(scores: &[Lanes], sums: &mut Lanes) {
    for scores in scores {
        for lane in 0..SIDE {
            sums[lane] += scores[lane];
        }
    }
}

/// Parts of the losses of a side: what a logarithm is taken of, and the rest.
struct Parts {
    products: Lanes,
    sums: Lanes,
}

impl Default for Parts {
    fn default() -> Self {
        Self { products: [1.0; SIDE], sums: [0.0; SIDE] }
    }
}

impl Parts {
    /// Replaces scores by weights, at most [`binary::FACTORS`] from one [`add_to`](Self::add_to) to
    /// the next.
    #[inline(always)]
    fn derive(&mut self, scores: &mut [Lanes], weight: f32, spread: f32) {
        for scores in scores {
            let parts = self.products.iter_mut().zip(&mut self.sums);
            for (score, (product, sum)) in scores.iter_mut().zip(parts) {
                binary::derive(score, product, sum, spread, weight);
            }
        }
    }

    /// Adds the parts to the losses and begins anew.
    fn add_to(&mut self, losses: &mut [f64]) {
        let Self { products, sums } = std::mem::take(self);
        for ((loss, product), sum) in losses.iter_mut().zip(products).zip(sums) {
            *loss += f64::from(sum) + ln(f64::from(product));
        }
    }
}
