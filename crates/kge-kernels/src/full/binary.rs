//! Binary cross-entropy of each candidate by itself (Dettmers et al. 2018): one pass.

use super::{
    Gradients, Problem,
    blocks::{Block, Blocks, Hits},
    step::{Packs, Step, Weights, label_score},
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
        let Problem { labels, smoothing, weight, .. } = *problem;
        let (m, tiles) = (cut.queries, cut.tiles());
        let mut tile_losses = std::mem::take(&mut self.tile_losses);
        tile_losses.resize(tiles * m, 0.0);
        let shared = SharedMut::new(&mut tile_losses);
        let spread = smoothing / cut.candidates as f32;
        let weigh = |tile: usize, block: &Block<'_, B>, packs: &mut Packs<B>, hits: Hits<'_>| {
            // SAFETY: each tile has an element for each query.
            let losses = unsafe { shared.slice(tile * m + hits.first, block.shape().0) };
            B::derive(&mut packs.packs, block, (weight, spread), losses, hits);
        };
        let hit_weight = |_| -weight * (1.0 - smoothing);
        let how = Weights { weigh: &weigh, scores: true, hit_weight: &hit_weight };
        self.pull(pool, similarity, (problem, cut), how, gradients);
        let mut loss = 0.0;
        for query in 0..m {
            let all: f64 = (0..tiles).map(|tile| tile_losses[tile * m + query]).sum();
            let hits = label_score(similarity, problem, query)
                * (1.0 - f64::from(smoothing))
                * labels.of(query).len() as f64;
            loss += all - hits;
        }
        self.tile_losses = tile_losses;
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
