//! Rows and weights in pairs, as the loops read them. Arrangements are the same on every CPU.

use super::{
    micro::{GROUP_ROWS, SIDE},
    pair::{self, LANES},
};
use crate::{
    simd::vectorise,
    tile::{GROUP, PANEL, block_len, panel_len},
};

/// Pairs of a panel's candidates.
pub(super) const PANEL_PAIRS: usize = PANEL / 2;

/// Queries in groups whose pairs at one place lie together: `[ceil(count / r), ceil(width / 2), r]`
/// for groups of `r`, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    pub(super) data: Vec<u32>,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl Grouped {
    pub(super) fn pack(&mut self, rows: &[f32], width: usize) {
        (self.count, self.width) = (rows.len() / width, width);
        interleave(rows, width, GROUP_ROWS, &mut self.data);
    }
}

/// Candidates side by side: `[ceil(count / SIDE), ceil(width / 2), SIDE]`, filled up with zeros;
/// and their biases.
#[derive(Debug, Default)]
pub(crate) struct Transposed {
    pub(super) data: Vec<u32>,
    pub(super) biases: Vec<f32>,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl Transposed {
    pub(super) fn pack(&mut self, rows: &[f32], width: usize, biases: &[f32]) {
        (self.count, self.width) = (rows.len() / width, width);
        assert!(biases.is_empty() || biases.len() == self.count, "a bias a candidate, or none");
        interleave(rows, width, SIDE, &mut self.data);
        self.biases.clear();
        self.biases.extend_from_slice(biases);
        self.biases.resize(self.count.next_multiple_of(SIDE), 0.0);
    }
}

/// `[count, width]` to pairs `[ceil(count / side), ceil(width / 2), side]`.
fn interleave(rows: &[f32], width: usize, side: usize, out: &mut Vec<u32>) {
    assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
    let (count, pairs) = (rows.len() / width, width.div_ceil(2));
    out.resize(count.next_multiple_of(side) * pairs, 0);
    vectorise(
        #[inline(always)]
        || {
            for (panel, rows) in out.chunks_exact_mut(side * pairs).zip(rows.chunks(side * width)) {
                if rows.len() < side * width {
                    panel.fill(0);
                }
                for (lane, row) in rows.chunks_exact(width).enumerate() {
                    let places = panel.iter_mut().skip(lane).step_by(side);
                    for (values, out) in row.chunks(2).zip(places) {
                        *out = pair::pair(values[0], values.get(1).copied().unwrap_or(0.0));
                    }
                }
            }
        },
    );
}

/// Rows that pull, two by two, cut into columns: `[ceil(width / SIDE), ceil(count / 2), SIDE]`,
/// filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pub(super) data: Vec<u32>,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl Pairs {
    pub(super) fn pack(&mut self, rows: &[f32], width: usize) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        (self.count, self.width) = (rows.len() / width, width);
        let pairs = self.count.div_ceil(2);
        self.data.resize(width.div_ceil(SIDE) * pairs * SIDE, 0);
        if pairs == 0 {
            return;
        }
        let data = &mut self.data;
        vectorise(
            #[inline(always)]
            || {
                for (index, panel) in data.chunks_exact_mut(pairs * SIDE).enumerate() {
                    let start = index * SIDE;
                    let length = SIDE.min(width - start);
                    for (two, out) in rows.chunks(2 * width).zip(panel.chunks_exact_mut(SIDE)) {
                        let (out, beyond) = out.split_at_mut(length);
                        let first = &two[start..][..length];
                        match two.get(width + start..width + start + length) {
                            Some(second) => couple(first, second, out),
                            None => couple(first, &[0.0; SIDE][..length], out),
                        }
                        beyond.fill(0);
                    }
                }
            },
        );
    }
}

/// Two rows into one of pairs.
#[inline(always)]
fn couple(first: &[f32], second: &[f32], out: &mut [u32]) {
    for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
        *out = pair::pair(first, second);
    }
}

/// A block of weights, in pairs of candidates and in pairs of queries.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    /// `[panels, queries, PANEL_PAIRS]`, the queries filled up to a multiple of [`GROUP`].
    pub(super) by_query: Vec<u32>,
    /// `[panels, ceil(queries / 2), PANEL]`.
    pub(super) by_candidate: Vec<u32>,
    pub(super) queries: usize,
    pub(super) candidates: usize,
}

impl Rounded {
    pub(super) fn round(&mut self, block: &[f32], queries: usize, candidates: usize) {
        assert_eq!(block.len(), block_len(queries, candidates), "a block of {queries} queries");
        (self.queries, self.candidates) = (queries, candidates);
        let panels = candidates.div_ceil(PANEL);
        let couples = queries.div_ceil(2);
        self.by_query.resize(block.len() / 2, 0);
        self.by_candidate.resize(panels * couples * PANEL, 0);
        let (by_query, by_candidate) = (&mut self.by_query, &mut self.by_candidate);
        vectorise(
            #[inline(always)]
            || {
                let rows_len = panel_len(queries);
                let panels = block
                    .chunks_exact(rows_len)
                    .zip(by_query.chunks_exact_mut(rows_len / 2))
                    .zip(by_candidate.chunks_exact_mut(couples * PANEL));
                for (index, ((weights, by_query), by_candidate)) in panels.enumerate() {
                    let length = PANEL.min(candidates - index * PANEL);
                    let twos = weights.chunks_exact(2 * PANEL).take(couples).enumerate();
                    let out =
                        by_query.chunks_exact_mut(PANEL).zip(by_candidate.chunks_exact_mut(PANEL));
                    for ((number, two), (by_query, by_candidate)) in twos.zip(out) {
                        let (first, mut second) = two.split_at(PANEL);
                        // What lies beyond the last pair is no weight.
                        if 2 * number + 1 == queries {
                            second = &[0.0; PANEL];
                        }
                        couple(first, second, by_candidate);
                        by_candidate[length..].fill(0);
                        let (by_first, by_second) = by_query.split_at_mut(PANEL_PAIRS);
                        for (row, out) in [(first, by_first), (second, by_second)] {
                            let out = bytemuck::cast_slice_mut::<u32, u16>(out);
                            for (out, &weight) in out.iter_mut().zip(row) {
                                *out = pair::round(weight);
                            }
                            out[length..].fill(0);
                        }
                    }
                }
            },
        );
    }
}

const _: () =
    assert!(PANEL.is_multiple_of(SIDE) && SIDE.is_multiple_of(LANES) && GROUP.is_multiple_of(2));
