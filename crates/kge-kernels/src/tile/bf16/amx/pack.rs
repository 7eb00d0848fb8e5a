//! The factors as tiles read them: each row of a tile is a line of the cache. Depths are filled up
//! with zeros; rows and columns that fill a [`SIDE`] up hold anything.

use super::{super::pair, DEPTH, SIDE};
use crate::simd::vectorise;

/// What of a number is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The nearest bf16.
    High,
    /// The bf16 nearest to what that leaves.
    Low,
}

impl Part {
    #[inline(always)]
    fn of(self, x: f32) -> f32 {
        match self {
            Self::High => x,
            Self::Low => x - f32::from_bits(pair::round_high(x)),
        }
    }
}

/// 64 bytes at a multiple of 64.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u16; DEPTH]);

// SAFETY: zeros are a line.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: any bytes are a line, and it has no others than those of its numbers.
unsafe impl bytemuck::Pod for Line {}

/// Rows as they lie: bf16 `[rows to a multiple of SIDE, depth]`, the depth once a part.
#[derive(Debug, Default)]
pub(crate) struct Left {
    lines: Vec<Line>,
    rows: usize,
    /// Of one part, a multiple of [`DEPTH`].
    length: usize,
    depth: usize,
}

impl Left {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The rows, [`SIDE`] at a time.
    pub(super) fn sides(&self) -> impl Iterator<Item = &[u16]> {
        let numbers = bytemuck::cast_slice::<Line, u16>(&self.lines);
        numbers.chunks_exact((SIDE * self.depth).max(1))
    }

    fn numbers_mut(&mut self) -> &mut [u16] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// Makes room for rows of so many numbers, of which nothing is known.
    pub(crate) fn reshape(&mut self, rows: usize, count: usize, parts: &[Part]) {
        self.length = count.next_multiple_of(DEPTH);
        (self.rows, self.depth) = (rows, self.length * parts.len());
        let lines = rows.next_multiple_of(SIDE) * self.depth / DEPTH;
        self.lines.resize(lines, Line([0; DEPTH]));
    }

    /// Writes [`SIDE`] numbers of a row, from place `first` on.
    #[inline(always)]
    pub(crate) fn write_row(
        &mut self,
        row: usize,
        first: usize,
        numbers: &[f32; SIDE],
        parts: &[Part],
    ) {
        let (depth, length) = (self.depth, self.length);
        let all = &mut self.numbers_mut()[row * depth..][..depth];
        for (part, out) in parts.iter().zip(all.chunks_exact_mut(length)) {
            round(numbers, *part, &mut out[first..][..SIDE]);
        }
    }

    /// Writes one number.
    pub(crate) fn set(&mut self, row: usize, place: usize, number: f32, parts: &[Part]) {
        let (depth, length) = (self.depth, self.length);
        let all = &mut self.numbers_mut()[row * depth..][..depth];
        for (part, out) in parts.iter().zip(all.chunks_exact_mut(length)) {
            out[place] = pair::round(part.of(number));
        }
    }

    /// Rows `[count, width]`; the depth is their width.
    pub(crate) fn pack(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(rows.len() / width, width, parts);
        let (depth, length) = (self.depth, self.length);
        vectorise(
            #[inline(always)]
            || {
                let all = self.numbers_mut().chunks_exact_mut(depth);
                for (row, out) in rows.chunks_exact(width).zip(all) {
                    for (part, out) in parts.iter().zip(out.chunks_exact_mut(length)) {
                        let (out, beyond) = out.split_at_mut(width);
                        round(row, *part, out);
                        beyond.fill(0);
                    }
                }
            },
        );
    }

    /// The columns of `[count, width]` as rows; the depth is the count.
    pub(crate) fn pack_transposed(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(width, rows.len() / width, parts);
        let (depth, length) = (self.depth, self.length);
        vectorise(
            #[inline(always)]
            || {
                let all = self.numbers_mut();
                for (side, rows) in rows.chunks(SIDE * width).enumerate() {
                    for first in (0..width).step_by(SIDE) {
                        for (number, part) in parts.iter().enumerate() {
                            let out = &mut all[first * depth + number * length + side * SIDE..];
                            transpose((rows, width), first, *part, (out, depth));
                        }
                    }
                }
            },
        );
    }
}

/// Writes columns of up to [`SIDE`] rows, [`SIDE`] columns from the first on or as many as there
/// are, as rows of [`SIDE`] places, filled up with zeros, which begin `stride` apart.
#[inline(always)]
fn transpose(
    (rows, width): (&[f32], usize),
    first: usize,
    part: Part,
    (out, stride): (&mut [u16], usize),
) {
    let columns = SIDE.min(width - first);
    let mut couples = [[0_u32; SIDE]; SIDE / 2];
    for (two, couples) in rows.chunks(2 * width).zip(&mut couples) {
        let (above, below) = two.split_at(width);
        let zeros = [0.0; SIDE];
        let below = below.get(first..first + columns).unwrap_or(&zeros);
        for ((couple, &a), &b) in couples.iter_mut().zip(&above[first..][..columns]).zip(below) {
            *couple = pair::pair(part.of(a), part.of(b));
        }
    }
    for (column, out) in out.chunks_mut(stride).take(columns).enumerate() {
        for (out, couples) in out.as_chunks_mut::<2>().0.iter_mut().zip(&couples) {
            *out = [couples[column] as u16, (couples[column] >> 16) as u16];
        }
    }
}

