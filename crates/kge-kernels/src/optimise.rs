//! Row updates: gradients become steps, constraints are restored.
//!
//! Each function updates one row in place; they are elementwise, so a row may be cut anywhere.

use crate::simd::vectorise;

/// Keeps Adagrad's and Adam's divisors from 0, as PyTorch has them.
const ADAGRAD_EPSILON: f32 = 1e-10;
const ADAM_EPSILON: f32 = 1e-8;
/// Adam's usual decay rates.
const ADAM_FIRST: f32 = 0.9;
const ADAM_SECOND: f32 = 0.999;

/// One Adagrad step (Duchi et al. 2011): `squares += g²`, `row -= rate g / (√squares + ε)`.
///
/// # Panics
/// If the lengths differ.
pub fn adagrad(row: &mut [f32], gradient: &[f32], squares: &mut [f32], rate: f32) {
    assert_eq!((row.len(), row.len()), (gradient.len(), squares.len()), "rows of one length");
    vectorise(
        #[inline(always)]
        || {
            for ((x, &g), square) in row.iter_mut().zip(gradient).zip(&mut *squares) {
                *square = g.mul_add(g, *square);
                *x -= rate * g / (square.sqrt() + ADAGRAD_EPSILON);
            }
        },
    );
}

/// One step of gradient descent: `row -= rate g`.
///
/// # Panics
/// If the lengths differ.
pub fn sgd(row: &mut [f32], gradient: &[f32], rate: f32) {
    crate::row::add_scaled(row, -rate, gradient);
}

/// One Adagrad step with one sum of squares a row, the mean of its floats' (Lerer et al. 2019,
/// PyTorch-BigGraph): a fraction of Adagrad's memory.
///
/// # Panics
/// If the lengths differ or the row is empty.
pub fn row_adagrad(row: &mut [f32], gradient: &[f32], square: &mut f32, rate: f32) {
    assert!(row.len() == gradient.len() && !row.is_empty(), "rows of one length, not empty");
    *square += crate::row::dot(gradient, gradient) / row.len() as f32;
    sgd(row, gradient, rate / (square.sqrt() + ADAGRAD_EPSILON));
}

/// Adam's bias corrections after some steps: `1 - β₁ᵗ` and `1 - β₂ᵗ`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamCorrection {
    first: f32,
    second: f32,
}

impl AdamCorrection {
    /// After `steps` steps, from 1. Repeated squaring by hand: the same bytes everywhere.
    pub fn after(steps: u64) -> Self {
        let power = |base: f32| {
            let (mut result, mut square, mut rest) = (1.0_f64, f64::from(base), steps);
            while rest > 0 {
                if rest & 1 == 1 {
                    result *= square;
                }
                square *= square;
                rest >>= 1;
            }
            (1.0 - result) as f32
        };
        Self { first: power(ADAM_FIRST), second: power(ADAM_SECOND) }
    }
}

/// One Adam step (Kingma and Ba 2015). `moments` holds the row's first moments, then its second
/// ones: `[2, row]`.
///
/// # Panics
/// If a length does not fit.
pub fn adam(
    row: &mut [f32],
    gradient: &[f32],
    moments: &mut [f32],
    rate: f32,
    correction: AdamCorrection,
) {
    assert_eq!((row.len(), 2 * row.len()), (gradient.len(), moments.len()), "moments are [2, row]");
    let (first, second) = moments.split_at_mut(row.len());
    vectorise(
        #[inline(always)]
        || {
            let moments = first.iter_mut().zip(&mut *second);
            for ((x, &g), (m, v)) in row.iter_mut().zip(gradient).zip(moments) {
                *m = ADAM_FIRST * *m + (1.0 - ADAM_FIRST) * g;
                *v = ADAM_SECOND * *v + (1.0 - ADAM_SECOND) * g * g;
                let (m, v) = (*m / correction.first, *v / correction.second);
                *x -= rate * m / (v.sqrt() + ADAM_EPSILON);
            }
        },
    );
}

/// Scales a row to Euclidean length 1; a row of zeros stays.
pub fn unit_norm(row: &mut [f32]) {
    let length = crate::row::length(row);
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x /= length);
    }
}

/// Scales a row to Euclidean length 1 if it is longer.
pub fn unit_ball(row: &mut [f32]) {
    if crate::row::length(row) > 1.0 {
        unit_norm(row);
    }
}

/// Wraps angles into `[-pi, pi)`.
pub fn wrap_phase(row: &mut [f32]) {
    use std::f32::consts::{PI, TAU};
    for x in row {
        *x = (*x + PI).rem_euclid(TAU) - PI;
    }
}

