//! The weights of a block, rounded and in pairs: of candidates for pulls on queries, of queries for
//! pulls on candidates. Arrangements are the same on every CPU.

use super::pack::couple;
use crate::{
    math::exp_coarse,
    row::{LANES, tree},
    simd::vectorise,
    tile::{GROUP, PANEL, block_len, panel_len},
};

/// Pairs of a panel's candidates.
pub(super) const PANEL_PAIRS: usize = PANEL / 2;

const _: () = assert!(GROUP.is_multiple_of(2));

/// Pairs of a block's weights, two queries by two: `[panels, ceil(queries / 2), PANEL]`.
pub(crate) fn coupled_len(queries: usize, candidates: usize) -> usize {
    candidates.div_ceil(PANEL) * queries.div_ceil(2) * PANEL
}

/// A block of weights, in pairs of candidates and in pairs of queries.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    pub(super) by_query: Vec<u32>,
    pub(super) by_candidate: Vec<u32>,
}

impl Rounded {
    pub(super) fn round(&mut self, block: &[f32], queries: usize, candidates: usize) {
        let Self { by_query, by_candidate } = self;
        by_query.resize(block.len() / 2, 0);
        by_candidate.resize(coupled_len(queries, candidates), 0);
        round_block(block, (queries, candidates), (by_query, by_candidate));
    }
}

/// Rounds a block of weights: to pairs of candidates, `[panels, queries, PANEL_PAIRS]`, the queries
/// filled up to a multiple of [`GROUP`], and to [pairs of queries](coupled_len).
pub(crate) fn round_block(block: &[f32], shape: (usize, usize), rounded: (&mut [u32], &mut [u32])) {
    round_as(
        block,
        shape,
        rounded,
        #[inline(always)]
        |_, from, to| to.copy_from_slice(from),
    );
}

/// As [`round_block`], of what `weigh` makes of each query's part of a panel.
#[inline(always)]
fn round_as(
    block: &[f32],
    (queries, candidates): (usize, usize),
    (by_query, by_candidate): (&mut [u32], &mut [u32]),
    mut weigh: impl FnMut(usize, &[f32], &mut [f32]),
) {
    assert_eq!(block.len(), block_len(queries, candidates), "a block of {queries} queries");
    let (rows_len, couples) = (panel_len(queries), queries.div_ceil(2));
    vectorise(
        #[inline(always)]
        || {
            let panels = block
                .chunks_exact(rows_len)
                .zip(by_query.chunks_exact_mut(rows_len / 2))
                .zip(by_candidate.chunks_exact_mut(couples * PANEL));
            for (index, ((rows, by_query), by_candidate)) in panels.enumerate() {
                let length = PANEL.min(candidates - index * PANEL);
                let mut weights = [[0.0; PANEL]; 2];
                let out =
                    by_query.chunks_exact_mut(PANEL).zip(by_candidate.chunks_exact_mut(PANEL));
                for (number, (by_query, by_candidate)) in out.enumerate() {
                    for (odd, weights) in weights.iter_mut().enumerate() {
                        let query = 2 * number + odd;
                        if query == queries {
                            // What lies beyond the last query is no score.
                            weights.fill(0.0);
                        } else {
                            weigh(query, &rows[query * PANEL..][..length], &mut weights[..length]);
                        }
                    }
                    let [first, second] = &weights;
                    couple(first, second, by_candidate);
                    // The same numbers, each row by itself.
                    let by_query = bytemuck::cast_slice_mut::<u32, u16>(by_query);
                    let (first, second) = by_query.split_at_mut(PANEL);
                    for ((pair, first), second) in by_candidate.iter().zip(first).zip(second) {
                        (*first, *second) = (*pair as u16, (*pair >> 16) as u16);
                    }
                }
            }
        },
    );
}

/// Makes weights `e^(score - shift)` of a block's scores, coarsely and rounded as by
/// [`round_block`]; leaves each query's sum of them.
pub(crate) fn exponentiate(
    scores: &[f32],
    candidates: usize,
    (shifts, sums): (&[f32], &mut [f32]),
    rounded: (&mut [u32], &mut [u32]),
) {
    sums.fill(0.0);
    round_as(
        scores,
        (shifts.len(), candidates),
        rounded,
        #[inline(always)]
        |query, scores, weights| {
            let (shift, mut lanes) = (shifts[query], [0.0; LANES]);
            for (scores, weights) in scores.chunks(LANES).zip(weights.chunks_mut(LANES)) {
                for ((score, weight), lane) in scores.iter().zip(weights).zip(&mut lanes) {
                    *weight = exp_coarse(score - shift);
                    *lane += *weight;
                }
            }
            sums[query] += tree(lanes);
        },
    );
}
