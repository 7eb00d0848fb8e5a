//! The step against all candidates: every candidate is scored, and both gradients come back.
//!
//! With `S` the scores of queries against candidates and `W` the derivatives of the loss by them,
//! the gradients are `sum_j W_ij dS_ij/dq_i` and `sum_i W_ij dS_ij/dc_j`. Candidates are walked in
//! tiles, a tile in blocks of queries that stay in cache ([`tile`]). Query gradients are summed by
//! groups of tiles, and the groups in order: the number of threads does not show.
//!
//! [`softmax`](FullStep::softmax) needs two passes, since its normaliser is known last;
//! [`binary`](FullStep::binary) cross-entropy needs one.

mod binary;
mod softmax;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use crate::{
    Pool, Similarity,
    pool::SharedMut,
    tile::{self, Columns, Grouped, ROWS, TILE, Transposed},
};

/// Groups of tiles that share one sum of query gradients.
const GROUPS: usize = 16;

/// One step's problem: rows are `[rows, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `[queries, width]`.
    pub queries: &'a [f32],
    /// `[candidates, width]`.
    pub candidates: &'a [f32],
    /// Floats in a row.
    pub width: usize,
    /// What is added to each candidate's scores: one a candidate, or none at all.
    pub biases: &'a [f32],
    /// The candidates that each query should find.
    pub labels: Labels<'a>,
    /// The share of a label's weight that is spread over all candidates: 0 gives none
    /// (Szegedy et al. 2016, label smoothing).
    pub smoothing: f32,
    /// Every query's share of the loss; 1 / queries gives the mean.
    pub weight: f32,
}

/// Lists of candidates, one a query: those of query `i` are `ids[starts[i]..starts[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// `[queries + 1]`, rising from 0.
    pub starts: &'a [u32],
    /// Candidates; each once in a list.
    pub ids: &'a [u32],
}

impl<'a> Labels<'a> {
    /// Lists.
    pub fn queries(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The labels of one query.
    pub fn of(&self, query: usize) -> &'a [u32] {
        &self.ids[self.starts[query] as usize..self.starts[query + 1] as usize]
    }
}

/// Where a step writes its gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[queries, width]`.
    pub queries: &'a mut [f32],
    /// `[candidates, width]`.
    pub candidates: &'a mut [f32],
    /// As long as the biases.
    pub biases: &'a mut [f32],
}

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub struct FullStep {
    /// Blocks of scores, later of weights: of each tile, or of each thread where none is kept.
    blocks: Vec<f32>,
    /// `[tiles, queries]`: each tile's maximum, later each tile's scale.
    maxima: Vec<f32>,
    /// `[tiles, queries]`: sums over a tile.
    sums: Vec<f32>,
    /// `[tiles, queries]`: another sum over a tile, where smoothing needs one.
    score_sums: Vec<f32>,
    /// `[tiles, queries]`: each tile's part of a loss.
    tile_losses: Vec<f64>,
    /// `[queries]`.
    losses: Vec<f64>,
    /// `[groups, queries, width]`.
    partial: Vec<f32>,
    /// The queries, [`ROWS`] an element.
    queries: Vec<PackedQueries>,
    /// By tile, then by query.
    hits: Vec<Hit>,
    threads: Vec<Mutex<Packs>>,
}

/// A block's queries, as scores and as pulls take them.
#[derive(Debug, Default)]
struct PackedQueries {
    grouped: Grouped,
    columns: Columns,
}

/// One thread's tile.
#[derive(Debug, Default)]
struct Packs {
    transposed: Transposed,
    columns: Columns,
    scratch: Vec<f32>,
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
struct Cut {
    queries: usize,
    candidates: usize,
    width: usize,
    /// Whether each tile has a place of its own in the blocks.
    keep: bool,
}

impl Cut {
    fn of(problem: &Problem<'_>, gradients: &Gradients<'_>, kept_bytes: usize) -> Self {
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
        let keep = tile::block_len(m, n) * size_of::<f32>() <= kept_bytes;
        Self { queries: m, candidates: n, width, keep }
    }

    fn tiles(&self) -> usize {
        self.candidates.div_ceil(TILE)
    }

    /// The first candidate of a tile, and how many it has.
    fn tile(&self, tile: usize) -> (usize, usize) {
        (tile * TILE, TILE.min(self.candidates - tile * TILE))
    }

    /// The blocks of queries: first query, number of queries.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let queries = self.queries;
        (0..queries).step_by(ROWS).map(move |first| (first, ROWS.min(queries - first)))
    }

    /// Floats of all places.
    fn floats(&self, threads: usize) -> usize {
        match self.keep {
            true => tile::block_len(self.queries, self.candidates),
            false => threads * tile::block_len(self.queries, TILE.min(self.candidates)),
        }
    }

    /// Where the blocks of a tile lie, and their length. Only the last block of queries is filled
    /// up, so they are as long as one.
    fn place(&self, tile: usize, thread: usize) -> (usize, usize) {
        let length = tile::block_len(self.queries, self.tile(tile).1);
        match self.keep {
            true => (tile::block_len(self.queries, tile * TILE), length),
            false => (thread * tile::block_len(self.queries, TILE.min(self.candidates)), length),
        }
    }
}

/// How the weights of a block come about.
#[derive(Clone, Copy)]
struct Weights<'a> {
    /// Makes those of a block.
    weigh: &'a (dyn Fn(Block<'_>) + Sync),
    /// What a query's labels get on top.
    hit_weight: &'a (dyn Fn(usize) -> f32 + Sync),
}

