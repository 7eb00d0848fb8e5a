//! The factors as tiles read them, line by line of the cache. Depths are filled up with zeros; rows
//! and columns that fill a [`SIDE`] up hold anything.

use std::ops::Range;

use super::{super::pair, DEPTH, SIDE};
use crate::{Pool, aligned::Line, gather::prefetch, simd::vectorise};

/// Rows asked for ahead of the one in work.
const AHEAD: usize = 8;

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

/// How many lines the rows of a left factor take, and where each lies:
/// `[rows / SIDE, depth / DEPTH, SIDE]`, rounded up; the depth once a part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeftShape {
    rows: usize,
    /// Lines of a row, and of a part of it.
    steps: usize,
    part_steps: usize,
}

impl LeftShape {
    /// Of rows of so many numbers.
    pub(crate) fn new(rows: usize, count: usize, parts: &[Part]) -> Self {
        let part_steps = count.div_ceil(DEPTH);
        Self { rows, steps: part_steps * parts.len(), part_steps }
    }

    /// Lines.
    pub(crate) fn len(self) -> usize {
        self.rows.next_multiple_of(SIDE) * self.steps
    }

    /// The line of one row of one part from place `step * DEPTH` on.
    #[inline(always)]
    fn line(self, row: usize, part: usize, step: usize) -> usize {
        let step = part * self.part_steps + step;
        (row / SIDE * self.steps + step) * SIDE + row % SIDE
    }

    /// The same of an even row and the next.
    #[inline(always)]
    pub(super) fn two_lines(
        self,
        lines: &mut [Line],
        row: usize,
        part: usize,
        step: usize,
    ) -> &mut [[u16; DEPTH]; 2] {
        let twos = bytemuck::cast_slice_mut::<Line, [[u16; DEPTH]; 2]>(lines);
        &mut twos[self.line(row, part, step) / 2]
    }

    /// Those of a side, of factors that have one part.
    #[inline(always)]
    pub(super) fn square(
        self,
        lines: &mut [Line],
        side: usize,
        step: usize,
    ) -> &mut [[u16; DEPTH]; SIDE] {
        let squares = bytemuck::cast_slice_mut::<Line, [[u16; DEPTH]; SIDE]>(lines);
        &mut squares[side * self.steps + step]
    }

    /// Bytes from one of them to that of the next side.
    pub(super) fn next_square(self) -> usize {
        self.steps * size_of::<[Line; SIDE]>()
    }

    /// The numbers of a row as tiles see them.
    pub(crate) fn row(self, lines: &[Line], row: usize) -> impl Iterator<Item = [f32; DEPTH]> {
        let widened =
            move |part: usize, step: usize| lines[self.line(row, part, step)].0.map(pair::widen);
        // The first part is the high one, the last the low one if there is any.
        let last = self.steps / self.part_steps.max(1);
        (0..self.part_steps).map(move |step| {
            let mut numbers = widened(0, step);
            if last > 1 {
                crate::row::add(&mut numbers, &widened(last - 1, step));
            }
            numbers
        })
    }
}

/// A left factor: lines of a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lefts<'a> {
    lines: &'a [Line],
    shape: LeftShape,
}

impl<'a> Lefts<'a> {
    /// # Panics
    /// If there are more or fewer lines.
    pub(crate) fn new(lines: &'a [Line], shape: LeftShape) -> Self {
        assert_eq!(lines.len(), shape.len(), "the lines of a shape");
        Self { lines, shape }
    }

    pub(super) fn rows(self) -> usize {
        self.shape.rows
    }

    pub(super) fn depth(self) -> usize {
        self.shape.steps * DEPTH
    }

    /// The rows, [`SIDE`] at a time: `[depth / DEPTH, SIDE, DEPTH]`.
    pub(super) fn sides(self) -> impl Iterator<Item = &'a [[[u16; DEPTH]; SIDE]]> {
        let steps = bytemuck::cast_slice::<Line, [[u16; DEPTH]; SIDE]>(self.lines);
        steps.chunks_exact(self.shape.steps.max(1))
    }
}

