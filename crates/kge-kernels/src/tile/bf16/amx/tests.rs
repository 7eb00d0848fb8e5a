//! The tiles against plain operations, and the products against plain sums
//! of rounded factors, on ragged shapes.

use proptest::prelude::*;

use super::{
    super::{
        pair::{pair, round, widen},
        tests::{check, rounded, same_on_every_path},
    },
    plain::Plain,
    *,
};
use crate::similarity::plain::matrix;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
proptest! {
    /// Of any bits at all, but that a sum which is no number has no fixed bits.
    #[test]
    fn tiles_and_plain_operations_agree(seed in any::<u64>(), steps in 0..4_usize, scale in 0..3_usize) {
        // All magnitudes; those of embeddings; those whose products are below the normal numbers.
        let (mask, exponent) = [(!0_u16, 0), (0x81ff, 0x3e00), (0x83ff, 0x1e00)][scale];
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            round(widen((state >> 40) as u16 & mask | exponent))
        };
        let stride = steps * DEPTH + 32;
        let left: Vec<_> = (0..SIDE * stride).map(|_| next()).collect();
        let right: Vec<_> = (0..steps * DEPTH / 2)
            .map(|_| std::array::from_fn(|_| pair(widen(next()), widen(next()))))
            .collect();
        let mut found = Sums([[f32::NAN; SIDE]; SIDE]);
        let mut expected = found.clone();
        native::Amx::anyhow().configure().product(&left, stride, &right, &mut found);
        Plain.product(&left, stride, &right, &mut expected);
        let bits = |sum: &f32| if sum.is_nan() { 1 } else { sum.to_bits() };
        let bits = |sums: Sums| sums.0.as_flattened().iter().map(bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(found), bits(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ragged_blocks_match_plain_loops(m in 1..70_usize, n in 1..220_usize, width in 1..80_usize) {
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        check::<Tiled<Thrice>>(&queries, &candidates, width)?;
        check::<Tiled<Once>>(&rounded(queries), &rounded(candidates), width)?;
    }
}

#[test]
fn every_path_gives_the_same_bytes() {
    same_on_every_path::<Tiled<Once>>((45, 131, 45));
    same_on_every_path::<Tiled<Thrice>>((45, 131, 45));
}