/// Pairs of the depth, [`SIDE`] columns at a time: `[columns / SIDE, depth / 2, SIDE]`, rounded up;
/// the depth once a part.
#[derive(Debug, Default)]
pub(crate) struct Right {
    lines: Vec<Line>,
    columns: usize,
    /// Of one part, a multiple of [`DEPTH`].
    length: usize,
    depth: usize,
}

impl Right {
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Pairs of [`SIDE`] columns.
    pub(super) fn side(&self, side: usize) -> &[[u32; SIDE]] {
        let pairs = bytemuck::cast_slice::<Line, [u32; SIDE]>(&self.lines);
        &pairs[side * self.depth / 2..][..self.depth / 2]
    }

    /// The same of each part.
    #[inline(always)]
    fn parts_mut(&mut self, side: usize) -> impl Iterator<Item = &mut [[u32; SIDE]]> {
        let pairs = bytemuck::cast_slice_mut::<Line, [u32; SIDE]>(&mut self.lines);
        let pairs = &mut pairs[side * self.depth / 2..][..self.depth / 2];
        pairs.chunks_exact_mut((self.length / 2).max(1))
    }

    /// Makes room for columns of so many numbers, of which nothing is known.
    pub(crate) fn reshape(&mut self, columns: usize, count: usize, parts: &[Part]) {
        self.length = count.next_multiple_of(DEPTH);
        (self.columns, self.depth) = (columns, self.length * parts.len());
        self.lines.resize(columns.div_ceil(SIDE) * self.depth, Line([0; DEPTH]));
    }

    /// Writes two numbers of each column of a side.
    #[inline(always)]
    pub(crate) fn write_pair(
        &mut self,
        side: usize,
        number: usize,
        rows: &[[f32; SIDE]; 2],
        parts: &[Part],
    ) {
        for (part, pairs) in parts.iter().zip(self.parts_mut(side)) {
            for ((pair, &a), &b) in pairs[number].iter_mut().zip(&rows[0]).zip(&rows[1]) {
                *pair = pair::pair(part.of(a), part.of(b));
            }
        }
    }

    /// Writes zeros after the first numbers of each column of a side.
    #[inline(always)]
    pub(crate) fn fill_up(&mut self, side: usize, count: usize, parts: &[Part]) {
        for (_, pairs) in parts.iter().zip(self.parts_mut(side)) {
            pairs[count.div_ceil(2)..].fill([0; SIDE]);
        }
    }

    /// Writes one number of a column.
    pub(crate) fn set(&mut self, place: usize, column: usize, number: f32, parts: &[Part]) {
        for (part, pairs) in parts.iter().zip(self.parts_mut(column / SIDE)) {
            let pair = &mut pairs[place / 2][column % SIDE];
            let (rounded, shift) = (pair::round(part.of(number)), place % 2 * 16);
            *pair = *pair & !(0xffff << shift) | u32::from(rounded) << shift;
        }
    }

    /// Rows `[count, width]` as columns, filled up with zeros; the depth is their width.
    pub(crate) fn pack_across(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(rows.len() / width, width, parts);
        vectorise(
            #[inline(always)]
            || {
                for (side, rows) in rows.chunks(SIDE * width).enumerate() {
                    for (part, pairs) in parts.iter().zip(self.parts_mut(side)) {
                        if rows.len() < SIDE * width {
                            pairs.fill([0; SIDE]);
                        }
                        for (column, row) in rows.chunks_exact(width).enumerate() {
                            let (twos, last) = row.as_chunks::<2>();
                            for (pairs, &[a, b]) in pairs.iter_mut().zip(twos) {
                                pairs[column] = pair::pair(part.of(a), part.of(b));
                            }
                            if let &[a] = last {
                                pairs[twos.len()][column] = pair::pair(part.of(a), 0.0);
                            }
                        }
                        pairs[width.div_ceil(2)..].fill([0; SIDE]);
                    }
                }
            },
        );
    }

    /// Rows `[count, width]` below each other; the depth is their count.
    pub(crate) fn pack_down(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        let count = rows.len() / width;
        self.reshape(width, count, parts);
        vectorise(
            #[inline(always)]
            || {
                for (side, first) in (0..width).step_by(SIDE).enumerate() {
                    let length = SIDE.min(width - first);
                    let lanes = |row: &[f32]| -> [f32; SIDE] {
                        let mut lanes = [0.0; SIDE];
                        if let Some(row) = row.get(first..first + length) {
                            lanes[..length].copy_from_slice(row);
                        }
                        lanes
                    };
                    for (number, two) in rows.chunks(2 * width).enumerate() {
                        let (above, below) = two.split_at(width);
                        self.write_pair(side, number, &[lanes(above), lanes(below)], parts);
                    }
                    self.fill_up(side, count, parts);
                }
            },
        );
    }
}

/// Rounds what of each number the part is.
#[inline(always)]
fn round(numbers: &[f32], part: Part, out: &mut [u16]) {
    for (out, &x) in out.iter_mut().zip(numbers) {
        *out = pair::round(part.of(x));
    }
}