/// Adds the gradient of `weight * sum |x|³`; complex rows (halves) count moduli
/// (Lacroix et al. 2018).
///
/// # Panics
/// If the lengths differ.
pub fn add_n3_gradient(gradient: &mut [f32], row: &[f32], weight: f32, complex: bool) {
    assert_eq!(gradient.len(), row.len(), "rows of one length");
    let weight = 3.0 * weight;
    if complex {
        let half = row.len() / 2;
        let (re, im) = row.split_at(half);
        let (d_re, d_im) = gradient.split_at_mut(half);
        vectorise(
            #[inline(always)]
            || {
                let gradients = d_re.iter_mut().zip(&mut *d_im);
                for ((d_re, d_im), (&re, &im)) in gradients.zip(re.iter().zip(im)) {
                    let pull = weight * re.mul_add(re, im * im).sqrt();
                    *d_re += pull * re;
                    *d_im += pull * im;
                }
            },
        );
    } else {
        vectorise(
            #[inline(always)]
            || {
                for (d, &x) in gradient.iter_mut().zip(row) {
                    *d += weight * x.abs() * x;
                }
            },
        );
    }
}

/// Adds the gradient of `weight * sum x²`.
///
/// # Panics
/// If the lengths differ.
pub fn add_l2_gradient(gradient: &mut [f32], row: &[f32], weight: f32) {
    assert_eq!(gradient.len(), row.len(), "rows of one length");
    sgd(gradient, row, -2.0 * weight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adagrad_and_adam_follow_their_papers() {
        let (mut row, mut squares) = ([1.0, -2.0], [0.0, 3.0]);
        adagrad(&mut row, &[0.5, 1.0], &mut squares, 0.1);
        assert_eq!(squares, [0.25, 4.0]);
        assert!((row[0] - 0.9).abs() < 1e-6 && (row[1] + 2.05).abs() < 1e-6);

        let (mut row, mut square) = ([1.0, -2.0], 0.5);
        row_adagrad(&mut row, &[1.0, 2.0], &mut square, 0.1);
        assert_eq!(square, 3.0);
        assert!((row[0] - (1.0 - 0.1 / 3.0_f32.sqrt())).abs() < 1e-6, "{row:?}");
        assert!((row[1] + 2.0 + 0.2 / 3.0_f32.sqrt()).abs() < 1e-6, "{row:?}");

        let (mut row, mut moments) = ([1.0], [0.0, 0.0]);
        adam(&mut row, &[0.5], &mut moments, 0.1, AdamCorrection::after(1));
        // The first step of Adam is the rate, whatever the gradient.
        assert!((row[0] - 0.9).abs() < 1e-5, "{row:?}");
        adam(&mut row, &[0.5], &mut moments, 0.1, AdamCorrection::after(2));
        assert!((row[0] - 0.8).abs() < 1e-5, "{row:?}");
    }

    #[test]
    fn constraints_hold_afterwards() {
        let mut row = [3.0, 4.0];
        unit_ball(&mut row);
        assert_eq!(row, [0.6, 0.8]);
        let mut short = [0.3, 0.4];
        unit_ball(&mut short);
        assert_eq!(short, [0.3, 0.4]);
        unit_norm(&mut short);
        assert!((crate::row::length(&short) - 1.0).abs() < 1e-6);
        let mut angles = [4.0, -4.0, 0.5];
        wrap_phase(&mut angles);
        assert!(angles.iter().all(|a| (-std::f32::consts::PI..std::f32::consts::PI).contains(a)));
        assert!((angles[2] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn penalties_match_differences() {
        let row = [0.3_f32, -0.7, 0.2, 0.9];
        let n3 = |row: &[f32; 4], complex: bool| -> f64 {
            let cube = |x: f64| x.powi(3);
            if complex {
                (0..2).map(|i| cube(f64::from(row[i]).hypot(f64::from(row[i + 2])))).sum()
            } else {
                row.iter().map(|x| cube(f64::from(x.abs()))).sum()
            }
        };
        for complex in [false, true] {
            let mut gradient = [0.0; 4];
            add_n3_gradient(&mut gradient, &row, 2.0, complex);
            for i in 0..4 {
                let (mut up, mut down) = (row, row);
                up[i] += 1e-2;
                down[i] -= 1e-2;
                let expected = 2.0 * (n3(&up, complex) - n3(&down, complex)) / 2e-2;
                assert!((f64::from(gradient[i]) - expected).abs() < 1e-3, "{i} {complex}");
            }
        }
    }
}
