//! Binary cross-entropy of each candidate by itself (Dettmers et al. 2018): one pass.

use super::{
    Gradients, Problem,
    blocks::{Blocks, Derive, Rows, Sum},
    step::{Step, Walk, label_score, pack},
};
use crate::{Pool, Similarity, math::exp_negative, pool::SharedMut};

impl<B: Blocks> Step<B> {
    pub(super) fn binary(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        mut gradients: Gradients<'_>,
    ) -> f64 {
        let Some(cut) = self.begin(pool, similarity, problem, &mut gradients) else { return 0.0 };
        let Problem { labels, smoothing, weight, width, .. } = *problem;
        let rows = Rows { floats: problem.queries, width, similarity };
        pack::<B>(pool, &mut self.queries, rows, B::pack_pulling_queries);
        let (m, tiles) = (cut.queries, cut.tiles());
        self.tile_losses.resize(tiles * m, 0.0);
        self.scales.clear();
        self.scales.resize(m, 1.0);
        let Self { queries, threads, hits, partial, tile_losses, scales, .. } = self;
        let (losses, d_candidates, d_biases) = (
            SharedMut::new(tile_losses),
            SharedMut::new(gradients.candidates),
            SharedMut::new(gradients.biases),
        );
        let spread = smoothing / cut.candidates as f32;
        let how = Derive { weight, spread, hits, hit_weight: -weight * (1.0 - smoothing) };
        let walk = Walk { pool, similarity, problem, cut, queries, threads };
        walk.by_groups(
            partial,
            &|tile, packs| {
                B::pack_candidates(&mut packs.packs, tile.rows, width, tile.biases);
                B::pack_pulling_candidates(&mut packs.packs, tile.rows, width, similarity);
            },
            &|block, packs, d_queries| {
                let (count, length) = block.shape();
                let start = cut.tile(block.tile).0;
                // SAFETY: each tile has an element for each query.
                let losses = unsafe { losses.slice(block.tile * m + block.first, count) };
                packs.kept.resize(B::kept_len(count, length), B::Kept::default());
                B::derive(&mut packs.packs, block, &how, &mut packs.kept, losses, d_queries);
                let begins = block.first == 0;
                // SAFETY: each tile's rows are its own.
                let floats = unsafe { d_candidates.slice(start * width, length * width) };
                let sum = Sum { floats, begins };
                B::pull_candidates(&mut packs.packs, block, &packs.kept, sum);
                if !problem.biases.is_empty() {
                    // SAFETY: as above.
                    let floats = unsafe { d_biases.slice(start, length) };
                    let sum = Sum { floats, begins };
                    B::add_sums(block, &packs.kept, &scales[..count], sum.begun());
                }
            },
        );
        walk.total(partial, gradients.queries, &|_, _| {});
        let mut loss = 0.0;
        for query in 0..m {
            let all: f64 = (0..tiles).map(|tile| tile_losses[tile * m + query]).sum();
            let hits = label_score(similarity, problem, query)
                * (1.0 - f64::from(smoothing))
                * labels.of(query).len() as f64;
            loss += all - hits;
        }
        loss * f64::from(weight)
    }
}

/// Scores whose products of [`derive`] one logarithm takes: each is at most 2.
pub(super) const FACTORS: usize = 96;

/// Replaces a score by `weight (sigmoid(s) - spread)`. `softplus(s) - spread s` is
/// `max(s, 0) + ln(1 + exp(-|s|)) - spread s`; what is in the logarithm goes into the product, the
/// rest into the sum.
#[inline(always)]
pub(super) fn derive(s: &mut f32, product: &mut f32, sum: &mut f32, spread: f32, weight: f32) {
    let small = exp_negative(-s.abs());
    let one = 1.0 + small;
    let positive = if *s > 0.0 { *s } else { 0.0 };
    *product *= one;
    *sum += positive - spread * *s;
    let sigmoid = if *s > 0.0 { 1.0 } else { small } / one;
    *s = weight * (sigmoid - spread);
}
