//! What both losses share: how a step is cut, and the pass that pulls.
//!
//! With `S` the scores of queries against candidates and `W` the derivatives of the loss by them,
//! the gradients are `sum_j W_ij dS_ij/dq_i` and `sum_i W_ij dS_ij/dc_j`. Candidates are walked in
//! tiles, a tile in blocks of queries that stay in cache ([`tile`]). Query gradients are summed by
//! groups of tiles, and the groups in order: the number of threads does not show.

use std::sync::{Mutex, PoisonError};

use super::{
    Gradients, Labels, Problem,
    blocks::{Block, Blocks, Hit, Hits, Sum},
};
use crate::{
    Pool, Similarity,
    pool::SharedMut,
    tile::{self, TILE},
};

/// Groups of tiles that share one sum of query gradients, at most; and tiles of a group, at least
/// but for the last tiles.
const GROUPS: usize = 16;
const TILES: usize = 4;

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Step<B: Blocks> {
    /// Exponentials of each tile, where they are kept.
    pub(super) kept: Vec<B::Kept>,
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
    /// A sum of query gradients a group.
    partial: Vec<f32>,
    /// The queries, [`Blocks::ROWS`] an element.
    pub(super) queries: Vec<B::Queries>,
    /// By tile, then by query.
    hits: Vec<Hit>,
    pub(super) threads: Vec<Mutex<Packs<B>>>,
}

/// One thread's tile and block.
#[derive(Debug, Default)]
pub(super) struct Packs<B: Blocks> {
    pub(super) packs: B::Packs,
    /// The block's exponentials and totals, where not all are kept.
    pub(super) kept: Vec<B::Kept>,
    pub(super) totals: Vec<f32>,
}

/// How candidates are cut into tiles and queries into blocks.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) queries: usize,
    pub(super) candidates: usize,
    pub(super) width: usize,
}

impl Cut {
    fn of(problem: &Problem<'_>, gradients: &Gradients<'_>) -> Self {
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
        assert!(m == 0 || n > 0, "candidates for {m} queries");
        assert!(labels.ids.iter().all(|&id| (id as usize) < n), "a label is one of {n} candidates");
        Self { queries: m, candidates: n, width }
    }

    pub(super) fn tiles(&self) -> usize {
        self.candidates.div_ceil(TILE)
    }

    /// The first candidate of a tile, and how many it has.
    pub(super) fn tile(&self, tile: usize) -> (usize, usize) {
        (tile * TILE, TILE.min(self.candidates - tile * TILE))
    }

    /// The blocks of queries: first query, number of queries.
    pub(super) fn rows<B: Blocks>(&self) -> impl Iterator<Item = (usize, usize)> + use<B> {
        let queries = self.queries;
        (0..queries).step_by(B::ROWS).map(move |first| (first, B::ROWS.min(queries - first)))
    }

    /// Exponentials of all blocks.
    pub(super) fn elements<B: Blocks>(&self) -> usize {
        let last = self.tiles() - 1;
        B::kept_len(self.queries, TILE) * last + B::kept_len(self.queries, self.tile(last).1)
    }

    /// Where those of a tile's block that starts with a query lie among all.
    pub(super) fn place<B: Blocks>(&self, tile: usize, first: usize) -> usize {
        // Only a tile's last block of queries, and only the last tile, is filled up.
        B::kept_len(self.queries, TILE) * tile + B::kept_len(first, self.tile(tile).1)
    }
}

/// How the weights of a block come about.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, B: Blocks> {
    /// Makes those of a tile's block.
    pub(super) weigh: &'a Weigh<'a, B>,
    /// Whether that takes scores.
    pub(super) scores: bool,
    /// What a query's labels get on top.
    pub(super) hit_weight: &'a (dyn Fn(usize) -> f32 + Sync),
}

type Weigh<'a, B> = dyn Fn(usize, &Block<'_, B>, &mut Packs<B>, Hits<'_>) + Sync + 'a;

