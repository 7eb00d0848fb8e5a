//! Matrix products: the host's where there is a host, plain loops elsewhere.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// `op(a) op(b)`, `[m, n]` row-major, where `op(a)` is `[m, k]` and `op(b)` is `[k, n]`; `shape` is
/// `[m, k, n]`.
///
/// `a` is `[m, k]`, or `[k, m]` if `transposed[0]`; `b` is `[k, n]`, or `[n, k]` if
/// `transposed[1]`.
///
/// # Panics
/// If a length does not fit.
#[cfg(target_arch = "wasm32")]
pub fn product(a: &[f32], b: &[f32], shape: [usize; 3], transposed: [bool; 2]) -> Vec<f32> {
    let [m, k, n] = shape.map(|extent| extent as u32);
    let [a, b] = [a, b].map(bytemuck::cast_slice);
    crate::guest::kge::model::linalg::matmul(a, b, m, k, n, transposed[0], transposed[1])
}

/// A way to multiply, as [`product`] is called.
#[cfg(not(target_arch = "wasm32"))]
pub type Product = fn(&[f32], &[f32], [usize; 3], [bool; 2]) -> Vec<f32>;

#[cfg(not(target_arch = "wasm32"))]
static PRODUCT: std::sync::OnceLock<Product> = std::sync::OnceLock::new();

/// Multiplies by this from now on, in this process: a model compiled natively is then as fast as its
/// products. Without effect if it was called before.
#[cfg(not(target_arch = "wasm32"))]
pub fn multiply_by(product: Product) {
    let _ = PRODUCT.set(product);
}

/// `op(a) op(b)`, `[m, n]` row-major, where `op(a)` is `[m, k]` and `op(b)` is `[k, n]`; `shape` is
/// `[m, k, n]`.
///
/// `a` is `[m, k]`, or `[k, m]` if `transposed[0]`; `b` is `[k, n]`, or `[n, k]` if
/// `transposed[1]`.
///
/// # Panics
/// If a length does not fit.
#[cfg(not(target_arch = "wasm32"))]
pub fn product(a: &[f32], b: &[f32], shape: [usize; 3], transposed: [bool; 2]) -> Vec<f32> {
    PRODUCT.get().unwrap_or(&(plain as Product))(a, b, shape, transposed)
}

/// Whether plain loops have multiplied in this process.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn multiplied() -> bool {
    PLAIN.load(Relaxed)
}

#[cfg(not(target_arch = "wasm32"))]
static PLAIN: AtomicBool = AtomicBool::new(false);

#[cfg(not(target_arch = "wasm32"))]
fn plain(a: &[f32], b: &[f32], shape: [usize; 3], transposed: [bool; 2]) -> Vec<f32> {
    PLAIN.store(true, Relaxed);
    let [m, k, n] = shape;
    assert_eq!((a.len(), b.len()), (m * k, k * n), "factors are [{m}, {k}] and [{k}, {n}]");
    let mut product = vec![0.0_f32; m * n];
    for i in 0..m {
        let row = &mut product[i * n..][..n];
        for l in 0..k {
            let a = if transposed[0] { a[l * m + i] } else { a[i * k + l] };
            for (j, to) in row.iter_mut().enumerate() {
                *to += a * if transposed[1] { b[j * k + l] } else { b[l * n + j] };
            }
        }
    }
    product
}
