//! The tiles against plain operations, and the products against plain sums
//! of rounded factors, on ragged shapes.

use std::array::from_fn;

use proptest::prelude::*;

use super::{
    super::pair::{pair, round, widen},
    plain::Plain,
    *,
};
use crate::{
    simd::{on, paths},
    similarity::plain::matrix,
};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
proptest! {
    /// Of any bits at all, but that a sum which is no number has no fixed bits.
    #[test]
    fn tiles_and_plain_operations_agree(
        seed in any::<u64>(), steps in 1..4_usize, scale in 0..3_usize, begins in any::<bool>(),
    ) {
        // All magnitudes; those of embeddings; those whose products are below the normal numbers.
        let (mask, exponent) = [(!0_u16, 0), (0x81ff, 0x3e00), (0x83ff, 0x1e00)][scale];
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            round(widen((state >> 40) as u16 & mask | exponent))
        };
        let left: Vec<[[u16; DEPTH]; SIDE]> =
            (0..steps).map(|_| from_fn(|_| from_fn(|_| next()))).collect();
        let right: Vec<[[u32; SIDE]; DEPTH / 2]> = (0..steps)
            .map(|_| from_fn(|_| from_fn(|_| pair(widen(next()), widen(next())))))
            .collect();
        let sums: Vec<_> = (0..SIDE * 37).map(|_| widen(next())).collect();
        let (mut found, mut expected) = (sums.clone(), sums);
        let amx = native::Amx::anyhow().configure();
        amx.product(&left, &right, begins, (&mut found, 37));
        Plain.product(&left, &right, begins, (&mut expected, 37));
        let bits = |sum: &f32| if sum.is_nan() { 1 } else { sum.to_bits() };
        let bits = |sums: Vec<f32>| sums.iter().map(bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(found), bits(expected));
    }
}

/// Rounded to bf16, or to two of them.
fn seen(x: f32, parts: &[Part]) -> f64 {
    let high = widen(round(x));
    let low = if parts.contains(&Part::Low) { widen(round(x - high)) } else { 0.0 };
    f64::from(high) + f64::from(low)
}

/// All ways to pack: `a b^T`, `a^T b`, and by rows and pairs written one by one.
fn products<S: Split>((m, n, width): (usize, usize, usize)) -> [Vec<f32>; 3] {
    let (a, b, same) = (matrix(m, width, 1), matrix(n, width, 2), matrix(m, n, 3));
    let (mut left, mut right) = (Left::default(), Right::default());
    left.pack(&a, width, S::LEFT);
    right.pack_across(&b, width, S::RIGHT);
    let mut across = vec![0.5; m * n];
    product(&left, &right, false, &mut across);
    left.pack_transposed(&a, width, S::LEFT);
    right.pack_down(&same, n, S::RIGHT);
    let mut down = vec![f32::NAN; width * n];
    product(&left, &right, true, &mut down);
    // The same by single rows, then a panel a side.
    right.reshape(n, m, S::RIGHT);
    let sides = n.div_ceil(SIDE);
    let mut panels = vec![[f32::NAN; SIDE]; sides * width.next_multiple_of(SIDE)];
    for (side, panel) in panels.chunks_exact_mut(width.next_multiple_of(SIDE)).enumerate() {
        let row = |i: usize| {
            from_fn(|lane| {
                let column = side * SIDE + lane;
                if i < m && column < n { same[i * n + column] + 1.0 } else { 0.0 }
            })
        };
        for two in 0..m.div_ceil(2) {
            right.write_pair(side, two, &[row(2 * two), row(2 * two + 1)], S::RIGHT);
        }
        right.fill_up(side, m, S::RIGHT);
        for column in side * SIDE..n.min((side + 1) * SIDE) {
            (0..m).for_each(|i| right.set(i, column, same[i * n + column], S::RIGHT));
        }
        super::panel(&left, &right, side, true, panel);
    }
    let place = |k: usize, j: usize| j / SIDE * width.next_multiple_of(SIDE) + k;
    let by_rows = (0..width * n).map(|i| panels[place(i / n, i % n)][i % n % SIDE]).collect();
    [across, down, by_rows]
}

fn check<S: Split>((m, n, width): (usize, usize, usize)) -> Result<(), TestCaseError> {
    let [a, b, same] = [matrix(m, width, 1), matrix(n, width, 2), matrix(m, n, 3)]
        .map(|rows| rows.into_iter().map(|x| seen(x, S::LEFT)).collect::<Vec<_>>());
    let [across, down, by_rows] = products::<S>((m, n, width));
    for i in 0..m {
        for j in 0..n {
            let exact: f64 = (0..width).map(|k| a[i * width + k] * b[j * width + k]).sum();
            let found = f64::from(across[i * n + j]) - 0.5;
            prop_assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{found} {exact}");
        }
    }
    for k in 0..width {
        for j in 0..n {
            let exact: f64 = (0..m).map(|i| a[i * width + k] * same[i * n + j]).sum();
            let found = f64::from(down[k * n + j]);
            prop_assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{found} {exact}");
        }
    }
    prop_assert_eq!(down, by_rows);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ragged_products_match_plain_loops(m in 1..70_usize, n in 1..90_usize, width in 1..80_usize) {
        check::<Once>((m, n, width))?;
        check::<Thrice>((m, n, width))?;
    }
}

#[test]
fn rows_are_written_as_they_are_packed() {
    let rows = matrix(45, 64, 1);
    let (mut packed, mut written) = (Left::default(), Left::default());
    packed.pack(&rows, 64, Thrice::LEFT);
    written.reshape(45, 64, Thrice::LEFT);
    for (i, row) in rows.as_chunks::<SIDE>().0.iter().enumerate() {
        written.write(i / 2, i % 2, &row.map(|x| x + 1.0), Thrice::LEFT);
    }
    for (i, &x) in rows.iter().enumerate() {
        written.set(i / 64, i % 64, x, Thrice::LEFT);
    }
    assert!(packed.sides().flatten().eq(written.sides().flatten()));
}

#[test]
fn every_path_gives_the_same_bytes() {
    let bits = |path, products: fn((usize, usize, usize)) -> [Vec<f32>; 3]| {
        let found = on(path, || products((45, 131, 45)));
        found.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for path in paths() {
        for products in [products::<Once>, products::<Thrice>] {
            assert_eq!(bits(path, products), bits(pulp::Arch::Scalar, products), "{path:?}");
        }
    }
}
