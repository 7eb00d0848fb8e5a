//! Matrix products on row-major blocks: faer's, single-threaded, with a fixed cut of the depth.
//!
//! Parallelism goes over blocks, never inside a product. Beyond a depth of a few hundred faer
//! chooses its blocks by cache geometry and the rounding would follow the machine, so the depth
//! is cut here.

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul, reborrow::ReborrowMut as _};

/// The largest depth of one product.
pub const DEPTH: usize = 512;

/// `out = left rightᵀ`: `left` `[m, depth]`, `right` `[n, depth]`, `out` `[m, n]`.
///
/// # Panics
/// If a length does not fit.
pub fn left_by_right_transposed(left: &[f32], right: &[f32], out: &mut [f32], depth: usize) {
    let (m, n) = (rows(left, depth), rows(right, depth));
    assert_eq!(out.len(), m * n, "out is [{m}, {n}]");
    let left = MatRef::from_row_major_slice(left, m, depth);
    let right = MatRef::from_row_major_slice(right, n, depth);
    multiply(left, right.transpose(), MatMut::from_row_major_slice_mut(out, m, n), false);
}

/// `out += left right`: `left` `[m, depth]`, `right` `[depth, n]`, `out` `[m, n]`.
///
/// # Panics
/// If a length does not fit.
pub fn add_left_by_right(left: &[f32], right: &[f32], out: &mut [f32], depth: usize) {
    let (m, n) = (rows(left, depth), right.len().checked_div(depth).unwrap_or(0));
    assert_eq!(right.len(), depth * n, "right is [{depth}, n]");
    assert_eq!(out.len(), m * n, "out is [{m}, {n}]");
    let left = MatRef::from_row_major_slice(left, m, depth);
    let right = MatRef::from_row_major_slice(right, depth, n);
    multiply(left, right, MatMut::from_row_major_slice_mut(out, m, n), true);
}

/// `out += leftᵀ right`: `left` `[depth, m]`, `right` `[depth, n]`, `out` `[m, n]`.
///
/// # Panics
/// If a length does not fit.
pub fn add_left_transposed_by_right(left: &[f32], right: &[f32], out: &mut [f32], depth: usize) {
    if depth == 0 {
        assert!(left.is_empty() && right.is_empty(), "factors of depth 0 are empty");
        return;
    }
    let (m, n) = (left.len() / depth, right.len() / depth);
    assert_eq!((left.len(), right.len()), (depth * m, depth * n), "factors are [{depth}, …]");
    assert_eq!(out.len(), m * n, "out is [{m}, {n}]");
    let left = MatRef::from_row_major_slice(left, depth, m);
    let right = MatRef::from_row_major_slice(right, depth, n);
    multiply(left.transpose(), right, MatMut::from_row_major_slice_mut(out, m, n), true);
}

fn rows(matrix: &[f32], width: usize) -> usize {
    let rows = matrix.len().checked_div(width).unwrap_or(0);
    assert_eq!(matrix.len(), rows * width, "a matrix of {width} columns");
    rows
}

fn multiply(left: MatRef<'_, f32>, right: MatRef<'_, f32>, mut out: MatMut<'_, f32>, add: bool) {
    let depth = left.ncols();
    if depth == 0 && !add {
        out.fill(0.0);
    }
    for start in (0..depth).step_by(DEPTH) {
        let length = DEPTH.min(depth - start);
        let accumulate = if add || start > 0 { Accum::Add } else { Accum::Replace };
        let left = left.subcols(start, length);
        let right = right.subrows(start, length);
        matmul(out.rb_mut(), accumulate, left, right, 1.0, Par::Seq);
    }
    clear_upper_halves();
}

/// Clears what lies above 128 bits of the vector registers. faer's assembly leaves it, and on Intel's
/// CPUs every instruction of the older encoding is then slow: a plugin's code, which is called or
/// returned to next, has them, and took twenty times as long.
fn clear_upper_halves() {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx") {
        #[target_feature(enable = "avx")]
        fn clear() {
            std::arch::x86_64::_mm256_zeroupper();
        }
        // SAFETY: the CPU has AVX.
        unsafe { clear() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(rows: usize, columns: usize, salt: usize) -> Vec<f32> {
        (0..rows * columns)
            .map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0)
            .collect()
    }

    fn reference(
        (m, n, depth): (usize, usize, usize),
        left: impl Fn(usize, usize) -> f32,
        right: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let at = |i, j| (0..depth).map(|k| f64::from(left(i, k)) * f64::from(right(k, j))).sum();
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
    }

    fn close(found: &[f32], expected: &[f64], depth: usize) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f64::from(*f) - e).abs() <= 1e-6 * (depth as f64 + 1.0), "{f} is not {e}");
        }
    }

    proptest! {
        #[test]
        fn products_match_plain_loops(m in 0..40_usize, n in 1..70_usize, depth in 1..1200_usize) {
            let (a, b) = (matrix(m, depth, 1), matrix(n, depth, 2));
            let mut out = vec![f32::NAN; m * n];
            left_by_right_transposed(&a, &b, &mut out, depth);
            close(&out, &reference((m, n, depth), |i, k| a[i * depth + k], |k, j| b[j * depth + k]), depth);

            let c = matrix(depth, n, 3);
            let mut out = vec![0.0; m * n];
            add_left_by_right(&a, &c, &mut out, depth);
            close(&out, &reference((m, n, depth), |i, k| a[i * depth + k], |k, j| c[k * n + j]), depth);

            let d = matrix(depth, m, 4);
            let mut out = vec![0.0; m * n];
            add_left_transposed_by_right(&d, &c, &mut out, depth);
            close(&out, &reference((m, n, depth), |i, k| d[k * m + i], |k, j| c[k * n + j]), depth);
        }

        /// Ranking compares scores of different tiles: a pair's score must not depend on where in
        /// a tile it stands.
        #[test]
        fn a_product_does_not_depend_on_the_place(
            n in 1..600_usize, depth in 1..300_usize, at in 0..600_usize, m in 1..20_usize,
        ) {
            let at = at % n;
            let (a, mut b) = (matrix(m, depth, 1), matrix(n, depth, 2));
            let row = matrix(1, depth, 9);
            b[at * depth..][..depth].copy_from_slice(&row);
            let (mut wide, mut first) = (vec![0.0; m * n], vec![0.0; m * n]);
            left_by_right_transposed(&a, &b, &mut wide, depth);
            b[..depth].copy_from_slice(&row);
            left_by_right_transposed(&a, &b, &mut first, depth);
            for i in 0..m {
                prop_assert_eq!(wide[i * n + at].to_bits(), first[i * n].to_bits());
            }
        }
    }
}
