//! The full-softmax step: every candidate is scored, and both gradients come back.
//!
//! With `S` the scores of queries against candidates and `P = softmax(S) - target`, the gradients
//! are `sum_j P_ij dS_ij/dq_i` and `sum_i P_ij dS_ij/dc_j`. Candidates are walked in tiles. A first
//! pass leaves `exp(S - maximum of the tile)` and its sums; then the normaliser is known, and a
//! second pass scales each tile and takes both products while it is in cache. No exponential is
//! taken twice unless the tiles would not fit [`KEPT_BYTES`]; then they are computed again.
//!
//! Query gradients are summed by groups of tiles, and the groups in order: the number of threads
//! does not show.

use std::sync::Mutex;

use crate::{
    Pool, Similarity, TILE,
    math::{exp, ln},
    pool::SharedMut,
    row::{LANES, tree},
};

/// Exponentials kept from the first pass to the second.
pub const KEPT_BYTES: usize = 256 << 20;

/// Groups of tiles that share one sum of query gradients.
const GROUPS: usize = 16;

/// Rows of one block in the reductions between the passes.
const ROWS: usize = 64;

/// One step's problem: all of `[rows, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `[queries, width]`.
    pub queries: &'a [f32],
    /// `[candidates, width]`.
    pub candidates: &'a [f32],
    /// Floats in a row.
    pub width: usize,
    /// The candidate that each query should find.
    pub targets: &'a [u32],
    /// Every query's share of the loss; 1 / queries gives the mean.
    pub weight: f32,
}

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub struct SoftmaxStep {
    /// Exponentials, tile by tile `[queries, tile]`; one tile a thread when they are not kept.
    exponentials: Vec<f32>,
    /// `[tiles, queries]`: each tile's maximum, later each tile's scale.
    maxima: Vec<f32>,
    /// `[tiles, queries]`: sums of exponentials.
    sums: Vec<f32>,
    /// `[groups, queries, width]`.
    partial: Vec<f32>,
    /// `[queries]`.
    losses: Vec<f64>,
}

impl SoftmaxStep {
    /// Writes the loss's gradients into `d_queries` and `d_candidates` and returns the loss.
    ///
    /// # Panics
    /// If a length does not fit or a target is no candidate.
    pub fn run(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        d_queries: &mut [f32],
        d_candidates: &mut [f32],
    ) -> f64 {
        self.run_keeping(KEPT_BYTES, pool, similarity, problem, d_queries, d_candidates)
    }

