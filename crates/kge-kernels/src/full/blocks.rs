//! What a step asks of a precision: how one block of queries against one tile of candidates is
//! scored, weighed and pulls.

use std::fmt::Debug;

use super::hits::Hits;
use crate::{Pool, Similarity};

/// The packs, weights and pulls of one precision.
pub(super) trait Blocks: Debug + Default {
    /// Queries of a block.
    const ROWS: usize;
    /// Queries whose gradients' sums are [added up](Self::total) at a time.
    const ADDED: usize;

    /// Candidates of a tile, of rows of this width: whole panels or sides.
    fn tile(width: usize) -> usize;

    /// A weight, or what holds some.
    type Kept: Copy + Debug + Default + Send + Sync;
    /// A block's queries, as scores and as pulls take them.
    type Queries: Debug + Default + Send + Sync;
    /// A tile's candidates, as scores and as pulls take them: one thread's.
    type Packs: Debug + Default + Send;

    /// Queries, to be scored; by all threads if there is a pool.
    fn pack_queries(pool: Option<&Pool>, to: &mut Self::Queries, rows: Rows<'_>);

    /// As many rows, to pull candidates.
    fn pack_pulling_queries(pool: Option<&Pool>, to: &mut Self::Queries, rows: Rows<'_>);

    /// A tile's candidates, to be scored.
    fn pack_candidates(to: &mut Self::Packs, rows: &[f32], width: usize, biases: &[f32]);

    /// A tile's candidates, to pull queries.
    fn pack_pulling_candidates(
        to: &mut Self::Packs,
        rows: &[f32],
        width: usize,
        similarity: Similarity,
    );

    /// What holds the weights of so many queries, which fill whole blocks or are the last, and
    /// candidates.
    fn kept_len(queries: usize, candidates: usize) -> usize;

    /// Leaves the weights `exp(score - shift)` and each query's sum of them; pulls the queries by
    /// them if there is somebody to take it, which takes a dot product.
    fn exponentiate(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        shifts: &[f32],
        kept: &mut [Self::Kept],
        totals: Totals<'_>,
        d_queries: Option<Sum<'_>>,
    );

    /// Leaves the weights `weight (sigmoid(score) - spread)`, and the labels' on top; and each
    /// query's `sum_j softplus(s_j) - spread s_j`. Pulls the queries by the weights.
    fn derive(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        how: &Derive<'_>,
        kept: &mut [Self::Kept],
        losses: &mut [f64],
        d_queries: Sum<'_>,
    );

    /// Makes weights of another time ready to pull.
    fn prepare(packs: &mut Self::Packs, block: &Block<'_, Self>, kept: &[Self::Kept]);

    /// Pulls the candidates by the weights, which are prepared or the last.
    fn pull_candidates(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        kept: &[Self::Kept],
        d_candidates: Sum<'_>,
    );

    /// Adds each candidate's weights, times their queries' scales, to its sum.
    fn add_sums(block: &Block<'_, Self>, kept: &[Self::Kept], scales: &[f32], sums: &mut [f32]);

    /// Floats of a sum of query gradients.
    fn sum_len(queries: usize, width: usize) -> usize;

    /// Writes the sums' sum, in order, to `[queries, width]`.
    fn total<'a>(
        sums: impl Iterator<Item = &'a [f32]> + Clone,
        width: usize,
        d_queries: &mut [f32],
    );
}

/// Some rows, `[count, width]`, and what they are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) floats: &'a [f32],
    pub(super) width: usize,
    pub(super) similarity: Similarity,
}

/// One block of queries against one tile.
#[derive(Debug)]
pub(super) struct Block<'a, B: Blocks> {
    pub(super) similarity: Similarity,
    pub(super) width: usize,
    pub(super) tile: usize,
    /// Of the step's queries, the block's first.
    pub(super) first: usize,
    /// Queries as they are, `[count, width]`, and packed.
    pub(super) queries: &'a [f32],
    pub(super) packed: &'a B::Queries,
    /// The tile's candidates as they are, `[count, width]`.
    pub(super) candidates: &'a [f32],
}

impl<B: Blocks> Block<'_, B> {
    /// Queries and candidates.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.queries.len() / self.width, self.candidates.len() / self.width)
    }
}

/// What the exponentials of a block sum up to, a query.
#[derive(Debug)]
pub(super) struct Totals<'a> {
    pub(super) sums: &'a mut [f32],
    /// Sums of the scores themselves; none where nobody asks.
    pub(super) score_sums: &'a mut [f32],
}

/// How scores become weights of binary cross-entropy.
pub(super) struct Derive<'a> {
    pub(super) weight: f32,
    pub(super) spread: f32,
    pub(super) hits: &'a Hits,
    /// Of each label.
    pub(super) hit_weight: f32,
}

/// Gradients that are added to, or begin as nothing whatever is there.
#[derive(Debug)]
pub(super) struct Sum<'a> {
    pub(super) floats: &'a mut [f32],
    pub(super) begins: bool,
}

impl<'a> Sum<'a> {
    /// The floats, to be added to.
    pub(super) fn begun(self) -> &'a mut [f32] {
        if self.begins {
            self.floats.fill(0.0);
        }
        self.floats
    }
}
