//! Component by component: sums, products, scaling; and lengths, dot products, parts put together.
//!
//! Loops are plain and run over slices of one length, which the compiler turns into SIMD; sums
//! have eight lanes, so that those become SIMD too and have one fixed order.

use std::ops::{Add, Mul, Neg, Sub};

use super::{Operation, Row};

/// `a . b`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (heads_a, heads_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = heads_a.remainder().iter().zip(heads_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in heads_a.zip(heads_b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// The sum of `of` each value.
pub(super) fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let heads = row.chunks_exact(8);
    let tail: f32 = heads.remainder().iter().map(|&value| of(value)).sum();
    for head in heads {
        for lane in 0..8 {
            lanes[lane] += of(head[lane]);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// `to += factor * from`.
pub(super) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// `a + factor * b`.
struct Sum {
    factor: f32,
}

impl Operation<2> for Sum {
    const READS_INPUTS: bool = false;

    fn forward(&self, [a, b]: [&[f32]; 2], result: &mut [f32]) {
        for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
            *result = a + self.factor * b;
        }
    }

    fn backward(
        &self,
        which: usize,
        _: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        add_scaled(d_input, if which == 0 { 1.0 } else { self.factor }, d_result);
    }
}

struct Product;

impl Operation<2> for Product {
    fn forward(&self, [a, b]: [&[f32]; 2], result: &mut [f32]) {
        for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
            *result = a * b;
        }
    }

    fn backward(
        &self,
        which: usize,
        inputs: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        for ((d_input, d_result), other) in d_input.iter_mut().zip(d_result).zip(inputs[1 - which])
        {
            *d_input += d_result * other;
        }
    }
}

/// Parts of a row, each times a number: negation, scaling, conjugation.
struct Scale {
    factors: Vec<f32>,
}

impl Operation<1> for Scale {
    const READS_INPUTS: bool = false;

    fn forward(&self, [a]: [&[f32]; 1], result: &mut [f32]) {
        let part = (a.len() / self.factors.len()).max(1);
        for ((result, a), factor) in
            result.chunks_exact_mut(part).zip(a.chunks_exact(part)).zip(&self.factors)
        {
            for (result, a) in result.iter_mut().zip(a) {
                *result = factor * a;
            }
        }
    }

    fn backward(&self, _: usize, _: [&[f32]; 1], _: &[f32], d_result: &[f32], d_a: &mut [f32]) {
        let part = (d_a.len() / self.factors.len()).max(1);
        for ((d_a, d_result), &factor) in
            d_a.chunks_exact_mut(part).zip(d_result.chunks_exact(part)).zip(&self.factors)
        {
            add_scaled(d_a, factor, d_result);
        }
    }
}

/// A row times a row of one float.
struct ScaledBy;

impl Operation<2> for ScaledBy {
    fn forward(&self, [a, s]: [&[f32]; 2], result: &mut [f32]) {
        for (result, a) in result.iter_mut().zip(a) {
            *result = a * s[0];
        }
    }

    fn backward(
        &self,
        which: usize,
        [a, s]: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        match which {
            0 => add_scaled(d_input, s[0], d_result),
            _ => d_input[0] += dot(a, d_result),
        }
    }
}

struct Dot;

impl Operation<2> for Dot {
    fn forward(&self, [a, b]: [&[f32]; 2], result: &mut [f32]) {
        result[0] = dot(a, b);
    }

    fn backward(
        &self,
        which: usize,
        inputs: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        add_scaled(d_input, d_result[0], inputs[1 - which]);
    }
}

/// Divides by the Euclidean length; a row of zeros stays one.
struct Normalise;

const TINY: f32 = 1e-12;

impl Operation<1> for Normalise {
    const READS_RESULT: bool = true;

    fn forward(&self, [a]: [&[f32]; 1], result: &mut [f32]) {
        let length = dot(a, a).sqrt().max(TINY);
        for (result, a) in result.iter_mut().zip(a) {
            *result = a / length;
        }
    }

    fn backward(&self, _: usize, [a]: [&[f32]; 1], y: &[f32], d_y: &[f32], d_a: &mut [f32]) {
        let (length, along) = (dot(a, a).sqrt().max(TINY), dot(y, d_y));
        for ((d_a, d_y), y) in d_a.iter_mut().zip(d_y).zip(y) {
            *d_a += (d_y - along * y) / length;
        }
    }
}

struct Concat<const N: usize> {
    widths: [usize; N],
}

impl<const N: usize> Operation<N> for Concat<N> {
    const READS_INPUTS: bool = false;

    fn forward(&self, inputs: [&[f32]; N], mut result: &mut [f32]) {
        for input in inputs {
            let (to, rest) = result.split_at_mut(input.len());
            to.copy_from_slice(input);
            result = rest;
        }
    }

    fn backward(
        &self,
        which: usize,
        _: [&[f32]; N],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        let start: usize = self.widths[..which].iter().sum();
        add_scaled(d_input, 1.0, &d_result[start..start + d_input.len()]);
    }
}

struct Zeros;

impl Operation<0> for Zeros {
    fn forward(&self, _: [&[f32]; 0], result: &mut [f32]) {
        result.fill(0.0);
    }

    fn backward(&self, _: usize, _: [&[f32]; 0], _: &[f32], _: &[f32], _: &mut [f32]) {}
}

impl<'g> Row<'g> {
    fn with(self, other: Self, operation: impl Operation<2>) -> Self {
        assert_eq!(self.width(), other.width(), "two rows of one width");
        Self::computed(operation, [self, other], self.width())
    }

    /// This row times a number.
    #[must_use]
    pub fn scale(self, factor: f32) -> Self {
        self.scale_parts(&[factor])
    }

    /// This row's equal parts, each times a number.
    ///
    /// # Panics
    /// If the width is no multiple of the number of factors.
    #[must_use]
    pub fn scale_parts(self, factors: &[f32]) -> Self {
        assert_eq!(
            self.width() % factors.len(),
            0,
            "a row that falls into {} parts",
            factors.len()
        );
        Self::computed(Scale { factors: factors.to_vec() }, [self], self.width())
    }

    /// This row times a row of one float.
    ///
    /// # Panics
    /// If `factor` is wider.
    #[must_use]
    pub fn scaled_by(self, factor: Self) -> Self {
        assert_eq!(factor.width(), 1, "a row of one float");
        Self::computed(ScaledBy, [self, factor], self.width())
    }

    /// The dot product, a row of one float.
    ///
    /// # Panics
    /// If the widths differ.
    #[must_use]
    pub fn dot(self, other: Self) -> Self {
        assert_eq!(self.width(), other.width(), "two rows of one width");
        Self::computed(Dot, [self, other], 1)
    }

    /// This row divided by its Euclidean length.
    #[must_use]
    pub fn normalise(self) -> Self {
        Self::computed(Normalise, [self], self.width())
    }

    /// Rows one after the other.
    #[must_use]
    pub fn concat<const N: usize>(rows: [Self; N]) -> Self {
        let widths = rows.map(Self::width);
        Self::computed(Concat { widths }, rows, widths.iter().sum())
    }

    /// As many zeros as this row has floats.
    #[must_use]
    pub fn zeros(self) -> Self {
        self.graph.record(std::rc::Rc::new(super::PerRow(Zeros)), Vec::new(), self.width())
    }
}

impl Add for Row<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, Sum { factor: 1.0 })
    }
}

impl Sub for Row<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, Sum { factor: -1.0 })
    }
}

impl Mul for Row<'_> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.with(other, Product)
    }
}

impl Neg for Row<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.scale(-1.0)
    }
}
