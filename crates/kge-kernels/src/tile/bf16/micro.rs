//! The loops in registers: twelve rows against two vectors of pairs, over the whole depth. AVX-512
//! has 32 registers; the more rows share the loads of a vector, the better.

use std::array::from_fn;

use super::{
    pack::{Grouped, Pairs, Transposed},
    pair::{DotPairs, LANES, Loops, run},
    weights::{PANEL_PAIRS, coupled_len},
};
use crate::tile::{GROUP, PANEL, block_len, panel_len, place};

/// Rows that share the loads of a vector.
pub(super) const GROUP_ROWS: usize = 12;

/// Vectors side by side.
const VECTORS: usize = 2;

/// Places in [`VECTORS`].
pub(super) const SIDE: usize = VECTORS * LANES;

const _: () = assert!(PANEL.is_multiple_of(GROUP_ROWS) && GROUP.is_multiple_of(GROUP_ROWS));

/// Sums of a group.
type Sums<D> = [[<D as DotPairs>::Sums; VECTORS]; GROUP_ROWS];

/// Writes the scores of all queries with all candidates.
pub(crate) fn scores(queries: &Grouped, candidates: &Transposed, block: &mut [f32]) {
    assert_eq!(queries.width, candidates.width, "queries and candidates of one width");
    let (m, n) = (queries.count, candidates.count);
    assert_eq!(block.len(), block_len(m, n), "a block of {m} queries");
    run(Score { queries, candidates, block });
}

struct Score<'a> {
    queries: &'a Grouped,
    candidates: &'a Transposed,
    block: &'a mut [f32],
}

impl Loops for Score<'_> {
    #[inline(always)]
    fn run<D: DotPairs>(self, dot: D) {
        let Self { queries, candidates, block } = self;
        let (count, pairs) = (queries.count, queries.width.div_ceil(2));
        let panels = candidates.data.chunks_exact(pairs * SIDE);
        for (panel, (packed, biases)) in
            panels.zip(candidates.biases.chunks_exact(SIDE)).enumerate()
        {
            let (packed, _) = packed.as_chunks::<SIDE>();
            for (group, rows) in queries.data.chunks_exact(GROUP_ROWS * pairs).enumerate() {
                let (rows, _) = rows.as_chunks::<GROUP_ROWS>();
                let mut sums: Sums<D> = [[dot.zero(); VECTORS]; GROUP_ROWS];
                for (row, others) in rows.iter().zip(packed) {
                    add_products(dot, row, others, &mut sums);
                }
                let first = group * GROUP_ROWS;
                for (i, sums) in sums.into_iter().enumerate().take(count - first) {
                    let out = &mut block[place(count, first + i, panel * SIDE)..][..SIDE];
                    let scores = sums.map(|sums| dot.floats(sums));
                    for ((out, score), bias) in
                        out.iter_mut().zip(scores.as_flattened()).zip(biases)
                    {
                        *out = score + bias;
                    }
                }
            }
        }
    }
}

/// Adds the candidates' pulls, each as strong as its weight, to `[queries, width]`; the weights are
/// pairs of candidates as [`round_block`](super::round_block) leaves them.
pub(crate) fn pull_queries(weights: &[u32], candidates: &Pairs, pulled: &mut [f32]) {
    let queries = pulled.len() / candidates.width;
    assert_eq!(pulled.len(), queries * candidates.width, "a gradient a query");
    assert_eq!(weights.len(), block_len(queries, candidates.count) / 2, "a weight a pair");
    run(Pull::<_, PANEL_PAIRS, 1> {
        weights,
        first: |row| row * PANEL_PAIRS,
        others: candidates,
        stretch: (PANEL_PAIRS, panel_len(queries) / 2),
        pulled,
    });
}

/// Adds the queries' pulls to `[candidates, width]`; the weights are pairs of queries, so many
/// as [`coupled_len`] says.
pub(crate) fn pull_candidates(weights: &[u32], queries: &Pairs, pulled: &mut [f32]) {
    let candidates = pulled.len() / queries.width;
    assert_eq!(pulled.len(), candidates * queries.width, "a gradient a candidate");
    assert_eq!(weights.len(), coupled_len(queries.count, candidates), "a weight a pair");
    let couples = queries.count.div_ceil(2);
    run(Pull::<_, 1, PANEL> {
        weights,
        first: |row| row / PANEL * couples * PANEL + row % PANEL,
        others: queries,
        stretch: (couples.max(1), 0),
        pulled,
    });
}

/// A group's weights by one pair that pulls lie `APART`, those by the next pair `STEP` further.
struct Pull<'a, F, const APART: usize, const STEP: usize> {
    weights: &'a [u32],
    /// Where the weights of the group that begins with a row begin.
    first: F,
    others: &'a Pairs,
    /// Pairs whose weights follow each other by steps, and how far on those of the next are.
    stretch: (usize, usize),
    pulled: &'a mut [f32],
}

impl<F: Fn(usize) -> usize, const APART: usize, const STEP: usize> Loops
    for Pull<'_, F, APART, STEP>
{
    #[inline(always)]
    fn run<D: DotPairs>(self, dot: D) {
        let Self { weights, first: first_weight, others, stretch: (stretch, next), pulled } = self;
        let (width, pairs) = (others.width, others.count.div_ceil(2));
        if pairs == 0 {
            return;
        }
        let count = pulled.len() / width;
        for (index, columns) in others.data.chunks_exact(pairs * SIDE).enumerate() {
            let column = index * SIDE;
            let length = SIDE.min(width - column);
            let (columns, _) = columns.as_chunks::<SIDE>();
            for first in (0..count).step_by(GROUP_ROWS) {
                let mut sums: Sums<D> = [[dot.zero(); VECTORS]; GROUP_ROWS];
                let mut base = first_weight(first);
                for columns in columns.chunks(stretch) {
                    let span = (columns.len() - 1) * STEP + (GROUP_ROWS - 1) * APART + 1;
                    let mut weight = weights[base..][..span].as_ptr();
                    for others in columns {
                        // SAFETY: the last of them is the last of the span that was cut out above.
                        let row = from_fn(|i| unsafe { *weight.add(i * APART) });
                        add_products(dot, &row, others, &mut sums);
                        weight = weight.wrapping_add(STEP);
                    }
                    base += next;
                }
                for (i, sums) in sums.into_iter().enumerate().take(count - first) {
                    let out = &mut pulled[(first + i) * width + column..][..length];
                    let sums = sums.map(|sums| dot.floats(sums));
                    for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
                        *out += sum;
                    }
                }
            }
        }
    }
}

/// Adds the products of a group's pairs at one place with two vectors of pairs.
#[inline(always)]
fn add_products<D: DotPairs>(
    dot: D,
    row: &[u32; GROUP_ROWS],
    others: &[u32; SIDE],
    sums: &mut Sums<D>,
) {
    let (others, _) = others.as_chunks::<LANES>();
    for (sums, &one) in sums.iter_mut().zip(row) {
        for (sums, others) in sums.iter_mut().zip(others) {
            *sums = dot.add(one, others, *sums);
        }
    }
}