/// A left factor and its lines.
#[derive(Debug, Default)]
pub(crate) struct Left {
    lines: Vec<Line>,
    shape: LeftShape,
}

impl Left {
    pub(crate) fn rows(&self) -> usize {
        self.shape.rows
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The same, lent.
    pub(crate) fn lent(&self) -> Lefts<'_> {
        Lefts { lines: &self.lines, shape: self.shape }
    }

    /// Makes room for rows of so many numbers, of which nothing is known.
    fn reshape(&mut self, rows: usize, count: usize, parts: &[Part]) {
        self.shape = LeftShape::new(rows, count, parts);
        self.lines.resize(self.shape.len(), Line::default());
    }

    /// The numbers of one row of one part from place `step * DEPTH` on.
    #[inline(always)]
    fn line(&mut self, row: usize, part: usize, step: usize) -> &mut [u16; DEPTH] {
        &mut self.lines[self.shape.line(row, part, step)].0
    }

    /// Writes [`SIDE`] numbers of a row, which are a line.
    #[inline(always)]
    fn write(&mut self, row: usize, step: usize, numbers: &[f32; SIDE], parts: &[Part]) {
        const { assert!(SIDE == DEPTH) };
        for (number, part) in parts.iter().enumerate() {
            let line = self.line(row, number, step);
            for (out, &x) in line.iter_mut().zip(numbers) {
                *out = pair::round(part.of(x));
            }
        }
    }

    /// Rows `[count, width]`; the depth is their width.
    pub(crate) fn pack(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(rows.len() / width, width, parts);
        vectorise(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact(width).enumerate() {
                    let later = rows.get((index + AHEAD) * width..(index + AHEAD + 1) * width);
                    prefetch(later.unwrap_or_default());
                    let (whole, rest) = row.as_chunks::<DEPTH>();
                    for (step, numbers) in whole.iter().enumerate() {
                        self.write(index, step, numbers, parts);
                    }
                    if !rest.is_empty() {
                        self.write(index, whole.len(), &filled_up(rest), parts);
                    }
                }
            },
        );
    }

    /// The columns of `[count, width]` as rows; the depth is the count.
    pub(crate) fn pack_transposed(&mut self, rows: &[f32], width: usize, parts: &[Part]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(width, rows.len() / width, parts);
        vectorise(
            #[inline(always)]
            || {
                for (step, rows) in rows.chunks(DEPTH * width).enumerate() {
                    for first in (0..width).step_by(SIDE) {
                        let columns = SIDE.min(width - first);
                        for (number, part) in parts.iter().enumerate() {
                            let couples = couples((rows, width), first..first + columns, *part);
                            for column in 0..columns {
                                let line = self.line(first + column, number, step);
                                let twos = line.as_chunks_mut::<2>().0;
                                for (two, couples) in twos.iter_mut().zip(&couples) {
                                    let couple = couples[column];
                                    *two = [couple as u16, (couple >> 16) as u16];
                                }
                            }
                        }
                    }
                }
            },
        );
    }
}

/// Numbers and zeros.
#[inline(always)]
fn filled_up(numbers: &[f32]) -> [f32; SIDE] {
    let mut all = [0.0; SIDE];
    all[..numbers.len()].copy_from_slice(numbers);
    all
}

