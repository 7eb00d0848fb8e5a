//! Rows rearranged so that the kernels load whole vectors of them.
//!
//! The arrangement follows the vector width, which one process never changes.

use pulp::{Simd, WithSimd};

use crate::{Similarity, simd::arch};

/// Vectors that a kernel takes side by side.
pub(super) const VECTORS: usize = 2;

/// Queries in groups whose values at one place lie together: `[ceil(count / r), width, r]` for
/// groups of `r`, filled up with zeros.
#[derive(Debug, Default)]
pub struct Grouped {
    data: Vec<f32>,
    count: usize,
    width: usize,
    group: usize,
}

impl Grouped {
    /// Takes in `rows`, `[count, width]`, for scores of this similarity.
    ///
    /// # Panics
    /// If the width is 0 or does not divide the length.
    pub fn pack(&mut self, rows: &[f32], width: usize, similarity: Similarity) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        (self.count, self.width) = (rows.len() / width, width);
        self.group = super::score_rows(similarity);
        self.data.resize(self.count.next_multiple_of(self.group) * width, 0.0);
        interleave(rows, width, self.group, &mut self.data);
    }

    /// Queries.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Floats in one.
    pub fn width(&self) -> usize {
        self.width
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }
}

/// `[count, width]` to `[ceil(count / side), width, side]`, filled up with zeros.
#[inline(always)]
fn interleave(rows: &[f32], width: usize, side: usize, out: &mut [f32]) {
    for (panel, rows) in out.chunks_exact_mut(side * width).zip(rows.chunks(side * width)) {
        if rows.len() < panel.len() {
            panel.fill(0.0);
        }
        for (lane, row) in rows.chunks_exact(width).enumerate() {
            for (&x, out) in row.iter().zip(panel.iter_mut().skip(lane).step_by(side)) {
                *out = x;
            }
        }
    }
}

/// Candidates side by side: `[ceil(count / w), width, w]` for a pair of vectors of `w` floats,
/// filled up with zeros; and the bias of each, which is added to its scores.
#[derive(Debug, Default)]
pub struct Transposed {
    data: Vec<f32>,
    biases: Vec<f32>,
    count: usize,
    width: usize,
}

impl Transposed {
    /// Takes in `rows`, `[count, width]`, and their biases, which may be none.
    ///
    /// # Panics
    /// If the width is 0 or does not divide the length, or there are biases but not one a row.
    pub fn pack(&mut self, rows: &[f32], width: usize, biases: &[f32]) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        (self.count, self.width) = (rows.len() / width, width);
        assert!(biases.is_empty() || biases.len() == self.count, "a bias a candidate, or none");
        arch().dispatch(Transpose { rows, into: self });
        self.biases.clear();
        self.biases.extend_from_slice(biases);
        self.biases.resize(self.data.len() / width, 0.0);
    }

    /// Candidates.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Floats in one.
    pub fn width(&self) -> usize {
        self.width
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    /// One a candidate, filled up as the rows are.
    pub(super) fn biases(&self) -> &[f32] {
        &self.biases
    }
}

struct Transpose<'a> {
    rows: &'a [f32],
    into: &'a mut Transposed,
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, into: Transposed { data, count, width, .. } } = self;
        let (side, width) = (S::F32_LANES * VECTORS, *width);
        data.resize(count.next_multiple_of(side) * width, 0.0);
        interleave(rows, width, side, data);
    }
}

/// Rows cut into columns of a pair of vectors: `[parts, ceil(width / parts / w), count, w]`,
/// filled up with zeros. Complex rows have two parts, their halves.
#[derive(Debug, Default)]
pub struct Columns {
    data: Vec<f32>,
    count: usize,
    width: usize,
    parts: usize,
}

impl Columns {
    /// Takes in `rows`, `[count, width]`, for pulls of this similarity.
    ///
    /// # Panics
    /// If the width is 0 or does not divide the length.
    pub fn pack(&mut self, rows: &[f32], width: usize, similarity: Similarity) {
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [count, {width}]");
        (self.count, self.width) = (rows.len() / width, width);
        self.parts = if similarity == Similarity::Modulus { 2 } else { 1 };
        arch().dispatch(Cut { rows, into: self });
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Floats in one.
    pub fn width(&self) -> usize {
        self.width
    }

    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }
}

struct Cut<'a> {
    rows: &'a [f32],
    into: &'a mut Columns,
}

impl WithSimd for Cut<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, into: Columns { data, count, width, parts } } = self;
        let side = S::F32_LANES * VECTORS;
        let part = *width / *parts;
        let panels = part.div_ceil(side);
        data.resize(*parts * panels * *count * side, 0.0);
        if *count == 0 {
            return;
        }
        for (index, panel) in data.chunks_exact_mut(*count * side).enumerate() {
            let start = index / panels * part + index % panels * side;
            let length = side.min(part - index % panels * side);
            for (row, out) in rows.chunks_exact(*width).zip(panel.chunks_exact_mut(side)) {
                out[..length].copy_from_slice(&row[start..][..length]);
                out[length..].fill(0.0);
            }
        }
    }
}
