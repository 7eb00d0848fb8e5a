//! Principal components: the directions in which rows differ most (Pearson 1901), by faer's
//! singular value decomposition of the centred rows, in `f64` and on one thread.
//!
//! A singular vector's sign is free; here its largest component is positive, the first of several
//! as large, so that the same rows always give the same picture.

use faer::{
    Mat, MatRef, Par,
    diag::Diag,
    dyn_stack::{MemBuffer, MemStack},
    linalg::svd::{ComputeSvdVectors, svd, svd_scratch},
};

/// Rows seen along their principal directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Each row's coordinates, `[rows, axes]`, row-major, around their mean.
    pub coordinates: Vec<f64>,
    /// The share of all variance that each axis has, largest first; zeros where rows are equal.
    pub shares: Vec<f64>,
}

/// The first `axes` principal components of `rows`, `[n, width]` row-major. Axes beyond what the
/// rows can span are zeros. `None` if a number is not finite.
///
/// # Panics
/// If `rows` is not whole rows of `width`.
pub fn principal(rows: &[f32], width: usize, axes: usize) -> Option<Principal> {
    let n = rows.len().checked_div(width).unwrap_or(0);
    assert_eq!(rows.len(), n * width, "rows of {width} numbers");
    let mut found = Principal { coordinates: vec![0.0; n * axes], shares: vec![0.0; axes] };
    if !crate::row::all_finite(rows) {
        return None;
    }
    if n == 0 || axes == 0 {
        return Some(found);
    }
    let rows = MatRef::from_row_major_slice(rows, n, width);
    let means: Vec<f64> = (0..width)
        .map(|j| (0..n).map(|i| f64::from(rows[(i, j)])).sum::<f64>() / n as f64)
        .collect();
    let centred = Mat::from_fn(n, width, |i, j| f64::from(rows[(i, j)]) - means[j]);
    let (values, directions) = right_singular(&centred)?;

    let variance = |k: usize| values[k] * values[k];
    let total: f64 = (0..values.len()).map(variance).sum();
    for axis in 0..axes.min(values.len()) {
        let sign = sign((0..width).map(|j| directions[(j, axis)]));
        for i in 0..n {
            let along = |j| centred[(i, j)] * directions[(j, axis)];
            found.coordinates[i * axes + axis] = sign * (0..width).map(along).sum::<f64>();
        }
        found.shares[axis] = if total > 0.0 { variance(axis) / total } else { 0.0 };
    }
    Some(found)
}

/// Singular values, largest first, and the right singular vectors as columns.
fn right_singular(matrix: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let (n, width) = matrix.shape();
    let size = n.min(width);
    let mut values = Diag::zeros(size);
    let mut directions = Mat::zeros(width, size);
    let (none, thin) = (ComputeSvdVectors::No, ComputeSvdVectors::Thin);
    let scratch = svd_scratch::<f64>(n, width, none, thin, Par::Seq, Default::default());
    svd(
        matrix.as_ref(),
        values.as_mut(),
        None,
        Some(directions.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some((values.column_vector().iter().copied().collect(), directions))
}

/// The sign that makes the largest component positive.
fn sign(direction: impl Iterator<Item = f64>) -> f64 {
    let largest = direction.fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
    if largest < 0.0 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use faer::Side;
    use proptest::prelude::*;

    use super::*;

    /// The same by another way: eigenvalues of the scatter matrix, largest first.
    fn reference(rows: &[f32], width: usize) -> (Vec<f64>, Mat<f64>, Mat<f64>) {
        let n = rows.len() / width;
        let at = |i: usize, j: usize| f64::from(rows[i * width + j]);
        let mean = |j: usize| (0..n).map(|i| at(i, j)).sum::<f64>() / n as f64;
        let centred = Mat::from_fn(n, width, |i, j| at(i, j) - mean(j));
        let scatter = centred.transpose() * &centred;
        let eigen = scatter.self_adjoint_eigen(Side::Lower).unwrap();
        let mut values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        values.reverse();
        (values, eigen.U().reverse_cols().to_owned(), centred)
    }

    proptest! {
        #[test]
        fn components_are_those_of_the_scatter_matrix(
            rows in (1..12_usize).prop_flat_map(|width| {
                prop::collection::vec(prop::collection::vec(-3.0_f32..3.0, width), 2..40)
            }),
        ) {
            let width = rows[0].len();
            let flat: Vec<f32> = rows.concat();
            let axes = width.min(3);
            let found = principal(&flat, width, axes).unwrap();
            let (values, directions, centred) = reference(&flat, width);
            let total: f64 = values.iter().sum();
            for axis in 0..axes {
                let expected = values[axis].max(0.0) / total;
                prop_assert!((found.shares[axis] - expected).abs() < 1e-6, "{found:?}");
                // Two equal eigenvalues share a plane, in which any two directions do.
                let apart = |other: usize| (values[axis] - values[other]).abs() > 1e-3 * total;
                if (0..width).any(|other| other != axis && !apart(other)) {
                    continue;
                }
                let sign = sign((0..width).map(|j| directions[(j, axis)]));
                for i in 0..rows.len() {
                    let along: f64 = (0..width).map(|j| centred[(i, j)] * directions[(j, axis)]).sum();
                    let at = found.coordinates[i * axes + axis];
                    prop_assert!((at - sign * along).abs() < 1e-6, "{at} is not {}", sign * along);
                }
            }
        }

        #[test]
        fn order_of_rows_and_scale_do_not_turn_the_picture(
            seed in 0..1000_usize, by in 1..20_usize,
        ) {
            let (n, width) = (20, 4);
            let value = |i: usize, j: usize| ((i * 31 + j * 17 + seed * 7) % 101) as f32 * (4 - j) as f32;
            let rows: Vec<f32> = (0..n).flat_map(|i| (0..width).map(move |j| value(i, j))).collect();
            let turned: Vec<f32> = (0..n).flat_map(|i| (0..width).map(move |j| value((i + by) % n, j))).collect();
            let (a, b) = (principal(&rows, width, 1).unwrap(), principal(&turned, width, 1).unwrap());
            for i in 0..n {
                let (one, other) = (a.coordinates[(i + by) % n], b.coordinates[i]);
                prop_assert!((one - other).abs() < 1e-6 * (1.0 + one.abs()), "{one} is not {other}");
            }
        }
    }

    #[test]
    fn a_line_has_one_axis_and_degenerate_rows_none() {
        let line = [1.0, 2.0, 2.0, 4.0, 3.0, 6.0];
        let found = principal(&line, 2, 2).unwrap();
        assert!((found.shares[0] - 1.0).abs() < 1e-12 && found.shares[1] < 1e-12, "{found:?}");
        let along: Vec<_> = found.coordinates.iter().step_by(2).collect();
        assert!((along[0] + 5.0_f64.sqrt()).abs() < 1e-12, "{along:?}");

        let zeros = |n: usize| Principal { coordinates: vec![0.0; n * 2], shares: vec![0.0; 2] };
        assert_eq!(principal(&[], 3, 2), Some(zeros(0)));
        assert_eq!(principal(&[7.0; 9], 3, 2), Some(zeros(3)));
        assert_eq!(principal(&[1.0, 2.0, 3.0], 3, 2), Some(zeros(1)));
        assert_eq!(principal(&[1.0, f32::NAN], 1, 1), None);
    }
}
