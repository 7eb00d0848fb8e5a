//! Cross-entropy of the softmax over all candidates.
//!
//! A first pass leaves `exp(S - maximum of the tile)` and its sums; then the normaliser is known,
//! and a second pass scales each block and pulls with it. No exponential is taken twice unless the
//! blocks would not fit [`KEPT_BYTES`]; then they are computed again.

use std::sync::PoisonError;

use pulp::{Simd, WithSimd};

use super::{
    Gradients, Problem,
    step::{Block, Cut, Packs, Step, Weights, label_score, tile_biases},
};
use crate::{
    Pool, Similarity,
    math::{exp, exp_negative, ln},
    pool::SharedMut,
    row::{LANES, tree},
    simd::{arch, vectorise},
    tile::{self, Factors, PANEL, ROWS, panel_len},
};

/// Exponentials kept from the first pass to the second.
pub(super) const KEPT_BYTES: usize = 256 << 20;

impl<F: Factors> Step<F> {
    pub(super) fn softmax(
        &mut self,
        kept_bytes: usize,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        mut gradients: Gradients<'_>,
    ) -> f64 {
        let Some(cut) = self.begin(pool, similarity, problem, &mut gradients) else { return 0.0 };
        let Problem { labels, smoothing, weight, .. } = *problem;
        let keep = cut.elements() * size_of::<F::Kept>() <= kept_bytes;
        self.exponentials(pool, similarity, (problem, cut), keep);
        self.normalise(pool, similarity, problem, cut);

        let (scales, all_kept) = (std::mem::take(&mut self.maxima), std::mem::take(&mut self.kept));
        let spread = smoothing * weight / cut.candidates as f32;
        let weigh = |block: Block<'_, F>| {
            let ((first, count), length) = (block.rows, block.weights.len());
            let kept = if keep {
                &all_kept[cut.place(block.tile, first)..][..length]
            } else {
                // The first pass's exponentials, bit for bit.
                F::scores(similarity, block.queries, block.scored, block.weights);
                block.kept.resize(length, F::Kept::default());
                let shape = (count, block.candidates);
                exponentiate::<F>(block.weights, block.kept, shape, |_, _, _| ());
                &block.kept[..]
            };
            let scales = &scales[block.tile * cut.queries + first..][..count];
            scale::<F>(kept, scales, spread, block.weights);
        };
        let hit_weight = |query| -weight * (1.0 - smoothing) / labels.of(query).len() as f32;
        let how = Weights { weigh: &weigh, scores: !keep, hit_weight: &hit_weight };
        self.pull(pool, similarity, (problem, cut), how, gradients);
        (self.maxima, self.kept) = (scales, all_kept);
        self.losses.iter().sum::<f64>() * f64::from(weight)
    }

    /// Leaves each tile's exponentials, if they are kept, its maxima and sums.
    fn exponentials(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        keep: bool,
    ) {
        let (m, width) = (cut.queries, cut.width);
        for sums in [&mut self.maxima, &mut self.sums, &mut self.score_sums] {
            sums.resize(cut.tiles() * m, 0.0);
        }
        self.kept.resize(if keep { cut.elements() } else { 0 }, F::Kept::default());
        let (packed, threads) = (&self.queries, &self.threads);
        let all_kept = SharedMut::new(&mut self.kept);
        let (maxima, sums) = (SharedMut::new(&mut self.maxima), SharedMut::new(&mut self.sums));
        let score_sums = SharedMut::new(&mut self.score_sums);
        pool.run(cut.tiles(), &|tile, thread| {
            let (start, length) = cut.tile(tile);
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Packs { scored, block, kept: own, .. } = &mut *packs;
            let biases = tile_biases(problem.biases, start, length);
            let rows = &problem.candidates[start * width..][..length * width];
            F::pack_candidates(scored, rows, width, biases);
            // SAFETY: each tile has its own m elements of all three.
            let [maxima, sums, score_sums] =
                [&maxima, &sums, &score_sums].map(|all| unsafe { all.slice(tile * m, m) });
            for ((first, count), packed) in cut.rows().zip(packed) {
                let elements = tile::block_len(count, length);
                block.resize(elements, 0.0);
                F::scores(similarity, &packed.scored, scored, block);
                if problem.smoothing > 0.0 {
                    for (query, sum) in score_sums[first..][..count].iter_mut().enumerate() {
                        *sum = tile::row(block, count, length, query).flatten().sum();
                    }
                }
                let kept = if keep {
                    // SAFETY: each block has its own place.
                    unsafe { all_kept.slice(cut.place(tile, first), elements) }
                } else {
                    own.resize(elements, F::Kept::default());
                    &mut own[..]
                };
                exponentiate::<F>(block, kept, (count, length), |query, maximum, sum| {
                    (maxima[first + query], sums[first + query]) = (maximum, sum);
                });
            }
        });
    }

    /// Turns maxima into scales, `exp(maximum of the tile - log normaliser)` times the weight, and
    /// leaves the losses.
    fn normalise(&mut self, pool: &Pool, similarity: Similarity, problem: &Problem<'_>, cut: Cut) {
        let (m, tiles) = (cut.queries, cut.tiles());
        let (scales, sums) = (SharedMut::new(&mut self.maxima), &self.sums);
        let (score_sums, smoothing) = (&self.score_sums, f64::from(problem.smoothing));
        pool.chunks(&mut self.losses, ROWS, |index, losses, _| {
            for (offset, loss) in losses.iter_mut().enumerate() {
                let i = index * ROWS + offset;
                // SAFETY: column i of the maxima belongs to query i alone.
                let at = |tile: usize| unsafe { &mut scales.slice(tile * m + i, 1)[0] };
                let maximum = (0..tiles).map(|t| *at(t)).fold(f32::NEG_INFINITY, f32::max);
                let normaliser: f64 = (0..tiles)
                    .map(|t| f64::from(sums[t * m + i]) * f64::from(exp(*at(t) - maximum)))
                    .sum();
                for t in 0..tiles {
                    let own = exp(*at(t) - maximum) * problem.weight;
                    *at(t) = (f64::from(own) / normaliser) as f32;
                }
                let mut expected = label_score(similarity, problem, i);
                if smoothing > 0.0 {
                    let all: f64 = (0..tiles).map(|t| f64::from(score_sums[t * m + i])).sum();
                    expected *= 1.0 - smoothing;
                    expected += smoothing * all / cut.candidates as f64;
                }
                *loss = f64::from(maximum) + ln(normaliser) - expected;
            }
        });
    }
}

/// Keeps each query's `exp(score - maximum)`; tells query, maximum and sum.
fn exponentiate<F: Factors>(
    scores: &[f32],
    kept: &mut [F::Kept],
    (queries, candidates): (usize, usize),
    tell: impl FnMut(usize, f32, f32),
) {
    arch().dispatch(Exponentiate::<F, _> { scores, kept, queries, candidates, tell });
}

struct Exponentiate<'a, F: Factors, T> {
    scores: &'a [f32],
    kept: &'a mut [F::Kept],
    queries: usize,
    candidates: usize,
    tell: T,
}

impl<F: Factors, T: FnMut(usize, f32, f32)> WithSimd for Exponentiate<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scores, kept, queries, candidates, mut tell } = self;
        let panels = scores.len() / panel_len(queries);
        for query in 0..queries {
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
            tell(query, maximum, tree(lanes));
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
