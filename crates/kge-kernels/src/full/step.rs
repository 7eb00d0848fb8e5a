//! What both losses share: how a step is cut, and the pass that pulls.
//!
//! With `S` the scores of queries against candidates and `W` the derivatives of the loss by them,
//! the gradients are `sum_j W_ij dS_ij/dq_i` and `sum_i W_ij dS_ij/dc_j`. Candidates are walked in
//! tiles, a tile in blocks of queries that stay in cache ([`tile`]). Query gradients are summed by
//! groups of tiles, and the groups in order: the number of threads does not show.

use std::sync::{Mutex, PoisonError};

use super::{Gradients, Labels, Problem};
use crate::{
    Pool, Similarity,
    pool::SharedMut,
    tile::{self, Factors, ROWS, TILE},
};

/// Groups of tiles that share one sum of query gradients.
const GROUPS: usize = 16;

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Step<F: Factors> {
    /// Exponentials of each tile, where they are kept.
    pub(super) kept: Vec<F::Kept>,
    /// `[tiles, queries]`: each tile's maximum, later each tile's scale.
    pub(super) maxima: Vec<f32>,
    /// `[tiles, queries]`: sums over a tile.
    pub(super) sums: Vec<f32>,
    /// `[tiles, queries]`: another sum over a tile, where smoothing needs one.
    pub(super) score_sums: Vec<f32>,
    /// `[tiles, queries]`: each tile's part of a loss.
    pub(super) tile_losses: Vec<f64>,
    /// `[queries]`.
    pub(super) losses: Vec<f64>,
    /// `[groups, queries, width]`.
    partial: Vec<f32>,
    /// The queries, [`Factors::ROWS`] an element.
    pub(super) queries: Vec<PackedQueries<F>>,
    /// By tile, then by query.
    hits: Vec<Hit>,
    pub(super) threads: Vec<Mutex<Packs<F>>>,
}

/// A block's queries, as scores and as pulls take them.
#[derive(Debug, Default)]
pub(super) struct PackedQueries<F: Factors> {
    pub(super) scored: F::Queries,
    pulling: F::Others,
}

/// One thread's tile and block.
#[derive(Debug, Default)]
pub(super) struct Packs<F: Factors> {
    pub(super) scored: F::Candidates,
    pulling: F::Others,
    pub(super) block: Vec<f32>,
    /// The block's exponentials, where not all are kept.
    pub(super) kept: Vec<F::Kept>,
    scratch: F::Scratch,
}

/// A label of a query in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    tile: u32,
    query: u32,
    column: u32,
}

/// How candidates are cut into tiles and queries into blocks.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) queries: usize,
    pub(super) candidates: usize,
    pub(super) width: usize,
    /// Queries of a block.
    block: usize,
}

impl Cut {
    fn of<F: Factors>(problem: &Problem<'_>, gradients: &Gradients<'_>) -> Self {
        let Problem { queries, candidates, width, biases, labels, .. } = *problem;
        let (m, n) = (labels.queries(), candidates.len() / width);
        assert_eq!(queries.len(), m * width, "queries are [{m}, {width}]");
        assert_eq!(candidates.len(), n * width, "candidates are [n, {width}]");
        assert!(biases.is_empty() || biases.len() == n, "a bias a candidate, or none");
        for (rows, d_rows) in [
            (queries, &gradients.queries),
            (candidates, &gradients.candidates),
            (biases, &gradients.biases),
        ] {
            assert_eq!(rows.len(), d_rows.len(), "a gradient has its rows' shape");
        }
        assert!(labels.ids.iter().all(|&id| (id as usize) < n), "a label is one of {n} candidates");
        Self { queries: m, candidates: n, width, block: F::ROWS }
    }

    pub(super) fn tiles(&self) -> usize {
        self.candidates.div_ceil(TILE)
    }

    /// The first candidate of a tile, and how many it has.
    pub(super) fn tile(&self, tile: usize) -> (usize, usize) {
        (tile * TILE, TILE.min(self.candidates - tile * TILE))
    }

    /// The blocks of queries: first query, number of queries.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { queries, block, .. } = *self;
        (0..queries).step_by(block).map(move |first| (first, block.min(queries - first)))
    }

    /// Elements of all blocks.
    pub(super) fn elements(&self) -> usize {
        tile::block_len(self.queries, self.candidates)
    }

    /// Where the block of a tile that starts with a query lies among all blocks.
    pub(super) fn place(&self, tile: usize, first: usize) -> usize {
        // Only a tile's last block of queries, and only the last tile, is filled up.
        tile::block_len(self.queries, tile * TILE) + tile::block_len(first, self.tile(tile).1)
    }
}

/// How the weights of a block come about.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, F: Factors> {
    /// Makes those of a block.
    pub(super) weigh: &'a (dyn Fn(Block<'_, F>) + Sync),
    /// Whether that takes scores.
    pub(super) scores: bool,
    /// What a query's labels get on top.
    pub(super) hit_weight: &'a (dyn Fn(usize) -> f32 + Sync),
}

/// One block while its weights are made.
pub(super) struct Block<'a, F: Factors> {
    pub(super) tile: usize,
    /// The number of candidates.
    pub(super) candidates: usize,
    /// The first query and the number of queries.
    pub(super) rows: (usize, usize),
    pub(super) queries: &'a F::Queries,
    /// The tile's candidates, if scores are taken.
    pub(super) scored: &'a F::Candidates,
    pub(super) weights: &'a mut [f32],
    pub(super) kept: &'a mut Vec<F::Kept>,
}

