//! The import `linalg`: matrix products by the host's kernels, within a batch's budget.

use kge_kernels::product::{
    add_left_by_right, add_left_transposed_by_right, left_by_right_transposed,
};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::bindings::LINALG;
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

/// The bits of floats, in the guest's memory: read where they lie.
type Factor = WasmList<u32>;

/// Both factors, their extents, and whether they lie transposed.
type Product = (Factor, Factor, u32, u32, u32, bool, bool);
type Products = (u32, Factor, Factor, u32, u32, u32, bool, bool);

/// Offers the interface to components.
pub(crate) fn offer(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(LINALG)?;
    interface.func_wrap(
        "matmul",
        |store: StoreContextMut<'_, State>, (a, b, m, k, n, transpose_a, transpose_b): Product| {
            let [m, k, n] = [m, k, n].map(|extent| extent as usize);
            multiply(store, a, b, Shape { batch: 1, m, k, n, transpose_a, transpose_b })
        },
    )?;
    interface.func_wrap(
        "matmul-batched",
        |store: StoreContextMut<'_, State>,
         (batch, a, b, m, k, n, transpose_a, transpose_b): Products| {
            let [batch, m, k, n] = [batch, m, k, n].map(|extent| extent as usize);
            multiply(store, a, b, Shape { batch, m, k, n, transpose_a, transpose_b })
        },
    )
}

fn multiply(
    mut store: StoreContextMut<'_, State>,
    a: Factor,
    b: Factor,
    shape: Shape,
) -> wasmtime::Result<(Vec<f32>,)> {
    shape.admit(store.data_mut(), a.len(), b.len())?;
    let [a, b] = [&a, &b].map(|factor| bytemuck::cast_slice(factor.as_le_slice(&store)));
    Ok((shape.products(a, b),))
}

impl Shape {
    /// Charges the products to the batch's budget.
    ///
    /// # Errors
    /// If it cannot afford them, or a factor has the wrong length.
    fn admit(self, state: &mut State, a: usize, b: usize) -> wasmtime::Result<()> {
        let Self { batch, m, k, n, .. } = self;
        // Extents are of 32 bits: three of them fit into 128.
        let wide =
            |extents: &[usize]| extents.iter().map(|&extent| extent as u128).product::<u128>();
        let operations = wide(&[m, k, n]).saturating_mul(2 * batch as u128);
        state.afford(wide(&[batch, m, n]), operations)?;
        for (name, found, expected) in
            [("a", a, wide(&[batch, m, k])), ("b", b, wide(&[batch, k, n]))]
        {
            if found as u128 != expected {
                let words =
                    format!("matmul was given {found} floats in {name}, expected {expected}");
                return Err(wasmtime::Error::msg(words));
            }
        }
        Ok(())
    }

    /// The products of [admitted](Self::admit) factors.
    fn products(self, a: &[f32], b: &[f32]) -> Vec<f32> {
        let Self { batch, m, k, n, .. } = self;
        let mut products = vec![0.0; batch * m * n];
        // Extents of products that are admitted may be anything where there are none.
        if !products.is_empty() && k > 0 {
            let factors = a.chunks_exact(m * k).zip(b.chunks_exact(k * n));
            for ((a, b), product) in factors.zip(products.chunks_exact_mut(m * n)) {
                one(a, b, product, self);
            }
        }
        products
    }
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
            let shape = Shape { batch, m, k, n, transpose_a, transpose_b };
            shape.admit(&mut State::new(&Limits::default()), a.len(), b.len()).unwrap();
            let found = shape.products(&a, &b);
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
        let huge = u32::MAX as usize;
        let mut admit = |batch, [m, k, n]: [usize; 3], a, b| {
            Shape { batch, m, k, n, transpose_a: true, transpose_b: false }.admit(&mut state, a, b)
        };
        assert!(admit(1, [huge, 0, huge], 0, 0).is_err());
        assert!(admit(huge, [huge; 3], 0, 0).is_err());
        assert!(admit(1, [1, huge, 1], 1, 1).is_err());
        admit(1, [2, 0, 1], 0, 0).unwrap();
        let error = admit(1, [1, 2, 1], 1, 2).unwrap_err();
        assert_eq!(error.to_string(), "matmul was given 1 floats in a, expected 2");
        let nothing = Shape { batch: 1, m: 2, k: 0, n: 1, transpose_a: false, transpose_b: false };
        assert_eq!(nothing.products(&[], &[]), [0.0; 2]);
        let none = Shape { batch: 0, m: huge, k: huge, n: huge, ..nothing };
        none.admit(&mut state, 0, 0).unwrap();
        assert!(none.products(&[], &[]).is_empty());
    }
}
