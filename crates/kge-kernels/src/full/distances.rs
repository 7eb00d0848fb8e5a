//! Cross-entropy of the softmax over all candidates, by their distances from the queries.
//!
//! A distance pulls by a weight that must be whole, labels and smoothing included. So the first
//! pass leaves exponentials only, as [`softmax`](super::softmax) does, and a second one makes the
//! weights of them and pulls both ways.

use super::{
    Gradients, Problem,
    blocks::{Blocks, Rows, Sum},
    panels::Panels,
    step::{Step, Walk, pack},
};
use crate::{
    Pool, Similarity,
    pool::SharedMut,
    simd::vectorise,
    tile::{self, PANEL, panel_len},
};

impl Step<Panels> {
    /// # Panics
    /// As [`FullStep::softmax`](super::FullStep::softmax).
    pub(super) fn softmax_of_distances(
        &mut self,
        kept_bytes: usize,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        mut gradients: Gradients<'_>,
    ) -> f64 {
        let Some(cut) = self.begin(pool, similarity, problem, &mut gradients) else { return 0.0 };
        let (width, spread) = (cut.width, problem.spread());
        let keep = cut.keeps::<Panels>(kept_bytes);
        let loss = self.exponentials(pool, similarity, (problem, cut), keep);
        let rows = Rows { floats: problem.queries, width, similarity };
        pack::<Panels>(pool, &mut self.queries, rows, Panels::pack_pulling_queries);

        let Self { queries, threads, hits, scales, shifts, partial, kept, .. } = self;
        let all_kept = SharedMut::new(kept);
        let d_candidates = SharedMut::new(gradients.candidates);
        let d_biases = SharedMut::new(gradients.biases);
        let walk = Walk { pool, similarity, problem, cut, queries, threads };
        walk.by_groups(
            partial,
            &|tile, packs| {
                if !keep || tile::pulls_by_distance(similarity) {
                    Panels::pack_candidates(&mut packs.packs, tile.rows, width, tile.biases);
                }
                Panels::pack_pulling_candidates(&mut packs.packs, tile.rows, width, similarity);
            },
            &|block, packs, d_queries| {
                let (count, length) = block.shape();
                let (own, place) = (block.first..block.first + count, cut.place(block));
                let start = cut.tile(block.tile).0;
                let weights = if keep {
                    // SAFETY: each block has its own place.
                    unsafe { all_kept.slice(place.start, place.len()) }
                } else {
                    packs.exponentiate(block, &shifts[own.clone()]);
                    &mut packs.kept[..]
                };
                scale(weights, &scales[own.clone()], spread);
                for hit in hits.of(block.tile, own) {
                    let (query, column) = hit.pair();
                    let weight = &mut weights[tile::place(count, query - block.first, column)];
                    *weight += problem.hit_weight(query);
                }
                // SAFETY: each tile's candidates are its own.
                let floats = unsafe { d_candidates.slice(start * width, length * width) };
                let d_candidates = Sum { floats, begins: block.first == 0 };
                Panels::prepare(&mut packs.packs, block, weights);
                Panels::pull_queries(&packs.packs, block, weights, d_queries);
                Panels::pull_candidates(&mut packs.packs, block, weights, d_candidates);
                if !problem.biases.is_empty() {
                    // SAFETY: as above.
                    let floats = unsafe { d_biases.slice(start, length) };
                    let sum = Sum { floats, begins: block.first == 0 };
                    tile::add_sums(weights, count, sum.begun());
                }
            },
        );
        walk.total(partial, gradients.queries, &|_, _| {});
        loss
    }
}

/// Makes weights of each query's exponentials: times its scale, less `spread`.
fn scale(weights: &mut [f32], scales: &[f32], spread: f32) {
    let panel_len = panel_len(scales.len());
    vectorise(
        #[inline(always)]
        || {
            for panel in weights.chunks_exact_mut(panel_len) {
                for (row, &scale) in panel.chunks_exact_mut(PANEL).zip(scales) {
                    for weight in row {
                        *weight = weight.mul_add(scale, -spread);
                    }
                }
            }
        },
    );
}