impl<F: Factors> Step<F> {
    /// Checks the shapes and packs the queries. Without any, the gradients are 0 and there is
    /// nothing to cut.
    pub(super) fn begin(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: &mut Gradients<'_>,
    ) -> Option<Cut> {
        let cut = Cut::of::<F>(problem, gradients);
        if cut.queries == 0 {
            gradients.candidates.fill(0.0);
            gradients.biases.fill(0.0);
            return None;
        }
        self.losses.resize(cut.queries, 0.0);
        self.threads.resize_with(pool.threads(), Mutex::default);
        self.queries.resize_with(cut.queries.div_ceil(F::ROWS), PackedQueries::default);
        pool.chunks(&mut self.queries, 1, |block, packed, _| {
            let rows = &problem.queries[block * F::ROWS * cut.width..];
            let rows = &rows[..rows.len().min(F::ROWS * cut.width)];
            F::pack_queries(&mut packed[0].scored, rows, cut.width, similarity);
            F::pack_others(&mut packed[0].pulling, rows, cut.width, similarity);
        });
        Some(cut)
    }

    /// Sorts the labels by tile.
    fn sort_labels(&mut self, labels: Labels<'_>) {
        self.hits.clear();
        for query in 0..labels.queries() {
            self.hits.extend(labels.of(query).iter().map(|&id| Hit {
                tile: id / TILE as u32,
                query: query as u32,
                column: id % TILE as u32,
            }));
        }
        self.hits.sort_unstable();
    }

    /// The pass that makes each block's weights and takes both gradients of it while it is in
    /// cache. The weight of a query's labels is added at its labels before.
    pub(super) fn pull(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        how: Weights<'_, F>,
        gradients: Gradients<'_>,
    ) {
        let Problem { queries, candidates, width, biases, labels, .. } = *problem;
        let m = cut.queries;
        self.sort_labels(labels);
        let groups = GROUPS.min(cut.tiles());
        self.partial.resize(groups * m * width, 0.0);
        let (packed, hits, threads) = (&self.queries, &self.hits, &self.threads);
        let partial = SharedMut::new(&mut self.partial);
        let d_all = SharedMut::new(gradients.candidates);
        let d_biases = SharedMut::new(gradients.biases);
        pool.run(groups, &|group, thread| {
            // SAFETY: each group has its own sum.
            let d_queries = unsafe { partial.slice(group * m * width, m * width) };
            d_queries.fill(0.0);
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Packs { scored, pulling, block, kept, scratch } = &mut *packs;
            for tile in group * cut.tiles() / groups..(group + 1) * cut.tiles() / groups {
                let (start, length) = cut.tile(tile);
                let rows = &candidates[start * width..][..length * width];
                if how.scores || tile::pulls_by_distance(similarity) {
                    F::pack_candidates(scored, rows, width, tile_biases(biases, start, length));
                }
                F::pack_others(pulling, rows, width, similarity);
                // SAFETY: each tile's rows are its own.
                let d_tile = unsafe { d_all.slice(start * width, length * width) };
                d_tile.fill(0.0);
                let d_tile_biases = match biases.is_empty() {
                    true => &mut [],
                    // SAFETY: as above.
                    false => unsafe { d_biases.slice(start, length) },
                };
                d_tile_biases.fill(0.0);
                let mut hits = &hits[hits.partition_point(|hit| (hit.tile as usize) < tile)..];
                for ((first, count), packed) in cut.rows().zip(packed) {
                    block.resize(tile::block_len(count, length), 0.0);
                    (how.weigh)(Block {
                        tile,
                        candidates: length,
                        rows: (first, count),
                        queries: &packed.scored,
                        scored,
                        weights: block,
                        kept,
                    });
                    while let Some((hit, later)) = hits.split_first()
                        && hit.tile as usize == tile
                        && (hit.query as usize) < first + count
                    {
                        let query = hit.query as usize;
                        block[tile::place(count, query - first, hit.column as usize)] +=
                            (how.hit_weight)(query);
                        hits = later;
                    }
                    if !biases.is_empty() {
                        tile::add_sums(block, count, d_tile_biases);
                    }
                    let packs = (&packed.scored, &*scored);
                    F::pulling(similarity, block, (count, length), packs, scratch);
                    let span = first * width..(first + count) * width;
                    let (queries, d_queries) = (&queries[span.clone()], &mut d_queries[span]);
                    let weights = (&block[..], &*scratch);
                    F::pull_queries(similarity, weights, queries, pulling, d_queries);
                    F::pull_candidates(similarity, weights, rows, &packed.pulling, d_tile);
                }
            }
        });

        let partial = &self.partial;
        pool.chunks(gradients.queries, ROWS * width, |index, chunk, _| {
            let sums = |group: usize| &partial[group * m * width + index * ROWS * width..];
            chunk.copy_from_slice(&sums(0)[..chunk.len()]);
            for group in 1..groups {
                crate::row::add(chunk, &sums(group)[..chunk.len()]);
            }
        });
    }
}

/// The mean score of a query's labels; 0 if it has none.
pub(super) fn label_score(similarity: Similarity, problem: &Problem<'_>, query: usize) -> f64 {
    let Problem { queries, candidates, width, biases, labels, .. } = *problem;
    let (query_row, labels) = (&queries[query * width..][..width], labels.of(query));
    let score = |&id: &u32| {
        let row = &candidates[id as usize * width..][..width];
        let bias = biases.get(id as usize).copied().unwrap_or(0.0);
        f64::from(similarity.score(query_row, row)) + f64::from(bias)
    };
    labels.iter().map(score).sum::<f64>() / (labels.len().max(1) as f64)
}

/// The biases of a tile's candidates, if there are any.
pub(super) fn tile_biases(biases: &[f32], start: usize, length: usize) -> &[f32] {
    biases.get(start..start + length).unwrap_or_default()
}
