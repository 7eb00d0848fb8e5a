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
    aligned::Line,
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
        amx.product(&left, &right, begins, (&mut found, 37), &[]);
        Plain.product(&left, &right, begins, (&mut expected, 37), &[]);
        let bits = |sum: &f32| if sum.is_nan() { 1 } else { sum.to_bits() };
        let bits = |sums: Vec<f32>| sums.iter().map(bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(found), bits(expected));
    }
}

/// The assembly itself, by tiles or by the traps of a CPU that has none.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn a_product_beside_exponentials_is_that_of_plain_operations() {
    if !is_x86_feature_detected!("avx512bf16") {
        eprintln!("skipped: the CPU has no AVX-512 BF16");
        return;
    }
    // Fewer steps than twos, as many, and more.
    for steps in [1, 5, 8, 16, 19] {
        let numbers = matrix(2 * steps * SIDE, DEPTH, steps);
        let rounded: Vec<_> = numbers.iter().map(|&x| round(x)).collect();
        let (left, right) = rounded.split_at(rounded.len() / 2);
        let left: Vec<[[u16; DEPTH]; SIDE]> = left
            .chunks(SIDE * DEPTH)
            .map(|step| from_fn(|row| from_fn(|k| step[row * DEPTH + k])))
            .collect();
        let right: Vec<[[u32; SIDE]; DEPTH / 2]> = right
            .chunks(SIDE * DEPTH)
            .map(|step| {
                let of = |k: usize, column| u32::from(step[k * SIDE + column]);
                from_fn(|k| from_fn(|column| of(2 * k, column) | of(2 * k + 1, column) << 16))
            })
            .collect();
        let scores: [[f32; SIDE]; SIDE] =
            from_fn(|row| from_fn(|column| 80.0 * numbers[row * SIDE + column]));
        let bits = |floats: &[f32]| floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let find = |tiles: &dyn Fn(&mut Square, Exponentials<'_>)| {
            let mut square = Square([[0.0; SIDE]; SIDE]);
            let shifts = from_fn(|lane| lane as f32 - 16.0);
            let mut columns = Columns { shifts, totals: [1.0; SIDE] };
            let (mut lines, mut pairs) = ([[0; SIDE]; SIDE], [[0; SIDE]; SIDE / 2]);
            tiles(
                &mut square,
                Exponentials {
                    scores: &scores,
                    columns: &mut columns,
                    lines: &mut lines,
                    pairs: &mut pairs,
                    next_lines: 0,
                },
            );
            (bits(square.0.as_flattened()), bits(&columns.totals), lines, pairs)
        };
        let amx = native::Amx::anyhow().configure();
        let found = find(&|square, work| amx.product_beside(&left, &right, square, work));
        let plain = find(&|square, work| Plain.product_beside(&left, &right, square, work));
        assert!(found == plain, "{steps} steps");
    }
}

/// Rounded to bf16, or to two of them.
fn seen(x: f32, parts: &[Part]) -> f64 {
    let high = widen(round(x));
    let low = if parts.contains(&Part::Low) { widen(round(x - high)) } else { 0.0 };
    f64::from(high) + f64::from(low)
}

/// `a b^T`, then `a^T W` and `W c` of weights that are made of it; and `a^T W` of weights that are
/// packed.
fn products<S: Split>((m, n, width): (usize, usize, usize)) -> [Vec<f32>; 4] {
    let (a, b, w) = (matrix(m, width, 1), matrix(n, width, 2), matrix(m, n, 3));
    let (mut left, mut right) = (Left::default(), Right::default());
    left.pack(&a, width, S::LEFT);
    right.pack_across(None, &b, width, S::RIGHT);
    let mut across = vec![f32::NAN; m * n];
    product(left.lent(), &right, true, &mut across);

    let (mut transposed, mut packed) = (Left::default(), Right::default());
    transposed.pack_transposed(&a, width, S::LEFT);
    packed.pack_down(None, &w, n, S::RIGHT);
    let mut down = vec![f32::NAN; width * n];
    product(transposed.lent(), &packed, true, &mut down);

    let shape = LeftShape::new(m, n, S::LEFT);
    let mut lines = vec![Line::default(); shape.len()];
    let mut by_column = Right::default();
    by_column.reshape(SIDE, m, S::RIGHT);
    let mut pulled = vec![f32::NAN; width * n];
    for side in 0..n.div_ceil(SIDE) {
        let live = SIDE.min(n - side * SIDE);
        let weights = |first: usize, scores: &mut [[f32; SIDE]]| {
            for (row, scores) in (first..).zip(scores) {
                let (scored, own) = (row * n + side * SIDE, &w[row * n + side * SIDE..][..live]);
                assert_eq!(scores[..live], across[scored..][..live]);
                scores[..live].copy_from_slice(own);
            }
        };
        weigh::<S>((&left, &right, side), weights, (&mut lines, shape), &mut by_column);
        let mut sums = vec![[f32::NAN; SIDE]; width.next_multiple_of(SIDE)];
        panel(transposed.lent(), &by_column, 0, true, &mut sums);
        for (sums, pulled) in sums.iter().zip(pulled.chunks_exact_mut(n)) {
            pulled[side * SIDE..][..live].copy_from_slice(&sums[..live]);
        }
    }
    packed.pack_down(None, &b, width, S::RIGHT);
    let mut rows = vec![f32::NAN; m * width];
    product(Lefts::new(&lines, shape), &packed, true, &mut rows);
    [across, down, pulled, rows]
}

