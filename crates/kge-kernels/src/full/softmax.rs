//! Cross-entropy of the softmax over all candidates, by their dot products with the queries.
//!
//! With `Z` the normaliser of `P = exp(S - shift)`, the weights are `P / Z` but for the labels', so
//! a query's gradient is `(P E) / Z`: a first pass leaves `P`, its sums and `P E`, tile by tile.
//! Then the normaliser is known, and a second pass pulls the candidates by `P` and the queries over
//! `Z`: no weight is touched between an exponential and both of its products. What labels and
//! smoothing weigh on top are sums of rows. No exponential is taken twice unless they would not fit
//! [`KEPT_BYTES`]; then they are computed again.
//!
//! Any shift gives the same weights as long as the sum is neither lost nor overflows. So it is no
//! maximum, for which one would have to look at all scores first, but the labels' score and
//! [`ABOVE`]; a query whose sum leaves the [`WINDOW`] is looked at, and the pass begins anew.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{
    Gradients, Problem,
    blocks::{Blocks, Rows, Sum, Totals},
    step::{Cut, Step, Walk, label_score, pack},
};
use crate::{Pool, Similarity, math::ln, pool::SharedMut, row, tile::ROWS};

/// Exponentials kept from the first pass to the second.
pub(super) const KEPT_BYTES: usize = 256 << 20;

/// How far above its labels' score a query's shift lies: other candidates may score higher by about
/// a hundred then.
const ABOVE: f64 = 40.0;

/// Sums whose weights are as exact as any: one that is lost below `f32`'s numbers is less than
/// `2^-59` of its sum, and gradients don't overflow.
const WINDOW: RangeInclusive<f64> = 1e-20..=1e28;

impl<B: Blocks> Step<B> {
    /// # Panics
    /// As [`FullStep::softmax`](super::FullStep::softmax).
    pub(super) fn softmax(
        &mut self,
        kept_bytes: usize,
        pool: &Pool,
        problem: &Problem<'_>,
        mut gradients: Gradients<'_>,
    ) -> f64 {
        const DOT: Similarity = Similarity::Dot;
        let Some(cut) = self.begin(pool, DOT, problem, &mut gradients) else { return 0.0 };
        let Problem { queries, candidates, width, labels, smoothing, .. } = *problem;
        let keep = cut.keeps::<B>(kept_bytes);
        let loss = self.exponentials(pool, DOT, (problem, cut), keep);

        self.scaled.resize(queries.len(), 0.0);
        let scales = &self.scales;
        pool.chunks(&mut self.scaled, ROWS * width, |index, scaled, _| {
            let queries = queries[index * ROWS * width..].chunks_exact(width);
            let rows = scaled.chunks_exact_mut(width).zip(queries).zip(&scales[index * ROWS..]);
            for ((scaled, query), scale) in rows {
                scaled.iter_mut().zip(query).for_each(|(scaled, x)| *scaled = x * scale);
            }
        });
        let rows = Rows { floats: &self.scaled, width, similarity: DOT };
        pack::<B>(pool, &mut self.queries, rows, B::pack_pulling_queries);
        let spread = problem.spread();
        if smoothing > 0.0 {
            sum(queries, width, &mut self.query_sum);
            sum(&self.row_sums, width, &mut self.candidate_sum);
        }

        let Self { queries: packed, threads, hits, scales, shifts, partial, kept, .. } = self;
        let (query_sum, candidate_sum) = (&self.query_sum, &self.candidate_sum);
        let all_kept = SharedMut::new(kept);
        let d_candidates = SharedMut::new(gradients.candidates);
        let d_biases = SharedMut::new(gradients.biases);
        let walk = Walk { pool, similarity: DOT, problem, cut, queries: packed, threads };
        walk.by_tiles(&|tile, packs| {
            let (start, length) = cut.tile(tile.index);
            // SAFETY: each tile's candidates are its own.
            let d_tile = unsafe { d_candidates.slice(start * width, length * width) };
            // SAFETY: as above.
            let d_biases = unsafe { d_biases.slice(start, tile.biases.len()) };
            d_biases.fill(0.0);
            if !keep {
                B::pack_candidates(&mut packs.packs, tile.rows, width, tile.biases);
            }
            for block in walk.blocks(tile) {
                let own = block.first..block.first + block.shape().0;
                let place = cut.place(&block);
                let kept = if keep {
                    // SAFETY: each block has its own place.
                    unsafe { all_kept.slice(place.start, place.len()) }
                } else {
                    packs.exponentiate(&block, &shifts[own.clone()]);
                    &mut packs.kept[..]
                };
                B::prepare(&mut packs.packs, &block, kept);
                let sum = Sum { floats: d_tile, begins: block.first == 0 };
                B::pull_candidates(&mut packs.packs, &block, kept, sum);
                if !d_biases.is_empty() {
                    B::add_sums(&block, kept, &scales[own], d_biases);
                }
            }
            for hit in hits.of(tile.index, 0..cut.queries) {
                let (query, column) = hit.pair();
                let (weight, query) =
                    (problem.hit_weight(query), &queries[query * width..][..width]);
                row::add_scaled(&mut d_tile[column * width..][..width], weight, query);
                if let Some(d_bias) = d_biases.get_mut(column) {
                    *d_bias += weight;
                }
            }
            if smoothing > 0.0 {
                let rows = d_tile.chunks_exact_mut(width);
                rows.for_each(|d_row| row::add_scaled(d_row, -spread, query_sum));
                d_biases.iter_mut().for_each(|d_bias| *d_bias -= spread * cut.queries as f32);
            }
        });
        walk.total(partial, gradients.queries, &|query, d_row| {
            d_row.iter_mut().for_each(|d| *d *= scales[query]);
            for &label in labels.of(query) {
                let candidate = &candidates[label as usize * width..][..width];
                row::add_scaled(d_row, problem.hit_weight(query), candidate);
            }
            if smoothing > 0.0 {
                row::add_scaled(d_row, -spread, candidate_sum);
            }
        });
        loss
    }