/// Some columns of up to [`DEPTH`] rows, two rows in one, then zeros.
#[inline(always)]
fn couples(
    (rows, width): (&[f32], usize),
    columns: Range<usize>,
    part: Part,
) -> [[u32; SIDE]; DEPTH / 2] {
    let mut couples = [[0; SIDE]; DEPTH / 2];
    for (two, couples) in rows.chunks(2 * width).zip(&mut couples) {
        let (above, below) = two.split_at(width);
        let zeros = [0.0; SIDE];
        let below = below.get(columns.clone()).unwrap_or(&zeros);
        for ((couple, &a), &b) in couples.iter_mut().zip(&above[columns.clone()]).zip(below) {
            *couple = pair::pair(part.of(a), part.of(b));
        }
    }
    couples
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

    pub(super) fn sides(&self) -> usize {
        self.columns.div_ceil(SIDE)
    }

    /// Pairs of [`SIDE`] columns.
    pub(super) fn side(&self, side: usize) -> &[[[u32; SIDE]; DEPTH / 2]] {
        let steps = bytemuck::cast_slice::<Line, [[u32; SIDE]; DEPTH / 2]>(&self.lines);
        let count = self.depth / DEPTH;
        &steps[side * count..][..count]
    }

    /// Two numbers of each column of the first side.
    #[inline(always)]
    pub(super) fn pair(&mut self, number: usize, part: usize) -> &mut [u32; SIDE] {
        let pairs = bytemuck::cast_slice_mut::<Line, [u32; SIDE]>(&mut self.lines);
        &mut pairs[part * self.length / 2 + number]
    }

    /// The numbers of each column of the first side from `number * SIDE` on.
    #[inline(always)]
    pub(super) fn square(&mut self, number: usize) -> &mut [[u32; SIDE]; SIDE / 2] {
        &mut bytemuck::cast_slice_mut::<Line, [[u32; SIDE]; SIDE / 2]>(&mut self.lines)[number]
    }

    /// Fills each side, part by part, side by side if there is a pool.
    fn fill(
        &mut self,
        pool: Option<&Pool>,
        parts: &[Part],
        fill: impl Fn(usize, Part, &mut [[u32; SIDE]]) + Sync,
    ) {
        let (length, depth) = ((self.length / 2).max(1), (self.depth / 2).max(1));
        let all = bytemuck::cast_slice_mut::<Line, [u32; SIDE]>(&mut self.lines);
        let fill_side = |side: usize, pairs: &mut [[u32; SIDE]]| {
            for (pairs, part) in pairs.chunks_exact_mut(length).zip(parts) {
                fill(side, *part, pairs);
            }
        };
        match pool {
            Some(pool) => pool.chunks(all, depth, |side, pairs, _| fill_side(side, pairs)),
            None => {
                all.chunks_mut(depth).enumerate().for_each(|(side, pairs)| fill_side(side, pairs));
            }
        }
    }

    /// Makes room for columns of so many numbers, of which nothing is known.
    pub(crate) fn reshape(&mut self, columns: usize, count: usize, parts: &[Part]) {
        self.length = count.next_multiple_of(DEPTH);
        (self.columns, self.depth) = (columns, self.length * parts.len());
        self.lines.resize(columns.div_ceil(SIDE) * self.depth, Line::default());
    }

    /// Rows `[count, width]` as columns, filled up with zeros; the depth is their width.
    pub(crate) fn pack_across(
        &mut self,
        pool: Option<&Pool>,
        rows: &[f32],
        width: usize,
        parts: &[Part],
    ) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        self.reshape(rows.len() / width, width, parts);
        self.fill(pool, parts, |side, part, pairs| {
            let rows = &rows[side * SIDE * width..];
            let rows = &rows[..rows.len().min(SIDE * width)];
            vectorise(
                #[inline(always)]
                || {
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
                },
            );
        });
    }

    /// Rows `[count, width]` below each other; the depth is their count.
    pub(crate) fn pack_down(
        &mut self,
        pool: Option<&Pool>,
        rows: &[f32],
        width: usize,
        parts: &[Part],
    ) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        let count = rows.len() / width;
        self.reshape(width, count, parts);
        self.fill(pool, parts, |side, part, pairs| {
            let columns = side * SIDE..width.min((side + 1) * SIDE);
            vectorise(
                #[inline(always)]
                || {
                    let lanes =
                        |row: &[f32]| filled_up(row.get(columns.clone()).unwrap_or_default());
                    for (two, pairs) in rows.chunks(2 * width).zip(&mut *pairs) {
                        let (above, below) = two.split_at(width);
                        let (above, below) = (lanes(above), lanes(below));
                        for ((pair, &a), &b) in pairs.iter_mut().zip(&above).zip(&below) {
                            *pair = pair::pair(part.of(a), part.of(b));
                        }
                    }
                    pairs[count.div_ceil(2)..].fill([0; SIDE]);
                },
            );
        });
    }
}
