//! Negated distances between rows, and how they pull.
//!
//! Sixteen fixed lanes a pair, added as a tree; square roots are the correctly rounded ones.

use crate::row::{LANES, fold, tree};

/// A distance, negated so that higher is nearer.
pub(crate) trait Distance: Copy + Sync {
    /// The score of one pair.
    fn score(self, a: &[f32], b: &[f32]) -> f32;

    /// Adds `weight * d score / d a` to `d_a`.
    fn add_gradient(self, weight: f32, a: &[f32], b: &[f32], d_a: &mut [f32]);

    /// Scores of a block: `queries` `[m, width]`, `candidates` `[n, width]`, `out` `[m, n]`.
    fn scores(self, queries: &[f32], candidates: &[f32], width: usize, out: &mut [f32]) {
        let n = candidates.len() / width;
        assert_eq!(candidates.len(), n * width, "candidates are [n, {width}]");
        assert_eq!(queries.len() * n, out.len() * width, "out is [m, {n}]");
        if n == 0 {
            return;
        }
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
                    for (candidate, out) in candidates.chunks_exact(width).zip(out) {
                        *out = self.score(query, candidate);
                    }
                }
            },
        );
    }

    /// Adds to each row of `pulled` what the rows of `others` do to it; the weight of pair
    /// `(i, j)` stands at `weights[i * strides.0 + j * strides.1]`.
    fn pull(
        self,
        weights: &[f32],
        strides: (usize, usize),
        rows: &[f32],
        others: &[f32],
        width: usize,
        pulled: &mut [f32],
    ) {
        assert_eq!(rows.len(), pulled.len(), "a gradient has its rows' shape");
        assert_eq!(weights.len() * width * width, rows.len() * others.len(), "a weight a pair");
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let each = rows.chunks_exact(width).zip(pulled.chunks_exact_mut(width));
                for (i, (row, pulled)) in each.enumerate() {
                    for (j, other) in others.chunks_exact(width).enumerate() {
                        let weight = weights[i * strides.0 + j * strides.1];
                        if weight != 0.0 {
                            self.add_gradient(weight, row, other, pulled);
                        }
                    }
                }
            },
        );
    }
}

/// `-sum |a - b|`.
#[derive(Clone, Copy)]
pub(crate) struct L1;

/// `-sqrt(sum (a - b)²)`.
#[derive(Clone, Copy)]
pub(crate) struct L2;

/// `-sum (a - b)²`.
#[derive(Clone, Copy)]
pub(crate) struct SquaredL2;

/// `-sum |a - b|` over complex numbers in halves.
#[derive(Clone, Copy)]
pub(crate) struct Modulus;

impl Distance for L1 {
    #[inline(always)]
    fn score(self, a: &[f32], b: &[f32]) -> f32 {
        -fold(a, b, |a, b, sum| sum + (a - b).abs())
    }

    #[inline(always)]
    fn add_gradient(self, weight: f32, a: &[f32], b: &[f32], d_a: &mut [f32]) {
        for ((d, a), b) in d_a.iter_mut().zip(a).zip(b) {
            let side = f32::from(u8::from(a > b)) - f32::from(u8::from(a < b));
            *d -= weight * side;
        }
    }
}

impl Distance for SquaredL2 {
    #[inline(always)]
    fn score(self, a: &[f32], b: &[f32]) -> f32 {
        -fold(a, b, |a, b, sum| (a - b).mul_add(a - b, sum))
    }

    #[inline(always)]
    fn add_gradient(self, weight: f32, a: &[f32], b: &[f32], d_a: &mut [f32]) {
        for ((d, a), b) in d_a.iter_mut().zip(a).zip(b) {
            *d -= 2.0 * weight * (a - b);
        }
    }
}

impl Distance for L2 {
    #[inline(always)]
    fn score(self, a: &[f32], b: &[f32]) -> f32 {
        -(-SquaredL2.score(a, b)).sqrt()
    }

    #[inline(always)]
    fn add_gradient(self, weight: f32, a: &[f32], b: &[f32], d_a: &mut [f32]) {
        let distance = -self.score(a, b);
        if distance > 0.0 {
            SquaredL2.add_gradient(weight / (2.0 * distance), a, b, d_a);
        }
    }
}

impl Distance for Modulus {
    #[inline(always)]
    fn score(self, a: &[f32], b: &[f32]) -> f32 {
        let half = a.len() / 2;
        let ((a_re, a_im), (b_re, b_im)) = (a.split_at(half), b.split_at(half));
        let modulus = |i: usize| {
            let (re, im) = (a_re[i] - b_re[i], a_im[i] - b_im[i]);
            re.mul_add(re, im * im).sqrt()
        };
        let mut lanes = [0.0; LANES];
        let whole = half / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            for (lane, sum) in lanes.iter_mut().enumerate() {
                *sum += modulus(start + lane);
            }
        }
        for i in whole..half {
            lanes[i - whole] += modulus(i);
        }
        -tree(lanes)
    }

    #[inline(always)]
    fn add_gradient(self, weight: f32, a: &[f32], b: &[f32], d_a: &mut [f32]) {
        let half = a.len() / 2;
        let ((a_re, a_im), (b_re, b_im)) = (a.split_at(half), b.split_at(half));
        let (d_re, d_im) = d_a.split_at_mut(half);
        for i in 0..half {
            let (re, im) = (a_re[i] - b_re[i], a_im[i] - b_im[i]);
            let modulus = re.mul_add(re, im * im).sqrt();
            let pull = if modulus > 0.0 { weight / modulus } else { 0.0 };
            d_re[i] -= pull * re;
            d_im[i] -= pull * im;
        }
    }
}