    /// Leaves each tile's exponentials, if they are kept, and each query's scale; of dot products
    /// also the sums of query gradients. Gives the loss.
    pub(super) fn exponentials(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        keep: bool,
    ) -> f64 {
        self.label_scores.resize(cut.queries, 0.0);
        self.shifts.resize(cut.queries, 0.0);
        let shifts = SharedMut::new(&mut self.shifts);
        pool.chunks(&mut self.label_scores, ROWS, |index, scores, _| {
            // SAFETY: each query has its own.
            let shifts = unsafe { shifts.slice(index * ROWS, scores.len()) };
            for (offset, (score, shift)) in scores.iter_mut().zip(shifts).enumerate() {
                *score = label_score(similarity, problem, index * ROWS + offset);
                *shift = (*score + ABOVE) as f32;
            }
        });
        self.first_pass(pool, similarity, (problem, cut), keep);
        if self.leaves_window(pool, similarity, problem) {
            self.first_pass(pool, similarity, (problem, cut), keep);
        }
        self.normalise(problem, cut)
    }

    fn first_pass(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        keep: bool,
    ) {
        let (m, width, smooth) = (cut.queries, cut.width, problem.smoothing > 0.0);
        let pull = similarity == Similarity::Dot;
        self.sums.resize(cut.tiles() * m, 0.0);
        self.score_sums.resize(cut.tiles() * m, 0.0);
        self.row_sums.resize(cut.tiles() * width, 0.0);
        self.kept.resize(if keep { cut.elements::<B>() } else { 0 }, B::Kept::default());
        let Self { queries, threads, partial, shifts, .. } = self;
        let (all_kept, sums) = (SharedMut::new(&mut self.kept), SharedMut::new(&mut self.sums));
        let score_sums = SharedMut::new(&mut self.score_sums);
        let row_sums = SharedMut::new(&mut self.row_sums);
        let walk = Walk { pool, similarity, problem, cut, queries, threads };
        walk.by_groups(
            partial,
            &|tile, packs| {
                B::pack_candidates(&mut packs.packs, tile.rows, width, tile.biases);
                if pull {
                    B::pack_pulling_candidates(&mut packs.packs, tile.rows, width, similarity);
                }
                if pull && smooth {
                    // SAFETY: each tile has its own.
                    let row_sum = unsafe { row_sums.slice(tile.index * width, width) };
                    row_sum.fill(0.0);
                    tile.rows.chunks_exact(width).for_each(|row| row::add(row_sum, row));
                }
            },
            &|block, packs, d_queries| {
                let own = block.first..block.first + block.shape().0;
                let (place, first) = (cut.place(block), block.tile * m + block.first);
                // SAFETY: each tile has an element of both for each query.
                let [sums, score_sums] =
                    [&sums, &score_sums].map(|all| unsafe { all.slice(first, own.len()) });
                let kept = if keep {
                    // SAFETY: each block has its own place.
                    unsafe { all_kept.slice(place.start, place.len()) }
                } else {
                    packs.kept.resize(place.len(), B::Kept::default());
                    &mut packs.kept[..]
                };
                let score_sums = if smooth { score_sums } else { &mut [] };
                let totals = Totals { sums, score_sums };
                let d_queries = pull.then_some(d_queries);
                B::exponentiate(&mut packs.packs, block, &shifts[own], kept, totals, d_queries);
            },
        );
        self.normalisers.clear();
        self.normalisers.resize(m, 0.0);
        for sums in self.sums.chunks_exact(m) {
            for (normaliser, &sum) in self.normalisers.iter_mut().zip(sums) {
                *normaliser += f64::from(sum);
            }
        }
    }