    fn run_keeping(
        &mut self,
        kept_bytes: usize,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        d_queries: &mut [f32],
        d_candidates: &mut [f32],
    ) -> f64 {
        let Problem { queries, candidates, width, targets, weight } = *problem;
        let (m, n) = (targets.len(), candidates.len() / width);
        assert_eq!(queries.len(), m * width, "queries are [{m}, {width}]");
        assert_eq!(candidates.len(), n * width, "candidates are [{n}, {width}]");
        assert_eq!(d_queries.len(), queries.len(), "a gradient has its rows' shape");
        assert_eq!(d_candidates.len(), candidates.len(), "a gradient has its rows' shape");
        assert!(targets.iter().all(|&t| (t as usize) < n), "every target is one of {n} candidates");
        if m == 0 {
            d_candidates.fill(0.0);
            return 0.0;
        }
        let tiles = n.div_ceil(TILE);
        let keep = m * n * size_of::<f32>() <= kept_bytes;
        let tile_of = |tile: usize| {
            let start = tile * TILE;
            (start, TILE.min(n - start))
        };
        self.exponentials.resize(if keep { m * n } else { pool.threads() * m * TILE.min(n) }, 0.0);
        self.maxima.resize(tiles * m, 0.0);
        self.sums.resize(tiles * m, 0.0);
        self.losses.resize(m, 0.0);
        let place = |tile: usize, thread: usize| match keep {
            true => m * tile_of(tile).0,
            false => thread * m * TILE.min(n),
        };

        let exponentials = SharedMut::new(&mut self.exponentials);
        let (maxima, sums) = (SharedMut::new(&mut self.maxima), SharedMut::new(&mut self.sums));
        pool.run(tiles, &|tile, thread| {
            let (start, length) = tile_of(tile);
            // SAFETY: a kept tile has its own place, and so has a thread where none is kept.
            let block = unsafe { exponentials.slice(place(tile, thread), m * length) };
            // SAFETY: each tile has its own m elements of both.
            let (maxima, sums) = unsafe { (maxima.slice(tile * m, m), sums.slice(tile * m, m)) };
            let candidates = &candidates[start * width..][..length * width];
            similarity.scores(queries, candidates, width, block);
            exponentiate(block, length, maxima, sums);
        });

        // Maxima become scales: exp(maximum of the tile - log normaliser) times the weight.
        let (scales, sums) = (SharedMut::new(&mut self.maxima), &self.sums);
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
                    *at(t) = (f64::from(exp(*at(t) - maximum) * weight) / normaliser) as f32;
                }
                let target = targets[i] as usize;
                let score = similarity
                    .score(&queries[i * width..][..width], &candidates[target * width..][..width]);
                *loss = f64::from(maximum) + ln(normaliser) - f64::from(score);
            }
        });

        let groups = GROUPS.min(tiles);
        self.partial.clear();
        self.partial.resize(groups * m * width, 0.0);
        let by_target = sorted_targets(targets);
        let scales = &self.maxima;
        let scratch: Vec<_> = (0..pool.threads()).map(|_| Mutex::new(Vec::new())).collect();
        let (partial, d_all) = (SharedMut::new(&mut self.partial), SharedMut::new(d_candidates));
        pool.run(groups, &|group, thread| {
            // SAFETY: each group has its own sum.
            let d_queries = unsafe { partial.slice(group * m * width, m * width) };
            for tile in group * tiles / groups..(group + 1) * tiles / groups {
                let (start, length) = tile_of(tile);
                // SAFETY: as in the first pass.
                let block = unsafe { exponentials.slice(place(tile, thread), m * length) };
                let candidates = &candidates[start * width..][..length * width];
                if !keep {
                    similarity.scores(queries, candidates, width, block);
                    // Only the exponentials are wanted; they are the first pass's, bit for bit.
                    let mut scratch = scratch[thread].lock().expect("its thread alone holds it");
                    scratch.resize(2 * m, 0.0);
                    let (maxima, sums) = scratch.split_at_mut(m);
                    exponentiate(block, length, maxima, sums);
                }
                for (row, scale) in block.chunks_exact_mut(length).zip(&scales[tile * m..]) {
                    row.iter_mut().for_each(|p| *p *= scale);
                }
                let first = by_target.partition_point(|&(target, _)| (target as usize) < start);
                for &(target, query) in &by_target[first..] {
                    let Some(column) =
                        (target as usize - start < length).then(|| target as usize - start)
                    else {
                        break;
                    };
                    block[query as usize * length + column] -= weight;
                }
                similarity.add_query_gradient(block, queries, candidates, width, d_queries);
                // SAFETY: each tile's rows are its own.
                let d_tile = unsafe { d_all.slice(start * width, length * width) };
                d_tile.fill(0.0);
                similarity.add_candidate_gradient(block, queries, candidates, width, d_tile);
            }
        });

        let partial = &self.partial;
        pool.chunks(d_queries, ROWS * width, |index, chunk, _| {
            chunk.fill(0.0);
            for group in 0..groups {
                let sums = &partial[group * m * width + index * ROWS * width..];
                crate::row::add(chunk, &sums[..chunk.len()]);
            }
        });
        self.losses.iter().sum::<f64>() * f64::from(weight)
    }
}

/// Replaces each row of scores by `exp(score - maximum)`; leaves maxima and sums.
fn exponentiate(block: &mut [f32], length: usize, maxima: &mut [f32], sums: &mut [f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((row, maximum), sum) in block.chunks_exact_mut(length).zip(maxima).zip(sums) {
                let mut lanes = [f32::NEG_INFINITY; LANES];
                let chunks = row.chunks_exact(LANES);
                let rest = chunks.remainder();
                for chunk in chunks {
                    for i in 0..LANES {
                        lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
                    }
                }
                *maximum = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                let maximum = *maximum;
                let mut lanes = [0.0; LANES];
                let mut chunks = row.chunks_exact_mut(LANES);
                for chunk in &mut chunks {
                    for i in 0..LANES {
                        chunk[i] = exp(chunk[i] - maximum);
                        lanes[i] += chunk[i];
                    }
                }
                for (x, lane) in chunks.into_remainder().iter_mut().zip(&mut lanes) {
                    *x = exp(*x - maximum);
                    *lane += *x;
                }
                *sum = tree(lanes);
            }
        },
    );
}

