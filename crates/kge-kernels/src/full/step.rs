//! What both losses share: how a step is cut, and the walks over its blocks.
//!
//! With `S` the scores of queries against candidates and `W` the derivatives of the loss by them,
//! the gradients are `sum_j W_ij dS_ij/dq_i` and `sum_i W_ij dS_ij/dc_j`. Candidates are walked in
//! tiles, a tile in blocks of queries that stay in cache ([`tile`](crate::tile)). Query gradients
//! are summed by groups of tiles, and the groups in order: the number of threads does not show.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::{
    Gradients, Problem,
    blocks::{Block, Blocks, Rows, Sum, Totals},
    hits::Hits,
};
use crate::{Pool, Similarity, aligned::Floats, pool::SharedMut, tile::TILE};

/// Groups of tiles that share one sum of query gradients, at most; and candidates of a group, at
/// least but for the last ones.
const GROUPS: usize = 16;
const GROUP: usize = 4 * TILE;

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Step<B: Blocks> {
    /// Exponentials of each tile, where they are kept.
    pub(super) kept: Vec<B::Kept>,
    /// `[queries]`: what is taken from a query's scores before they are exponentiated.
    pub(super) shifts: Vec<f32>,
    /// `[queries]`: what makes weights of a query's exponentials.
    pub(super) scales: Vec<f32>,
    /// `[tiles, queries]`: sums over a tile.
    pub(super) sums: Vec<f32>,
    /// `[tiles, queries]`: another sum over a tile, where smoothing needs one.
    pub(super) score_sums: Vec<f32>,
    /// `[tiles, width]`: sums of a tile's candidates, where smoothing needs them.
    pub(super) row_sums: Vec<f32>,
    /// `[width]`: the sum of all candidates, and that of all queries.
    pub(super) candidate_sum: Vec<f32>,
    pub(super) query_sum: Vec<f32>,
    /// `[tiles, queries]`: each tile's part of a loss.
    pub(super) tile_losses: Vec<f64>,
    /// `[queries]`: the mean score of each query's labels.
    pub(super) label_scores: Vec<f64>,
    /// `[queries]`: sums over all tiles.
    pub(super) normalisers: Vec<f64>,
    /// `[queries, width]`: the queries times their scales.
    pub(super) scaled: Vec<f32>,
    /// A sum of query gradients a group.
    pub(super) partial: Floats,
    /// The queries, [`Blocks::ROWS`] an element.
    pub(super) queries: Vec<B::Queries>,
    pub(super) hits: Hits,
    pub(super) threads: Vec<Mutex<Packs<B>>>,
}

/// One thread's tile, and its block's weights where not all are kept.
#[derive(Debug, Default)]
pub(super) struct Packs<B: Blocks> {
    pub(super) packs: B::Packs,
    pub(super) kept: Vec<B::Kept>,
    pub(super) sums: Vec<f32>,
}

impl<B: Blocks> Packs<B> {
    /// Leaves the first pass's exponentials of a block, bit for bit, as this thread's own.
    pub(super) fn exponentiate(&mut self, block: &Block<'_, B>, shifts: &[f32]) {
        let (queries, candidates) = block.shape();
        let Self { packs, kept, sums } = self;
        kept.resize(B::kept_len(queries, candidates), B::Kept::default());
        sums.resize(queries, 0.0);
        let totals = Totals { sums, score_sums: &mut [] };
        B::exponentiate(packs, block, shifts, kept, totals, None);
    }
}

/// How candidates are cut into tiles and queries into blocks.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) queries: usize,
    pub(super) candidates: usize,
    pub(super) width: usize,
    /// Candidates of a tile, but for the last.
    tile: usize,
}

impl Cut {
    fn of<B: Blocks>(problem: &Problem<'_>, gradients: &Gradients<'_>) -> Self {
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
        Self { queries: m, candidates: n, width, tile: B::tile(width) }
    }

    pub(super) fn tiles(self) -> usize {
        self.candidates.div_ceil(self.tile)
    }

    /// The first candidate of a tile, and how many it has.
    pub(super) fn tile(self, tile: usize) -> (usize, usize) {
        (tile * self.tile, self.tile.min(self.candidates - tile * self.tile))
    }

    fn groups(self) -> usize {
        GROUPS.min(self.candidates.div_ceil(GROUP))
    }

    /// The tiles of a group.
    fn group(self, group: usize) -> Range<usize> {
        let first = |group: usize| group * self.tiles() / self.groups();
        first(group)..first(group + 1)
    }

    /// Weights of all blocks.
    pub(super) fn elements<B: Blocks>(self) -> usize {
        let last = self.tiles() - 1;
        B::kept_len(self.queries, self.tile) * last + B::kept_len(self.queries, self.tile(last).1)
    }

    /// Whether the weights of all blocks take no more than so many bytes.
    pub(super) fn keeps<B: Blocks>(self, bytes: usize) -> bool {
        self.elements::<B>() * size_of::<B::Kept>() <= bytes
    }

    /// Where those of a block lie among all.
    pub(super) fn place<B: Blocks>(self, block: &Block<'_, B>) -> Range<usize> {
        let (queries, candidates) = block.shape();
        // Only a tile's last block of queries, and only the last tile, is filled up.
        let first = B::kept_len(self.queries, self.tile) * block.tile
            + B::kept_len(block.first, candidates);
        first..first + B::kept_len(queries, candidates)
    }
}

