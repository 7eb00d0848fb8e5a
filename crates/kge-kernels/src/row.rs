//! Single rows: dot products, lengths, sums. Sixteen fixed lanes, added as a tree.

use crate::simd::vectorise;

/// Lanes of every reduction; wide enough for AVX-512, the same at every width.
pub const LANES: usize = 16;

#[inline(always)]
pub(crate) fn tree(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Sums `term(a_i, b_i, sum)` over two rows of one length.
#[inline(always)]
pub(crate) fn fold(a: &[f32], b: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut a).zip(&mut b) {
        for i in 0..LANES {
            lanes[i] = term(a[i], b[i], lanes[i]);
        }
    }
    for (i, (&a, &b)) in a.remainder().iter().zip(b.remainder()).enumerate() {
        lanes[i] = term(a, b, lanes[i]);
    }
    tree(lanes)
}

/// `sum_i a_i b_i`.
///
/// # Panics
/// If the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "rows of one length");
    vectorise(
        #[inline(always)]
        || fold(a, b, |a, b, sum| a.mul_add(b, sum)),
    )
}

/// The Euclidean length.
pub fn length(row: &[f32]) -> f32 {
    dot(row, row).sqrt()
}

/// Whether every value is a finite number.
pub fn all_finite(values: &[f32]) -> bool {
    // All exponent bits set.
    const EXPONENT: u32 = 0x7f80_0000;
    let unsound = |value: &f32| u32::from(value.to_bits() & EXPONENT == EXPONENT);
    let any = vectorise(
        #[inline(always)]
        || values.iter().fold(0, |any, value| any | unsound(value)),
    );
    any == 0
}

/// Dot products of one row with each of `rows`, `[out.len(), row.len()]`.
///
/// # Panics
/// If a length does not fit.
pub fn dots(row: &[f32], rows: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), row.len() * out.len(), "rows are [{}, {}]", out.len(), row.len());
    if row.is_empty() {
        out.fill(0.0);
        return;
    }
    vectorise(
        #[inline(always)]
        || {
            for (other, out) in rows.chunks_exact(row.len()).zip(&mut *out) {
                *out = fold(row, other, |a, b, sum| a.mul_add(b, sum));
            }
        },
    );
}

/// Euclidean lengths of `rows`, `[out.len(), width]`.
///
/// # Panics
/// If a length does not fit.
pub fn lengths(rows: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(rows.len(), width * out.len(), "rows are [{}, {width}]", out.len());
    for (row, out) in rows.chunks_exact(width.max(1)).zip(out) {
        *out = length(row);
    }
}

/// `sum += row`.
///
/// # Panics
/// If the lengths differ.
pub fn add(sum: &mut [f32], row: &[f32]) {
    assert_eq!(sum.len(), row.len(), "rows of one length");
    vectorise(
        #[inline(always)]
        || sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x),
    );
}

/// `sum += weight * row`.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled(sum: &mut [f32], weight: f32, row: &[f32]) {
    assert_eq!(sum.len(), row.len(), "rows of one length");
    vectorise(
        #[inline(always)]
        || {
            for (sum, &x) in sum.iter_mut().zip(row) {
                *sum = weight.mul_add(x, *sum);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_found_wherever_it_stands() {
        for count in [0, 1, 15, 16, 17, 100] {
            let mut values = vec![f32::MAX; count];
            assert!(all_finite(&values));
            for at in 0..count {
                for unsound in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let before = std::mem::replace(&mut values[at], unsound);
                    assert!(!all_finite(&values), "{unsound} at {at} of {count}");
                    values[at] = before;
                }
            }
        }
    }

    #[test]
    fn ragged_rows_match_f64() {
        for width in [0, 1, 2, 15, 16, 17, 100, 257] {
            let a: Vec<f32> = (0..width).map(|i| (i as f32 * 0.37).sin()).collect();
            let b: Vec<f32> = (0..width).map(|i| (i as f32 * 0.73).cos()).collect();
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-5);
            let mut out = [0.0; 2];
            dots(&a, &[b.clone(), b.clone()].concat(), &mut out);
            assert_eq!(out, [dot(&a, &b); 2]);
        }
    }
}
