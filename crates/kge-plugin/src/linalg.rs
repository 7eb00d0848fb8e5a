//! The import `linalg`: matrix products by the host's kernels, within a call's budget.

use kge_kernels::product::{
    add_left_by_right, add_left_transposed_by_right, left_by_right_transposed,
};

use crate::bindings::linalg::Host;
use crate::sandbox::State;

/// The extents of a product, and whether its factors lie transposed.
#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    transpose_a: bool,
    transpose_b: bool,
}

impl Host for State {
    fn matmul(
        &mut self,
        a: Vec<f32>,
        b: Vec<f32>,
        m: u32,
        k: u32,
        n: u32,
        transpose_a: bool,
        transpose_b: bool,
    ) -> wasmtime::Result<Vec<f32>> {
        let [m, k, n] = [m, k, n].map(|extent| extent as usize);
        multiply(self, &a, &b, Shape { batch: 1, m, k, n, transpose_a, transpose_b })
    }

    fn matmul_batched(
        &mut self,
        batch: u32,
        a: Vec<f32>,
        b: Vec<f32>,
        m: u32,
        k: u32,
        n: u32,
        transpose_a: bool,
        transpose_b: bool,
    ) -> wasmtime::Result<Vec<f32>> {
        let [batch, m, k, n] = [batch, m, k, n].map(|extent| extent as usize);
        multiply(self, &a, &b, Shape { batch, m, k, n, transpose_a, transpose_b })
    }
}

/// The products, if their factors have the right lengths and the call can still afford them.
fn multiply(state: &mut State, a: &[f32], b: &[f32], shape: Shape) -> wasmtime::Result<Vec<f32>> {
    let Shape { batch, m, k, n, .. } = shape;
    // Extents are of 32 bits: three of them fit into 128.
    let wide = |extents: &[usize]| extents.iter().map(|&extent| extent as u128).product::<u128>();
    let product = wide(&[batch, m, n]);
    state.afford(product, wide(&[m, k, n]).saturating_mul(2 * batch as u128))?;
    for (name, factor, expected) in [("a", a, wide(&[batch, m, k])), ("b", b, wide(&[batch, k, n]))]
    {
        if factor.len() as u128 != expected {
            let found = factor.len();
            let words = format!("matmul was given {found} floats in {name}, expected {expected}");
            return Err(wasmtime::Error::msg(words));
        }
    }
    // Affordable, so it fits.
    let mut products = vec![0.0; product as usize];
    if m * k * n > 0 {
        let factors = a.chunks_exact(m * k).zip(b.chunks_exact(k * n));
        for ((a, b), product) in factors.zip(products.chunks_exact_mut(m * n)) {
            one(a, b, product, shape);
        }
    }
    Ok(products)
}

/// One product of extents above 0 into zeros.
fn one(
    a: &[f32],
    b: &[f32],
    product: &mut [f32],
    Shape { m, k, n, transpose_a, transpose_b, .. }: Shape,
) {
    match (transpose_a, transpose_b) {
        (false, false) => add_left_by_right(a, b, product, k),
        (false, true) => left_by_right_transposed(a, b, product, k),
        (true, false) => add_left_transposed_by_right(a, b, product, k),
        (true, true) => {
            // A'B' is (B A)'.
            let mut turned = vec![0.0; m * n];
            add_left_by_right(b, a, &mut turned, k);
            for (row, values) in turned.chunks_exact(m).enumerate() {
                for (column, value) in values.iter().enumerate() {
                    product[column * n + row] = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn values(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0).collect()
    }

    #[test]
    fn every_transposition_gives_plain_loops_products() {
        let (batch, m, k, n) = (2, 3, 5, 4);
        let (a, b) = (values(batch * m * k, 1), values(batch * k * n, 2));
        for (transpose_a, transpose_b) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut state = State::new(&Limits::default());
            let found = state
                .matmul_batched(2, a.clone(), b.clone(), 3, 5, 4, transpose_a, transpose_b)
                .unwrap();
            assert_eq!(found.len(), batch * m * n);
            for (at, found) in found.iter().enumerate() {
                let (of, row, column) = (at / (m * n), at / n % m, at % n);
                let expected: f32 = (0..k)
                    .map(|l| {
                        let in_a = if transpose_a { l * m + row } else { row * k + l };
                        let in_b = if transpose_b { column * k + l } else { l * n + column };
                        a[of * m * k + in_a] * b[of * k * n + in_b]
                    })
                    .sum();
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_allocated() {
        let mut state = State::new(&Limits::default());
        let huge = u32::MAX;
        assert!(state.matmul(vec![], vec![], huge, 0, huge, false, false).is_err());
        assert!(state.matmul_batched(huge, vec![], vec![], huge, huge, huge, true, true).is_err());
        assert!(state.matmul(vec![1.0], vec![1.0], 1, huge, 1, false, false).is_err());
        assert_eq!(state.matmul(vec![], vec![], 2, 0, 1, false, false).unwrap(), [0.0; 2]);
        let error = state.matmul(vec![1.0], vec![1.0], 1, 2, 1, false, false).unwrap_err();
        assert_eq!(error.to_string(), "matmul was given 1 floats in a, expected 2");
    }
}