impl<B: Blocks> Step<B> {
    /// Checks the shapes and packs the queries to be scored. Without any, the gradients are 0 and
    /// there is nothing to cut.
    pub(super) fn begin(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: &mut Gradients<'_>,
    ) -> Option<Cut> {
        let cut = Cut::of::<B>(problem, gradients);
        if cut.queries == 0 {
            gradients.candidates.fill(0.0);
            gradients.biases.fill(0.0);
            return None;
        }
        self.threads.resize_with(pool.threads(), Mutex::default);
        self.queries.resize_with(cut.queries.div_ceil(B::ROWS), B::Queries::default);
        let rows = Rows { floats: problem.queries, width: cut.width, similarity };
        pack::<B>(pool, &mut self.queries, rows, B::pack_queries);
        self.hits.sort(problem.labels, cut.tile);
        Some(cut)
    }
}

/// Packs the rows of each block of queries.
pub(super) fn pack<B: Blocks>(
    pool: &Pool,
    queries: &mut [B::Queries],
    rows: Rows<'_>,
    pack: fn(Option<&Pool>, &mut B::Queries, Rows<'_>),
) {
    let length = B::ROWS * rows.width;
    let own = |block: usize| {
        let floats = &rows.floats[block * length..];
        Rows { floats: &floats[..floats.len().min(length)], ..rows }
    };
    if queries.len() < pool.threads() {
        for (block, packed) in queries.iter_mut().enumerate() {
            pack(Some(pool), packed, own(block));
        }
    } else {
        pool.chunks(queries, 1, |block, packed, _| pack(None, &mut packed[0], own(block)));
    }
}

/// What a walk over all blocks reads.
pub(super) struct Walk<'a, B: Blocks> {
    pub(super) pool: &'a Pool,
    pub(super) similarity: Similarity,
    pub(super) problem: &'a Problem<'a>,
    pub(super) cut: Cut,
    pub(super) queries: &'a [B::Queries],
    pub(super) threads: &'a [Mutex<Packs<B>>],
}

/// What a walk does when it comes to a tile.
pub(super) type Enter<'a, B> = dyn Fn(Tile<'_>, &mut Packs<B>) + Sync + 'a;

/// What a walk does with a block and its queries' gradients.
pub(super) type Visit<'a, B> = dyn Fn(&Block<'_, B>, &mut Packs<B>, Sum<'_>) + Sync + 'a;

/// One tile's candidates: which they are, their rows and biases.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) index: usize,
    pub(super) rows: &'a [f32],
    pub(super) biases: &'a [f32],
}

impl<'a, B: Blocks> Walk<'a, B> {
    fn tile(&self, index: usize) -> Tile<'a> {
        let (start, length) = self.cut.tile(index);
        let Problem { candidates, width, biases, .. } = *self.problem;
        Tile {
            index,
            rows: &candidates[start * width..][..length * width],
            biases: biases.get(start..start + length).unwrap_or_default(),
        }
    }

    /// The blocks of a tile.
    pub(super) fn blocks(&self, tile: Tile<'a>) -> impl Iterator<Item = Block<'a, B>> {
        let width = self.cut.width;
        let rows = self.problem.queries.chunks(B::ROWS * width);
        let similarity = self.similarity;
        rows.zip(self.queries).enumerate().map(move |(index, (queries, packed))| Block {
            similarity,
            width,
            tile: tile.index,
            first: index * B::ROWS,
            queries,
            packed,
            candidates: tile.rows,
        })
    }

    /// Walks each group's tiles in order, with a sum of query gradients a group.
    pub(super) fn by_groups(
        &self,
        partial: &mut Floats,
        enter: &Enter<'_, B>,
        visit: &Visit<'_, B>,
    ) {
        let Self { cut, .. } = *self;
        let sum_len = B::sum_len(cut.queries, cut.width);
        partial.resize(cut.groups() * sum_len);
        let partial = SharedMut::new(partial);
        self.pool.run(cut.groups(), &|group, thread| {
            // SAFETY: each group has its own sum.
            let sum = unsafe { partial.slice(group * sum_len, sum_len) };
            let mut packs = self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let tiles = cut.group(group);
            for index in tiles.clone() {
                let tile = self.tile(index);
                enter(tile, &mut packs);
                for block in self.blocks(tile) {
                    let floats = &mut sum[B::sum_len(block.first, cut.width)..];
                    let floats = &mut floats[..B::sum_len(block.shape().0, cut.width)];
                    visit(&block, &mut packs, Sum { floats, begins: index == tiles.start });
                }
            }
        });
    }

    /// Visits each tile once, in no order.
    pub(super) fn by_tiles(&self, visit: &Enter<'_, B>) {
        self.pool.run(self.cut.tiles(), &|index, thread| {
            let mut packs = self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            visit(self.tile(index), &mut packs);
        });
    }

    /// Adds the groups' sums up, in order, and gives each query's to `finish`.
    pub(super) fn total(
        &self,
        partial: &[f32],
        d_queries: &mut [f32],
        finish: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let width = self.cut.width;
        let sum_len = B::sum_len(self.cut.queries, width);
        self.pool.chunks(d_queries, B::ADDED * width, |index, chunk, _| {
            let length = B::sum_len(chunk.len() / width, width);
            let at = B::sum_len(index * B::ADDED, width);
            let sums = partial.chunks_exact(sum_len).map(|sum| &sum[at..][..length]);
            B::total(sums, width, chunk);
            for (query, row) in chunk.chunks_exact_mut(width).enumerate() {
                finish(index * B::ADDED + query, row);
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
