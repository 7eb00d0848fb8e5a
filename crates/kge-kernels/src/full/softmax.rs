//! Cross-entropy of the softmax over all candidates.
//!
//! A first pass leaves `exp(S - maximum of the tile)` and its sums; then the normaliser is known,
//! and a second pass scales each block and pulls with it. No exponential is taken twice unless the
//! blocks would not fit [`KEPT_BYTES`]; then they are computed again.

use std::sync::PoisonError;

use super::{
    Gradients, Problem,
    blocks::{Block, Blocks, Hits, Totals},
    step::{Cut, Packs, Step, Weights, label_score, tile_biases},
};
use crate::{
    Pool, Similarity,
    math::{exp, ln},
    pool::SharedMut,
    tile::ROWS,
};

/// Exponentials kept from the first pass to the second.
pub(super) const KEPT_BYTES: usize = 256 << 20;

impl<B: Blocks> Step<B> {
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
        let keep = cut.elements::<B>() * size_of::<B::Kept>() <= kept_bytes;
        self.exponentials(pool, similarity, (problem, cut), keep);
        self.normalise(pool, similarity, problem, cut);

        let (scales, all_kept) = (std::mem::take(&mut self.maxima), std::mem::take(&mut self.kept));
        let spread = smoothing * weight / cut.candidates as f32;
        let weigh = |tile: usize, block: &Block<'_, B>, packs: &mut Packs<B>, hits: Hits<'_>| {
            let (count, length) = block.shape();
            let Packs { packs, kept: own, totals } = packs;
            let elements = B::kept_len(count, length);
            let kept = if keep {
                &all_kept[cut.place::<B>(tile, hits.first)..][..elements]
            } else {
                // The first pass's exponentials, bit for bit.
                own.resize(elements, B::Kept::default());
                totals.resize(2 * count, 0.0);
                let (maxima, sums) = totals.split_at_mut(count);
                let totals = Totals { maxima, sums, score_sums: &mut [] };
                B::exponentiate(packs, block, own, totals);
                &own[..]
            };
            let scales = &scales[tile * cut.queries + hits.first..][..count];
            B::scale(packs, block, kept, (scales, spread), hits);
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
        let (m, width, smooth) = (cut.queries, cut.width, problem.smoothing > 0.0);
        for sums in [&mut self.maxima, &mut self.sums, &mut self.score_sums] {
            sums.resize(cut.tiles() * m, 0.0);
        }
        self.kept.resize(if keep { cut.elements::<B>() } else { 0 }, B::Kept::default());
        let (packed, threads) = (&self.queries, &self.threads);
        let all_kept = SharedMut::new(&mut self.kept);
        let (maxima, sums) = (SharedMut::new(&mut self.maxima), SharedMut::new(&mut self.sums));
        let score_sums = SharedMut::new(&mut self.score_sums);
        pool.run(cut.tiles(), &|tile, thread| {
            let (start, length) = cut.tile(tile);
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Packs { packs, kept: own, .. } = &mut *packs;
            let rows = &problem.candidates[start * width..][..length * width];
            B::pack_scored(packs, rows, width, tile_biases(problem.biases, start, length));
            // SAFETY: each tile has its own m elements of all three.
            let [maxima, sums, score_sums] =
                [&maxima, &sums, &score_sums].map(|all| unsafe { all.slice(tile * m, m) });
            for ((first, count), packed) in cut.rows::<B>().zip(packed) {
                let elements = B::kept_len(count, length);
                let kept = if keep {
                    // SAFETY: each block has its own place.
                    unsafe { all_kept.slice(cut.place::<B>(tile, first), elements) }
                } else {
                    own.resize(elements, B::Kept::default());
                    &mut own[..]
                };
                let queries = &problem.queries[first * width..][..count * width];
                let block = Block { similarity, width, queries, packed, candidates: rows };
                let totals = Totals {
                    maxima: &mut maxima[first..][..count],
                    sums: &mut sums[first..][..count],
                    score_sums: &mut score_sums[first..][..if smooth { count } else { 0 }],
                };
                B::exponentiate(packs, &block, kept, totals);
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
