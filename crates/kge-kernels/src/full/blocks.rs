//! What a step asks of a precision: how one block of queries against one tile of candidates is
//! scored, weighed and pulls.

use std::{fmt::Debug, ops::Range};

use crate::Similarity;

/// The packs, scores and pulls of one precision.
pub(super) trait Blocks: Debug + Default {
    /// Queries of a block.
    const ROWS: usize;

    /// An exponential that waits for its normaliser.
    type Kept: Copy + Debug + Default + Send + Sync;
    /// A block's queries, as scores and as pulls take them.
    type Queries: Debug + Default + Send + Sync;
    /// A tile's candidates, and the block's weights while it pulls: one thread's.
    type Packs: Debug + Default + Send;

    fn pack_queries(to: &mut Self::Queries, rows: &[f32], width: usize, similarity: Similarity);

    /// A tile's candidates, to be scored.
    fn pack_scored(to: &mut Self::Packs, rows: &[f32], width: usize, biases: &[f32]);

    /// A tile's candidates, to pull.
    fn pack_pulling(to: &mut Self::Packs, rows: &[f32], width: usize, similarity: Similarity);

    /// Exponentials of so many queries, which fill whole blocks or are the last, and candidates.
    fn kept_len(queries: usize, candidates: usize) -> usize;

    /// Leaves each query's maximum over the tile and the sum of `exp(score - maximum)`, and keeps
    /// the exponentials. The candidates are [scored](Self::pack_scored).
    fn exponentiate(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        kept: &mut [Self::Kept],
        totals: Totals<'_>,
    );

    /// Makes the weights `scale exp(score - maximum) - spread`, and the hits' on top.
    fn scale(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        kept: &[Self::Kept],
        scales_and_spread: (&[f32], f32),
        hits: Hits<'_>,
    );

    /// Makes the weights `weight (sigmoid(score) - spread)`, and the hits' on top; leaves each
    /// query's `sum_j softplus(s_j) - spread s_j`. The candidates are [scored](Self::pack_scored).
    fn derive(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        weight_and_spread: (f32, f32),
        losses: &mut [f64],
        hits: Hits<'_>,
    );

    /// Takes both gradients of the weights. The candidates are [to pull](Self::pack_pulling).
    fn pull(
        packs: &mut Self::Packs,
        block: &Block<'_, Self>,
        d_queries: Sum<'_>,
        d_candidates: Sum<'_>,
    );

    /// Floats of a sum of query gradients.
    fn sum_len(queries: usize, width: usize) -> usize;

    /// Writes the sums' sum, in order, to `[queries, width]`.
    fn total<'a>(
        sums: impl Iterator<Item = &'a [f32]> + Clone,
        width: usize,
        d_queries: &mut [f32],
    );
}

/// One block of queries against one tile.
#[derive(Debug)]
pub(super) struct Block<'a, B: Blocks> {
    pub(super) similarity: Similarity,
    pub(super) width: usize,
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
    pub(super) maxima: &'a mut [f32],
    pub(super) sums: &'a mut [f32],
    /// Sums of the scores themselves; none where nobody asks.
    pub(super) score_sums: &'a mut [f32],
}

/// What the labels of a block's queries weigh on top, and where all weights of a candidate go.
pub(super) struct Hits<'a> {
    /// By query, then by column.
    pub(super) hits: &'a [Hit],
    /// Of a hit of this query of the step.
    pub(super) weight: &'a (dyn Fn(usize) -> f32 + Sync),
    /// The block's first query.
    pub(super) first: usize,
    /// The sums of each candidate's weights are added here, if it has a bias.
    pub(super) d_biases: &'a mut [f32],
}

impl<'a> Hits<'a> {
    /// Those of some queries of the block.
    pub(super) fn of(&self, queries: Range<usize>) -> &'a [Hit] {
        let place = |query: usize| {
            self.hits.partition_point(|hit| (hit.query as usize) < self.first + query)
        };
        &self.hits[place(queries.start)..place(queries.end)]
    }

    /// Column, query of the block, and weight.
    pub(super) fn read(&self, hit: &Hit) -> (usize, usize, f32) {
        let query = hit.query as usize;
        (hit.column as usize, query - self.first, (self.weight)(query))
    }
}

/// A label of a query in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) tile: u32,
    pub(super) query: u32,
    pub(super) column: u32,
}

/// Gradients that are added to, or begin as nothing whatever is there.
#[derive(Debug)]
pub(super) struct Sum<'a> {
    pub(super) floats: &'a mut [f32],
    pub(super) begins: bool,
}