/// One block while its weights are made.
struct Block<'a> {
    tile: usize,
    /// The first candidate and the number of candidates.
    candidates: (usize, usize),
    /// The first query and the number of queries.
    rows: (usize, usize),
    queries: &'a Grouped,
    /// The tile's candidates, packed if the step asked for it.
    transposed: &'a Transposed,
    scores: &'a mut [f32],
}

impl FullStep {
    fn prepare(&mut self, pool: &Pool, similarity: Similarity, problem: &Problem<'_>, cut: Cut) {
        self.blocks.resize(cut.floats(pool.threads()), 0.0);
        self.losses.resize(cut.queries, 0.0);
        self.threads.resize_with(pool.threads(), Mutex::default);
        self.queries.resize_with(cut.queries.div_ceil(ROWS), PackedQueries::default);
        pool.chunks(&mut self.queries, 1, |block, packed, _| {
            let rows = &problem.queries[block * ROWS * cut.width..];
            let rows = &rows[..rows.len().min(ROWS * cut.width)];
            packed[0].grouped.pack(rows, cut.width, similarity);
            packed[0].columns.pack(rows, cut.width, similarity);
        });
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

    /// The pass that makes each block's weights by `weigh` and takes both gradients of it while it
    /// is in cache. `hit_weight` of a query is added at its labels afterwards.
    fn pull(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        (problem, cut): (&Problem<'_>, Cut),
        rescore: bool,
        Weights { weigh, hit_weight }: Weights<'_>,
        gradients: Gradients<'_>,
    ) {
        let Problem { queries, candidates, width, biases, labels, .. } = *problem;
        let m = cut.queries;
        self.sort_labels(labels);
        let groups = GROUPS.min(cut.tiles());
        self.partial.resize(groups * m * width, 0.0);
        let (packed, hits, threads) = (&self.queries, &self.hits, &self.threads);
        let blocks = SharedMut::new(&mut self.blocks);
        let partial = SharedMut::new(&mut self.partial);
        let d_all = SharedMut::new(gradients.candidates);
        let d_biases = SharedMut::new(gradients.biases);
        pool.run(groups, &|group, thread| {
            // SAFETY: each group has its own sum.
            let d_queries = unsafe { partial.slice(group * m * width, m * width) };
            d_queries.fill(0.0);
            let mut packs = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Packs { transposed, columns: candidate_columns, scratch } = &mut *packs;
            for index in group * cut.tiles() / groups..(group + 1) * cut.tiles() / groups {
                let (start, length) = cut.tile(index);
                let rows = &candidates[start * width..][..length * width];
                if rescore || tile::pulls_by_distance(similarity) {
                    transposed.pack(rows, width, tile_biases(biases, start, length));
                }
                candidate_columns.pack(rows, width, similarity);
                let (place, floats) = cut.place(index, thread);
                // SAFETY: a kept tile has its own place, and so has a thread where none is kept.
                let mut rest = unsafe { blocks.slice(place, floats) };
                // SAFETY: each tile's rows are its own.
                let d_tile = unsafe { d_all.slice(start * width, length * width) };
                d_tile.fill(0.0);
                let d_tile_biases = match biases.is_empty() {
                    true => &mut [],
                    // SAFETY: as above.
                    false => unsafe { d_biases.slice(start, length) },
                };
                d_tile_biases.fill(0.0);
                let mut hits = &hits[hits.partition_point(|hit| (hit.tile as usize) < index)..];
                for ((first, count), packed) in cut.rows().zip(packed) {
                    let (weights, tail) = rest.split_at_mut(tile::block_len(count, length));
                    rest = tail;
                    let queries = &queries[first * width..][..count * width];
                    weigh(Block {
                        tile: index,
                        candidates: (start, length),
                        rows: (first, count),
                        queries: &packed.grouped,
                        transposed,
                        scores: weights,
                    });
                    while let Some((hit, later)) = hits.split_first()
                        && hit.tile as usize == index
                        && (hit.query as usize) < first + count
                    {
                        let query = hit.query as usize;
                        weights[tile::place(count, query - first, hit.column as usize)] +=
                            hit_weight(query);
                        hits = later;
                    }
                    if !biases.is_empty() {
                        tile::add_sums(weights, count, d_tile_biases);
                    }
                    if tile::pulls_by_distance(similarity) {
                        scratch.resize(weights.len(), 0.0);
                        tile::pulling(similarity, weights, &packed.grouped, transposed, scratch);
                    }
                    let d_queries = &mut d_queries[first * width..][..count * width];
                    tile::pull_queries(similarity, weights, queries, candidate_columns, d_queries);
                    tile::pull_candidates(similarity, weights, rows, &packed.columns, d_tile);
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

    /// The mean score of a query's labels; 0 if it has none.
    fn label_score(similarity: Similarity, problem: &Problem<'_>, query: usize) -> f64 {
        let Problem { queries, candidates, width, biases, labels, .. } = *problem;
        let (query_row, labels) = (&queries[query * width..][..width], labels.of(query));
        let score = |&id: &u32| {
            let row = &candidates[id as usize * width..][..width];
            let bias = biases.get(id as usize).copied().unwrap_or(0.0);
            f64::from(similarity.score(query_row, row)) + f64::from(bias)
        };
        labels.iter().map(score).sum::<f64>() / (labels.len().max(1) as f64)
    }
}

/// The biases of a tile's candidates, if there are any.
fn tile_biases(biases: &[f32], start: usize, length: usize) -> &[f32] {
    biases.get(start..start + length).unwrap_or_default()
}
