//! Blocks of scores between some queries and some candidates, and the pulls they exert.
//!
//! A block is laid out so that all three products of a training step read it as it lies. It is cut
//! into panels of [`PANEL`] candidates; a panel holds a row of [`PANEL`] scores for each query:
//! `[panels, queries, PANEL]`, the queries filled up to a multiple of [`GROUP`]. Rows beyond the
//! last query and columns beyond the last candidate hold no scores.
//!
//! Each score is one chain of operations over the width, each pull one chain over the rows that
//! pull, in order, whatever the vector width: the same bytes everywhere, and a pair's score does
//! not depend on where in a block it stands. Queries come [`Grouped`], candidates [`Transposed`],
//! rows that pull as [`Columns`]: rearranged once and read many times.

pub(crate) mod bf16;
mod factors;
mod micro;
mod pack;
mod terms;

pub(crate) use bf16::{Bf16, amx};
pub(crate) use factors::{F32, Factors};
pub use pack::{Columns, Grouped, Transposed};

use std::marker::PhantomData;

use crate::{
    Similarity,
    simd::{arch, vectorise},
};
use micro::{Places, Pull, Rows, Score, Sides};

/// Candidates in a panel: a multiple of every kernel's rows and of every vector pair.
pub const PANEL: usize = 96;

/// A multiple of every kernel's rows.
pub const GROUP: usize = 12;

/// Queries that make a block of good size: with [`TILE`] candidates it stays in the second cache.
pub const ROWS: usize = 10 * GROUP;

/// Candidates that make a block of good size.
pub const TILE: usize = 5 * PANEL;

/// Floats in a block.
pub const fn block_len(queries: usize, candidates: usize) -> usize {
    candidates.div_ceil(PANEL) * panel_len(queries)
}

/// Floats in a panel.
pub const fn panel_len(queries: usize) -> usize {
    queries.next_multiple_of(GROUP) * PANEL
}

/// The scores of query `query` in a block of `queries` queries and `candidates` candidates, panel
/// by panel, in the candidates' order.
pub fn row(
    block: &[f32],
    queries: usize,
    candidates: usize,
    query: usize,
) -> impl Iterator<Item = &[f32]> {
    let panels = block.chunks_exact(panel_len(queries)).enumerate();
    panels.map(move |(panel, rows)| &rows[query * PANEL..][..PANEL.min(candidates - panel * PANEL)])
}

/// Copies the scores of a query, in the candidates' order.
///
/// # Panics
/// If `out` is longer than the block's candidates.
pub fn read_row(block: &[f32], queries: usize, query: usize, out: &mut [f32]) {
    for (panel, out) in block.chunks_exact(panel_len(queries)).zip(out.chunks_mut(PANEL)) {
        out.copy_from_slice(&panel[query * PANEL..][..out.len()]);
    }
}

/// Puts back what [`read_row`] took.
///
/// # Panics
/// As for it.
pub fn write_row(block: &mut [f32], queries: usize, query: usize, row: &[f32]) {
    for (panel, row) in block.chunks_exact_mut(panel_len(queries)).zip(row.chunks(PANEL)) {
        panel[query * PANEL..][..row.len()].copy_from_slice(row);
    }
}

/// Where the score of a pair lies in a block of `queries` queries.
#[inline(always)]
pub const fn place(queries: usize, query: usize, candidate: usize) -> usize {
    candidate / PANEL * panel_len(queries) + query * PANEL + candidate % PANEL
}

/// Scores each query against each candidate; writes a block.
///
/// # Panics
/// If a length does not fit, the queries are grouped for another similarity, or the width is odd
/// for `Modulus`.
pub fn scores(
    similarity: Similarity,
    queries: &Grouped,
    candidates: &Transposed,
    block: &mut [f32],
) {
    compare(similarity, queries, candidates, true, block);
}

