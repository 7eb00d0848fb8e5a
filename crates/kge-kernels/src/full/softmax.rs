//! Cross-entropy of the softmax over all candidates.
//!
//! A first pass leaves `exp(S - maximum of the tile)` and its sums; then the normaliser is known,
//! and a second pass scales each block and pulls with it. No exponential is taken twice unless the
//! blocks would not fit [`KEPT_BYTES`]; then they are computed again.

use std::sync::PoisonError;

use pulp::{Simd, WithSimd};

use super::{Block, Cut, FullStep, Gradients, Packs, Problem, Weights, tile_biases};
use crate::{
    Pool, Similarity,
    math::{exp, exp_negative, ln},
    pool::SharedMut,
    row::{LANES, tree},
    simd::{arch, vectorise},
    tile::{self, PANEL, ROWS, panel_len},
};

/// Exponentials kept from the first pass to the second.
pub(super) const KEPT_BYTES: usize = 256 << 20;

impl FullStep {
    /// The cross-entropy of the softmax over the candidates against the mean of a query's labels.
    /// Writes the loss's gradients and returns the loss.
    ///
    /// # Panics
    /// If a length does not fit or a label is no candidate.
    pub fn softmax(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        self.softmax_keeping(KEPT_BYTES, pool, similarity, problem, gradients)
    }

    pub(super) fn softmax_keeping(
        &mut self,
        kept_bytes: usize,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        let cut = Cut::of(problem, &gradients, kept_bytes);
        let Problem { labels, smoothing, weight, .. } = *problem;
        if cut.queries == 0 {
            gradients.candidates.fill(0.0);
            gradients.biases.fill(0.0);
            return 0.0;
        }
        self.prepare(pool, similarity, problem, cut);
        self.exponentials(pool, similarity, problem, cut);
        self.normalise(pool, similarity, problem, cut);

        let scales = std::mem::take(&mut self.maxima);
        let spread = smoothing * weight / cut.candidates as f32;
        let weigh = |block: Block<'_>| {
            let (first, count) = block.rows;
            if !cut.keep {
                // The first pass's exponentials, bit for bit.
                tile::scores(similarity, block.queries, block.transposed, block.scores);
                exponentiate(block.scores, count, block.candidates.1, |_, _, _| ());
            }
            let scales = &scales[block.tile * cut.queries + first..][..count];
            scale(block.scores, scales, spread);
        };
        let hit_weight = |query| -weight * (1.0 - smoothing) / labels.of(query).len() as f32;
        self.pull(
            pool,
            similarity,
            (problem, cut),
            !cut.keep,
            Weights { weigh: &weigh, hit_weight: &hit_weight },
            gradients,
        );
        self.maxima = scales;
        self.losses.iter().sum::<f64>() * f64::from(weight)
    }

    /// Leaves each tile's exponentials, maxima and sums.
    fn exponentials(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        cut: Cut,
    ) {
        let (m, width) = (cut.queries, cut.width);
        for sums in [&mut self.maxima, &mut self.sums, &mut self.score_sums] {
            sums.resize(cut.tiles() * m, 0.0);
        }
        let (packed, threads) = (&self.queries, &self.threads);
        let blocks = SharedMut::new(&mut self.blocks);
        let (maxima, sums) = (SharedMut::new(&mut self.maxima), SharedMut::new(&mut self.sums));
        let score_sums = SharedMut::new(&mut self.score_sums);
        pool.run(cut.tiles(), &|index, thread| {
            let (start, length) = cut.tile(index);
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Packs { transposed, .. } = &mut *packs;
            let biases = tile_biases(problem.biases, start, length);
            transposed.pack(&problem.candidates[start * width..][..length * width], width, biases);
            let (place, floats) = cut.place(index, thread);
            // SAFETY: a kept tile has its own place, and so has a thread where none is kept.
            let mut rest = unsafe { blocks.slice(place, floats) };
            // SAFETY: each tile has its own m elements of all three.
            let [maxima, sums, score_sums] =
                [&maxima, &sums, &score_sums].map(|all| unsafe { all.slice(index * m, m) });
            for ((first, count), packed) in cut.rows().zip(packed) {
                let (block, tail) = rest.split_at_mut(tile::block_len(count, length));
                rest = tail;
                tile::scores(similarity, &packed.grouped, transposed, block);
                if problem.smoothing > 0.0 {
                    for (query, sum) in score_sums[first..][..count].iter_mut().enumerate() {
                        *sum = tile::row(block, count, length, query).flatten().sum();
                    }
                }
                exponentiate(block, count, length, |query, maximum, sum| {
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
                let mut expected = Self::label_score(similarity, problem, i);
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

/// Replaces each query's scores by `exp(score - maximum)`; tells query, maximum and sum.
fn exponentiate(
    block: &mut [f32],
    queries: usize,
    candidates: usize,
    tell: impl FnMut(usize, f32, f32),
) {
    arch().dispatch(Exponentiate { block, queries, candidates, tell });
}

struct Exponentiate<'a, F> {
    block: &'a mut [f32],
    queries: usize,
    candidates: usize,
    tell: F,
}

impl<F: FnMut(usize, f32, f32)> WithSimd for Exponentiate<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let panels = self.block.len() / panel_len(self.queries);
        for query in 0..self.queries {
            let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
            let mut maximum = f32::NEG_INFINITY;
            for panel in 0..panels {
                let (vectors, rest) = S::as_simd_f32s(self.row(query, panel));
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
                let mut chunks = self.row(query, panel).chunks_exact_mut(LANES);
                for chunk in &mut chunks {
                    for i in 0..LANES {
                        chunk[i] = exp_negative(chunk[i] - maximum);
                        lanes[i] += chunk[i];
                    }
                }
                for (x, lane) in chunks.into_remainder().iter_mut().zip(&mut lanes) {
                    *x = exp_negative(*x - maximum);
                    *lane += *x;
                }
            }
            (self.tell)(query, maximum, tree(lanes));
        }
    }
}

impl<F> Exponentiate<'_, F> {
    #[inline(always)]
    fn row(&mut self, query: usize, panel: usize) -> &mut [f32] {
        let length = PANEL.min(self.candidates - panel * PANEL);
        &mut self.block[panel * panel_len(self.queries) + query * PANEL..][..length]
    }
}

/// Multiplies each query's row by its scale and takes `spread` off.
fn scale(block: &mut [f32], scales: &[f32], spread: f32) {
    vectorise(
        #[inline(always)]
        || {
            for panel in block.chunks_exact_mut(panel_len(scales.len())) {
                for (row, &scale) in panel.chunks_exact_mut(PANEL).zip(scales) {
                    for p in row {
                        *p = p.mul_add(scale, -spread);
                    }
                }
            }
        },
    );
}