    /// Whether some query's sum is of no use: then its shift is its highest score from now on.
    fn leaves_window(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
    ) -> bool {
        let Problem { queries, candidates, width, biases, .. } = *problem;
        let (lost, normalisers) = (AtomicBool::new(false), &self.normalisers);
        pool.chunks(&mut self.shifts, 1, |query, shift, _| {
            if WINDOW.contains(&normalisers[query]) {
                return;
            }
            lost.store(true, Relaxed);
            let row = &queries[query * width..][..width];
            shift[0] = f32::NEG_INFINITY;
            for (candidate, other) in candidates.chunks_exact(width).enumerate() {
                let bias = biases.get(candidate).copied().unwrap_or(0.0);
                shift[0] = shift[0].max(similarity.score(row, other) + bias);
            }
        });
        lost.into_inner()
    }

    /// Leaves each query's scale, the weight over its normaliser; gives the loss.
    fn normalise(&mut self, problem: &Problem<'_>, cut: Cut) -> f64 {
        self.scales.resize(cut.queries, 0.0);
        let smoothing = f64::from(problem.smoothing);
        let mut loss = 0.0;
        for (query, scale) in self.scales.iter_mut().enumerate() {
            let normaliser = self.normalisers[query];
            let mut expected = self.label_scores[query];
            if smoothing > 0.0 {
                let all = self.score_sums.chunks_exact(cut.queries);
                let all: f64 = all.map(|sums| f64::from(sums[query])).sum();
                expected = (1.0 - smoothing) * expected + smoothing * all / cut.candidates as f64;
            }
            *scale = (f64::from(problem.weight) / normaliser) as f32;
            // Scores that are no numbers have none.
            let logarithm = if normaliser.is_normal() { ln(normaliser) } else { f64::NAN };
            loss += logarithm + f64::from(self.shifts[query]) - expected;
        }
        loss * f64::from(problem.weight)
    }
}

/// Writes the sum of all rows.
fn sum(rows: &[f32], width: usize, sum: &mut Vec<f32>) {
    sum.clear();
    sum.resize(width, 0.0);
    rows.chunks_exact(width).for_each(|row| row::add(sum, row));
}
