//! Binary cross-entropy of each candidate by itself (Dettmers et al. 2018): one pass.

use super::{
    Gradients, Problem,
    step::{Block, Step, Weights, label_score},
};
use crate::{
    Pool, Similarity,
    math::{exp_negative, ln},
    pool::SharedMut,
    row::{LANES, tree},
    simd::vectorise,
    tile::{Factors, PANEL, panel_len},
};

impl<F: Factors> Step<F> {
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
        let derive_block = |block: Block<'_, F>| {
            let (first, count) = block.rows;
            F::scores(similarity, block.queries, block.scored, block.weights);
            // SAFETY: each tile has an element for each query.
            let losses = unsafe { shared.slice(block.tile * m + first, count) };
            weigh(block.weights, block.candidates, spread, weight, losses);
        };
        let hit_weight = |_| -weight * (1.0 - smoothing);
        let how = Weights { weigh: &derive_block, scores: true, hit_weight: &hit_weight };
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
                    *loss += derive_row(&mut row[..length], spread, weight);
                }
            }
        },
    );
}

/// `softplus(s) = max(s, 0) + ln(1 + exp(-|s|))`; the logarithms of a panel are one logarithm of a
/// product, which stays below 2^96.
#[inline(always)]
fn derive_row(row: &mut [f32], spread: f32, weight: f32) -> f64 {
    let (mut products, mut sums) = ([1.0_f32; LANES], [0.0_f32; LANES]);
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for i in 0..LANES {
            derive(&mut chunk[i], &mut products[i], &mut sums[i], spread, weight);
        }
    }
    let rest = chunks.into_remainder().iter_mut().zip(&mut products).zip(&mut sums);
    for ((s, product), sum) in rest {
        derive(s, product, sum, spread, weight);
    }
    let mut product = 1.0;
    for lane in products {
        product *= f64::from(lane);
    }
    f64::from(tree(sums)) + ln(product)
}

#[inline(always)]
fn derive(s: &mut f32, product: &mut f32, sum: &mut f32, spread: f32, weight: f32) {
    let small = exp_negative(-s.abs());
    let one = 1.0 + small;
    let positive = if *s > 0.0 { *s } else { 0.0 };
    *product *= one;
    *sum += positive - spread * *s;
    let sigmoid = if *s > 0.0 { 1.0 } else { small } / one;
    *s = weight * (sigmoid - spread);
}