/// `(target, query)`, sorted.
fn sorted_targets(targets: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted: Vec<_> =
        targets.iter().zip(0..).map(|(&target, query)| (target, query)).collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    fn matrix(rows: usize, width: usize, salt: usize) -> Vec<f32> {
        (0..rows * width)
            .map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0)
            .collect()
    }

    struct Outcome {
        loss: f64,
        d_queries: Vec<f32>,
        d_candidates: Vec<f32>,
    }

    fn step(problem: &Problem<'_>, similarity: Similarity, threads: usize, kept: usize) -> Outcome {
        let pool = Pool::new(NonZeroUsize::new(threads).unwrap());
        let mut d_queries = vec![f32::NAN; problem.queries.len()];
        let mut d_candidates = vec![f32::NAN; problem.candidates.len()];
        let loss = SoftmaxStep::default().run_keeping(
            kept,
            &pool,
            similarity,
            problem,
            &mut d_queries,
            &mut d_candidates,
        );
        Outcome { loss, d_queries, d_candidates }
    }

    /// Plain loops in f64, for the dot product.
    fn reference(problem: &Problem<'_>) -> (f64, Vec<f64>, Vec<f64>) {
        let Problem { queries, candidates, width, targets, weight } = *problem;
        let n = candidates.len() / width;
        let (mut loss, mut d_q, mut d_c) =
            (0.0, vec![0.0; queries.len()], vec![0.0; candidates.len()]);
        for (i, q) in queries.chunks(width).enumerate() {
            let score = |j: usize| -> f64 {
                (0..width).map(|k| f64::from(q[k]) * f64::from(candidates[j * width + k])).sum()
            };
            let z: f64 = (0..n).map(|j| score(j).exp()).sum();
            loss += f64::from(weight) * (z.ln() - score(targets[i] as usize));
            for j in 0..n {
                let hit = f64::from(u8::from(targets[i] as usize == j));
                let p = f64::from(weight) * (score(j).exp() / z - hit);
                for k in 0..width {
                    d_q[i * width + k] += p * f64::from(candidates[j * width + k]);
                    d_c[j * width + k] += p * f64::from(q[k]);
                }
            }
        }
        (loss, d_q, d_c)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_match_plain_loops(m in 0..20_usize, n in 1..1300_usize, width in 1..40_usize) {
            let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
            let targets: Vec<u32> = (0..m).map(|i| ((i * 31) % n) as u32).collect();
            let problem = Problem { queries: &queries, candidates: &candidates, width, targets: &targets, weight: 0.25 };
            let (loss, d_q, d_c) = reference(&problem);
            let found = step(&problem, Similarity::Dot, 2, KEPT_BYTES);
            prop_assert!((found.loss - loss).abs() < 1e-4 * (1.0 + loss.abs()), "{} {loss}", found.loss);
            for (f, e) in found.d_queries.iter().zip(&d_q).chain(found.d_candidates.iter().zip(&d_c)) {
                prop_assert!((f64::from(*f) - e).abs() < 1e-4, "{f} {e}");
            }
        }
    }

    #[test]
    fn threads_and_memory_do_not_change_a_byte() {
        let (m, n, width) = (37, 1531, 24);
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        let targets: Vec<u32> = (0..m).map(|i| (i * 41 % n) as u32).collect();
        let problem = Problem {
            queries: &queries,
            candidates: &candidates,
            width,
            targets: &targets,
            weight: 1.0 / 37.0,
        };
        for similarity in [Similarity::Dot, Similarity::L1] {
            let one = step(&problem, similarity, 1, KEPT_BYTES);
            for (threads, kept) in [(2, KEPT_BYTES), (3, KEPT_BYTES), (1, 0), (3, 0)] {
                let other = step(&problem, similarity, threads, kept);
                assert_eq!(one.loss, other.loss);
                assert_eq!(one.d_queries, other.d_queries);
                assert_eq!(one.d_candidates, other.d_candidates);
            }
        }
    }
}