impl<B: Blocks> Step<B> {
    /// Checks the shapes and packs the queries. Without any, the gradients are 0 and there is
    /// nothing to cut.
    pub(super) fn begin(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: &mut Gradients<'_>,
    ) -> Option<Cut> {
        let cut = Cut::of(problem, gradients);
        if cut.queries == 0 {
            gradients.candidates.fill(0.0);
            gradients.biases.fill(0.0);
            return None;
        }
        self.losses.resize(cut.queries, 0.0);
        self.threads.resize_with(pool.threads(), Mutex::default);
        self.queries.resize_with(cut.queries.div_ceil(B::ROWS), B::Queries::default);
        pool.chunks(&mut self.queries, 1, |block, packed, _| {
            let rows = &problem.queries[block * B::ROWS * cut.width..];
            let rows = &rows[..rows.len().min(B::ROWS * cut.width)];
            B::pack_queries(&mut packed[0], rows, cut.width, similarity);
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
    /// cache.
    pub(super) fn pull(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        how: Weights<'_, B>,
        gradients: Gradients<'_>,
    ) {
        let Problem { queries, candidates, width, biases, labels, .. } = *problem;
        self.sort_labels(labels);
        let groups = GROUPS.min(cut.tiles().div_ceil(TILES));
        let sum_len = B::sum_len(cut.queries, width);
        self.partial.resize(groups * sum_len, 0.0);
        let (packed, hits, threads) = (&self.queries, &self.hits, &self.threads);
        let partial = SharedMut::new(&mut self.partial);
        let d_all = SharedMut::new(gradients.candidates);
        let d_biases = SharedMut::new(gradients.biases);
        pool.run(groups, &|group, thread| {
            // SAFETY: each group has its own sum.
            let d_queries = unsafe { partial.slice(group * sum_len, sum_len) };
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let tiles = group * cut.tiles() / groups..(group + 1) * cut.tiles() / groups;
            for tile in tiles.clone() {
                let (start, length) = cut.tile(tile);
                let rows = &candidates[start * width..][..length * width];
                if how.scores || tile::pulls_by_distance(similarity) {
                    let biases = tile_biases(biases, start, length);
                    B::pack_scored(&mut packs.packs, rows, width, biases);
                }
                B::pack_pulling(&mut packs.packs, rows, width, similarity);
                // SAFETY: each tile's rows are its own.
                let d_tile = unsafe { d_all.slice(start * width, length * width) };
                let d_tile_biases = match biases.is_empty() {
                    true => &mut [],
                    // SAFETY: as above.
                    false => unsafe { d_biases.slice(start, length) },
                };
                d_tile_biases.fill(0.0);
                let of_tile = |hit: &Hit| (hit.tile as usize).cmp(&tile);
                let mut hits = &hits[hits.partition_point(|hit| of_tile(hit).is_lt())..];
                hits = &hits[..hits.partition_point(|hit| of_tile(hit).is_le())];
                for ((first, count), packed) in cut.rows::<B>().zip(packed) {
                    let own = hits.partition_point(|hit| (hit.query as usize) < first + count);
                    let (own, later) = hits.split_at(own);
                    hits = later;
                    let queries = &queries[first * width..][..count * width];
                    let block = Block { similarity, width, queries, packed, candidates: rows };
                    let weight = how.hit_weight;
                    let hits = Hits { hits: own, weight, first, d_biases: d_tile_biases };
                    (how.weigh)(tile, &block, &mut packs, hits);
                    let d_queries = &mut d_queries[B::sum_len(first, width)..];
                    let d_queries = &mut d_queries[..B::sum_len(count, width)];
                    B::pull(
                        &mut packs.packs,
                        &block,
                        Sum { floats: d_queries, begins: tile == tiles.start },
                        Sum { floats: d_tile, begins: first == 0 },
                    );
                }
            }
        });

        let partial = &self.partial;
        pool.chunks(gradients.queries, B::ROWS * width, |index, chunk, _| {
            let length = B::sum_len(chunk.len() / width, width);
            let at = B::sum_len(index * B::ROWS, width);
            let sums = partial.chunks_exact(sum_len).map(|sum| &sum[at..][..length]);
            B::total(sums, width, chunk);
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
