//! Rows in pairs, as the loops read them. Arrangements are the same on every CPU.

use super::{
    micro::{GROUP_ROWS, SIDE},
    pair::{self, LANES},
};
use crate::{
    simd::vectorise,
    tile::{GROUP, PANEL},
};

/// Queries in groups whose pairs at one place lie together: `[ceil(count / r), ceil(width / 2), r]`
/// for groups of `r`, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    pub(super) data: Vec<u32>,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl Grouped {
    pub(crate) fn pack(&mut self, rows: &[f32], width: usize) {
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
    pub(crate) fn pack(&mut self, rows: &[f32], width: usize, biases: &[f32]) {
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
    pub(crate) fn pack(&mut self, rows: &[f32], width: usize) {
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
pub(super) fn couple(first: &[f32], second: &[f32], out: &mut [u32]) {
    for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
        *out = pair::pair(first, second);
    }
}

const _: () =
    assert!(PANEL.is_multiple_of(SIDE) && SIDE.is_multiple_of(LANES));
