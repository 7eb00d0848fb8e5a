//! The factors as tiles read them: each row of a tile is a line of the cache. Depths are filled up
//! with zeros; rows and columns that fill a [`SIDE`] up hold anything.

use super::{super::pair, DEPTH, SIDE};
use crate::{
    simd::vectorise,
    tile::{PANEL, block_len, panel_len},
};

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
    pub(super) rows: usize,
    pub(super) depth: usize,
}

impl Left {
    fn reshape(&mut self, rows: usize, length: usize, parts: &[Part]) {
        (self.rows, self.depth) = (rows, length.next_multiple_of(DEPTH) * parts.len());
        let lines = rows.next_multiple_of(SIDE) * self.depth / DEPTH;
        self.lines.resize(lines, Line([0; DEPTH]));
    }

    pub(super) fn numbers(&self) -> &[u16] {
        bytemuck::cast_slice(&self.lines)
    }

    fn numbers_mut(&mut self) -> &mut [u16] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// Rows `[count, width]`; the depth is their width.
    pub(super) fn pack(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(rows.len() / width, width, parts);
        let length = width.next_multiple_of(DEPTH);
        vectorise(
            #[inline(always)]
            || {
                let out = self.numbers_mut().chunks_exact_mut(length * parts.len());
                for (row, out) in rows.chunks_exact(width).zip(out) {
                    for (part, out) in parts.iter().zip(out.chunks_exact_mut(length)) {
                        let (out, beyond) = out.split_at_mut(width);
                        round(row, *part, out);
                        beyond.fill(0);
                    }
                }
            },
        );
    }
}

/// Pairs of the depth, [`SIDE`] columns at a time: `[columns / SIDE, depth / 2, SIDE]`, rounded up;
/// the depth once a part.
#[derive(Debug, Default)]
pub(crate) struct Right {
    lines: Vec<Line>,
    pub(super) columns: usize,
    pub(super) depth: usize,
}

impl Right {
    pub(super) fn pairs(&self) -> &[[u32; SIDE]] {
        bytemuck::cast_slice(&self.lines)
    }

    /// Gives the pairs of each part of a side in turn, to be written.
    #[inline(always)]
    fn fill(
        &mut self,
        (columns, length): (usize, usize),
        parts: &[Part],
        mut write: impl FnMut(usize, Part, &mut [[u32; SIDE]]),
    ) {
        let length = length.next_multiple_of(DEPTH);
        (self.columns, self.depth) = (columns, length * parts.len());
        self.lines.resize(columns.div_ceil(SIDE) * self.depth, Line([0; DEPTH]));
        let pairs = bytemuck::cast_slice_mut::<Line, [u32; SIDE]>(&mut self.lines);
        let write = &mut write;
        let mut sides = pairs.chunks_exact_mut((self.depth / 2).max(1)).enumerate();
        vectorise(
            #[inline(always)]
            || {
                for (side, pairs) in &mut sides {
                    for (part, pairs) in parts.iter().zip(pairs.chunks_exact_mut(length / 2)) {
                        write(side * SIDE, *part, pairs);
                    }
                }
            },
        );
    }

    /// Rows `[count, width]` as columns; the depth is their width.
    pub(super) fn pack_across(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.fill(
            (rows.len() / width, width),
            parts,
            #[inline(always)]
            |first, part, pairs| {
                let rows = rows[first * width..].chunks_exact(width).take(SIDE);
                for (column, row) in rows.enumerate() {
                    let (twos, last) = row.as_chunks::<2>();
                    for (pairs, &[a, b]) in pairs.iter_mut().zip(twos) {
                        pairs[column] = pair::pair(part.of(a), part.of(b));
                    }
                    if let &[a] = last {
                        pairs[twos.len()][column] = pair::pair(part.of(a), 0.0);
                    }
                }
                pairs[width.div_ceil(2)..].fill([0; SIDE]);
            },
        );
    }

    /// Rows `[count, width]` below each other; the depth is their count.
    pub(super) fn pack_down(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        let count = rows.len() / width;
        self.fill(
            (width, count),
            parts,
            #[inline(always)]
            |first, part, pairs| {
                let length = SIDE.min(width - first);
                let zeros = [0.0; SIDE];
                for (two, pairs) in rows.chunks(2 * width).zip(&mut *pairs) {
                    let above = &two[first..][..length];
                    let below = two.get(width + first..width + first + length).unwrap_or(&zeros);
                    for ((pair, &a), &b) in pairs.iter_mut().zip(above).zip(below) {
                        *pair = pair::pair(part.of(a), part.of(b));
                    }
                }
                pairs[count.div_ceil(2)..].fill([0; SIDE]);
            },
        );
    }
}

/// A block of weights, as the left factor of both pulls.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// `[queries, candidates]`.
    pub(super) by_query: Left,
    /// `[candidates, queries]`.
    pub(super) by_candidate: Left,
}

impl Weights {
    pub(super) fn round(
        &mut self,
        block: &mut [f32],
        queries: usize,
        candidates: usize,
        parts: &[Part],
    ) {
        assert_eq!(block.len(), block_len(queries, candidates), "a block of {queries} queries");
        self.by_query.reshape(queries, candidates, parts);
        self.by_candidate.reshape(candidates, queries, parts);
        let (lengths, depths) = (
            (candidates.next_multiple_of(DEPTH), queries.next_multiple_of(DEPTH)),
            (self.by_query.depth, self.by_candidate.depth),
        );
        let by_query = self.by_query.numbers_mut();
        let by_candidate = self.by_candidate.numbers_mut();
        vectorise(
            #[inline(always)]
            || {
                for (index, weights) in block.chunks_exact_mut(panel_len(queries)).enumerate() {
                    let first = index * PANEL;
                    let (length, filled) =
                        (PANEL.min(candidates - first), PANEL.min(lengths.0 - first));
                    for (number, part) in parts.iter().enumerate() {
                        let rows = weights.chunks_exact_mut(PANEL).take(queries);
                        for (query, row) in rows.enumerate() {
                            row[length..].fill(0.0);
                            let at = query * depths.0 + number * lengths.0 + first;
                            round(&row[..filled], *part, &mut by_query[at..][..filled]);
                        }
                        for above in (0..lengths.1).step_by(SIDE) {
                            let rows = &weights[above * PANEL..];
                            let rows = &rows[..rows.len().min((queries - above).min(SIDE) * PANEL)];
                            let at = first * depths.1 + number * lengths.1 + above;
                            transpose(rows, *part, length, depths.1, &mut by_candidate[at..]);
                        }
                    }
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

/// Writes up to [`SIDE`] rows of a panel as columns of [`SIDE`] places, filled up with zeros; each
/// of the first `count` columns becomes a row, `stride` after the one before.
#[inline(always)]
fn transpose(rows: &[f32], part: Part, count: usize, stride: usize, out: &mut [u16]) {
    let mut couples = [[0_u32; PANEL]; SIDE / 2];
    for (two, couples) in rows.chunks(2 * PANEL).zip(&mut couples) {
        let (above, below) = two.split_at(PANEL);
        let zeros = [0.0; PANEL];
        let below = if below.is_empty() { &zeros } else { below };
        for ((couple, &a), &b) in couples.iter_mut().zip(above).zip(below) {
            *couple = pair::pair(part.of(a), part.of(b));
        }
    }
    for (column, out) in out.chunks_mut(stride).take(count).enumerate() {
        for (out, couples) in out.as_chunks_mut::<2>().0.iter_mut().zip(&couples) {
            *out = [couples[column] as u16, (couples[column] >> 16) as u16];
        }
    }
}
