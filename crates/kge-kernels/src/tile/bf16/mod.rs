//! Dot products whose factors are rounded to bf16 and whose sums are `f32`.
//!
//! bf16 is the upper half of an `f32`. The instruction `vdpbf16ps` takes two of them at once from
//! either side: `sum = a_0 b_0 + (a_1 b_1 + sum)`, each step rounded to `f32`, numbers below the
//! normal ones taken as 0 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume
//! 2). So every pack here holds pairs: two places of the width for scores, two rows that pull for
//! pulls. Where the CPU lacks the instruction, its arithmetic is done by plain operations: slower,
//! the same bytes.

pub(crate) mod amx;
mod micro;
mod pack;
mod pair;
#[cfg(test)]
mod tests;
mod weights;

use super::factors::Factors;
use crate::Similarity;

pub(crate) use micro::{pull_candidates, pull_queries, scores};
pub(crate) use pack::{Grouped, Pairs, Transposed};
pub(crate) use pair::{halves, is_native};
use weights::Rounded;
pub(crate) use weights::{coupled_len, exponentiate, round_block};

/// As rounded to bf16; for [`Similarity::Dot`] alone, since differences would lose their digits.
#[derive(Debug, Default)]
pub(crate) struct Bf16;

impl Factors for Bf16 {
    type Queries = Grouped;
    type Candidates = Transposed;
    type Others = Pairs;
    type Scratch = Rounded;

    fn pack_queries(to: &mut Grouped, rows: &[f32], width: usize, similarity: Similarity) {
        assert_dot(similarity);
        to.pack(rows, width);
    }

    fn pack_candidates(to: &mut Transposed, rows: &[f32], width: usize, biases: &[f32]) {
        to.pack(rows, width, biases);
    }

    fn pack_others(to: &mut Pairs, rows: &[f32], width: usize, similarity: Similarity) {
        assert_dot(similarity);
        to.pack(rows, width);
    }

    fn scores(
        similarity: Similarity,
        queries: &Grouped,
        candidates: &Transposed,
        block: &mut [f32],
    ) {
        assert_dot(similarity);
        scores(queries, candidates, block);
    }

    fn pulling(
        _: Similarity,
        weights: &[f32],
        (queries, candidates): (usize, usize),
        _: (&Grouped, &Transposed),
        scratch: &mut Rounded,
    ) {
        scratch.round(weights, queries, candidates);
    }

    fn pull_queries(
        _: Similarity,
        (_, weights): (&[f32], &Rounded),
        queries: &[f32],
        candidates: &Pairs,
        d_queries: &mut [f32],
    ) {
        assert_eq!(queries.len(), d_queries.len(), "a gradient has its rows' shape");
        pull_queries(&weights.by_query, candidates, d_queries);
    }

    fn pull_candidates(
        _: Similarity,
        (_, weights): (&[f32], &Rounded),
        candidates: &[f32],
        queries: &Pairs,
        d_candidates: &mut [f32],
    ) {
        assert_eq!(candidates.len(), d_candidates.len(), "a gradient has its rows' shape");
        pull_candidates(&weights.by_candidate, queries, d_candidates);
    }
}

/// # Panics
/// Unless it is the dot product.
pub(crate) fn assert_dot(similarity: Similarity) {
    assert_eq!(similarity, Similarity::Dot, "bf16 is for dot products");
}