fn check<S: Split>((m, n, width): (usize, usize, usize)) -> Result<(), TestCaseError> {
    let [a, b, w] = [matrix(m, width, 1), matrix(n, width, 2), matrix(m, n, 3)]
        .map(|rows| rows.into_iter().map(|x| seen(x, S::LEFT)).collect::<Vec<_>>());
    let [across, down, pulled, rows] = products::<S>((m, n, width));
    for i in 0..m {
        for j in 0..n {
            let exact: f64 = (0..width).map(|k| a[i * width + k] * b[j * width + k]).sum();
            let found = f64::from(across[i * n + j]);
            prop_assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{found} {exact}");
        }
        for k in 0..width {
            let exact: f64 = (0..n).map(|j| w[i * n + j] * b[j * width + k]).sum();
            let found = f64::from(rows[i * width + k]);
            prop_assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{found} {exact}");
        }
    }
    for k in 0..width {
        for j in 0..n {
            let exact: f64 = (0..m).map(|i| a[i * width + k] * w[i * n + j]).sum();
            let found = f64::from(down[k * n + j]);
            prop_assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{found} {exact}");
        }
    }
    prop_assert_eq!(down, pulled);
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

/// By the way that exponentiates beside the next product, and by the general one.
#[test]
fn exponentials_beside_a_product_are_those_after_it() {
    let find = |(m, n, width): (usize, usize, usize), beside: bool| {
        let (a, b) = (matrix(m, width, 1), matrix(n, width, 2));
        let (mut left, mut right, mut by_column) =
            (Left::default(), Right::default(), Right::default());
        left.pack(&a, width, Once::LEFT);
        right.pack_across(None, &b, width, Once::RIGHT);
        let shape = LeftShape::new(m, n, Once::LEFT);
        let mut lines = vec![Line::default(); shape.len()];
        by_column.reshape(SIDE, m, Once::RIGHT);
        let mut found = Vec::new();
        for side in 0..n.div_ceil(SIDE) {
            let shifts = from_fn(|lane| 30.0 * (lane as f32 - 8.0));
            let mut columns = Columns { shifts, totals: [1.0; SIDE] };
            let (factors, weights) = ((&left, &right, side), (&mut lines[..], shape));
            if beside {
                exponentiate(factors, &mut columns, weights, &mut by_column);
            } else {
                let weigh_square = |_, scores: &mut [[f32; SIDE]]| {
                    scores.iter_mut().for_each(|scores| columns.exponentiate::<Once>(scores));
                };
                weigh::<Once>(factors, weigh_square, weights, &mut by_column);
            }
            found.extend(columns.totals.map(f32::to_bits));
            found.extend((0..m.div_ceil(2)).flat_map(|pair| *by_column.pair(pair, 0)));
        }
        let rows = (0..m).flat_map(|row| shape.row(&lines, row).flatten().map(f32::to_bits));
        found.extend(rows.collect::<Vec<_>>());
        found
    };
    for path in paths() {
        // Steps that share the sixteen twos evenly, unevenly, and more of them than twos; whole
        // sides of rows, and ragged ones.
        for shape in [(96, 32, 256), (64, 33, 70), (130, 40, 32), (31, 7, 600), (45, 64, 17)] {
            let beside = on(path, || find(shape, true));
            assert!(beside == on(pulp::Arch::Scalar, || find(shape, false)), "{path:?} {shape:?}");
        }
    }
}

#[test]
fn a_row_is_read_as_tiles_see_it() {
    let rows = matrix(45, 64, 1);
    for parts in [Once::LEFT, Thrice::LEFT] {
        let mut packed = Left::default();
        packed.pack(&rows, 64, parts);
        let shape = LeftShape::new(45, 64, parts);
        for (index, row) in rows.chunks(64).enumerate() {
            let found = shape.row(packed.lines(), index).flatten().map(f64::from);
            assert!(found.eq(row.iter().map(|&x| seen(x, parts))));
        }
    }
}

#[test]
fn every_path_gives_the_same_bytes() {
    let bits = |path, products: fn((usize, usize, usize)) -> [Vec<f32>; 4]| {
        let found = on(path, || products((45, 131, 45)));
        found.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for path in paths() {
        for products in [products::<Once>, products::<Thrice>] {
            assert_eq!(bits(path, products), bits(pulp::Arch::Scalar, products), "{path:?}");
        }
    }
}
