//! Rows in pairs, as the loops read them. Arrangements are the same on every CPU.

use std::array::from_fn;

use super::{
    micro::{GROUP_ROWS, SIDE},
    pair::{self, LANES},
};
use crate::{simd::vectorise, tile::PANEL};

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
        interleave::<GROUP_ROWS>(rows, width, &mut self.data);
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
        interleave::<SIDE>(rows, width, &mut self.data);
        self.biases.clear();
        self.biases.extend_from_slice(biases);
        self.biases.resize(self.count.next_multiple_of(SIDE), 0.0);
    }
}

/// `[count, width]` to pairs `[ceil(count / S), ceil(width / 2), S]`.
fn interleave<const S: usize>(rows: &[f32], width: usize, out: &mut Vec<u32>) {
    assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
    let (count, pairs) = (rows.len() / width, width.div_ceil(2));
    out.resize(count.next_multiple_of(S) * pairs, 0);
    let (panels, _) = out.as_chunks_mut::<S>();
    vectorise(
        #[inline(always)]
        || {
            for (panel, rows) in panels.chunks_exact_mut(pairs).zip(rows.chunks(S * width)) {
                // Rows are rounded by whole vectors, which are then transposed.
                for (index, out) in panel.chunks_mut(LANES).enumerate() {
                    let mut square = [[0; LANES]; S];
                    for (row, rounded) in rows.chunks_exact(width).zip(&mut square) {
                        let row = &row[index * 2 * LANES..];
                        match row.first_chunk::<{ 2 * LANES }>() {
                            Some(row) => round_pairs(row, rounded),
                            None => {
                                let mut filled = [0.0; 2 * LANES];
                                filled[..row.len()].copy_from_slice(row);
                                round_pairs(&filled, rounded);
                            }
                        }
                    }
                    for (place, out) in out.iter_mut().enumerate() {
                        *out = from_fn(|lane| square[lane][place]);
                    }
                }
            }
        },
    );
}

/// Neighbours become pairs.
#[inline(always)]
fn round_pairs(row: &[f32; 2 * LANES], out: &mut [u32; LANES]) {
    let (twos, _) = row.as_chunks::<2>();
    for (out, two) in out.iter_mut().zip(twos) {
        *out = pair::pair(two[0], two[1]);
    }
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

const _: () = assert!(PANEL.is_multiple_of(SIDE) && SIDE.is_multiple_of(LANES));