/// As [`scores`], with the candidates' biases or without.
fn compare(
    similarity: Similarity,
    queries: &Grouped,
    candidates: &Transposed,
    biased: bool,
    block: &mut [f32],
) {
    macro_rules! score {
        ($terms:ident) => {
            arch().dispatch(Score {
                terms: PhantomData::<terms::$terms>,
                queries,
                candidates,
                biased,
                block,
            })
        };
    }
    match similarity {
        Similarity::Dot => score!(Dot),
        Similarity::L1 => score!(L1),
        Similarity::L2 => score!(L2),
        Similarity::SquaredL2 => score!(SquaredL2),
        Similarity::Modulus => score!(Modulus),
    }
}

/// Queries that are scored together.
fn score_rows(similarity: Similarity) -> usize {
    if similarity == Similarity::Modulus { micro::SCORE_COMPLEX } else { micro::SCORE }
}

/// Adds `sum_j weight[i, j] d score[i, j] / d queries[i]` to `d_queries`, `[m, width]`; the
/// weights are a block, which [`pulling`] has seen.
///
/// # Panics
/// If a length does not fit.
pub fn pull_queries(
    similarity: Similarity,
    weights: &[f32],
    queries: &[f32],
    candidates: &Columns,
    d_queries: &mut [f32],
) {
    let panel = panel_len(queries.len() / candidates.width());
    pull(similarity, Rows(panel), weights, queries, candidates, d_queries);
}

/// Adds `sum_i weight[i, j] d score[i, j] / d candidates[j]` to `d_candidates`, `[n, width]`; the
/// weights are a block, which [`pulling`] has seen.
///
/// # Panics
/// If a length does not fit.
pub fn pull_candidates(
    similarity: Similarity,
    weights: &[f32],
    candidates: &[f32],
    queries: &Columns,
    d_candidates: &mut [f32],
) {
    // A distance is symmetric: candidates are pulled towards queries alike.
    let panel = panel_len(queries.count());
    pull(similarity, Sides(panel), weights, candidates, queries, d_candidates);
}

fn pull(
    similarity: Similarity,
    places: impl Places,
    weights: &[f32],
    rows: &[f32],
    others: &Columns,
    pulled: &mut [f32],
) {
    macro_rules! pull {
        ($terms:ident) => {
            arch().dispatch(Pull {
                terms: PhantomData::<terms::$terms>,
                places,
                weights,
                rows,
                others,
                pulled,
            })
        };
    }
    match similarity {
        Similarity::Dot => pull!(Dot),
        Similarity::L1 => pull!(L1),
        Similarity::L2 => pull!(L2),
        Similarity::SquaredL2 => pull!(SquaredL2),
        Similarity::Modulus => pull!(Modulus),
    }
}

/// Adds each candidate's sum of weights to `sums`, one a candidate: the gradient of its bias.
///
/// # Panics
/// If the block has another length.
pub fn add_sums(weights: &[f32], queries: usize, sums: &mut [f32]) {
    assert_eq!(weights.len(), block_len(queries, sums.len()), "a block of {queries} queries");
    for (panel, sums) in weights.chunks_exact(panel_len(queries)).zip(sums.chunks_mut(PANEL)) {
        for row in panel.chunks_exact(PANEL).take(queries) {
            crate::row::add(sums, &row[..sums.len()]);
        }
    }
}

/// Whether [`pulling`] has anything to do.
pub fn pulls_by_distance(similarity: Similarity) -> bool {
    similarity == Similarity::L2
}

/// Writes what the pulls take of each pair's weight to `pulls`: for `L2`, whose gradient is the
/// difference over the distance, the weight over the distance; else nothing.
///
/// # Panics
/// As for [`scores`], or if the blocks differ in length.
pub fn pulling(
    similarity: Similarity,
    weights: &[f32],
    queries: &Grouped,
    candidates: &Transposed,
    pulls: &mut [f32],
) {
    if !pulls_by_distance(similarity) {
        return;
    }
    assert_eq!(weights.len(), pulls.len(), "blocks of one length");
    compare(similarity, queries, candidates, false, pulls);
    vectorise(
        #[inline(always)]
        || {
            for (pull, &weight) in pulls.iter_mut().zip(weights) {
                *pull = if *pull < 0.0 { weight / -*pull } else { 0.0 };
            }
        },
    );
}

#[cfg(test)]
mod tests;
