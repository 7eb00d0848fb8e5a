//! The tiles against plain operations, and the products against plain sums
//! of rounded factors, on ragged shapes.

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

struct Found {
    block: Vec<f32>,
    d_queries: Vec<f32>,
    d_candidates: Vec<f32>,
}

fn weight(place: usize) -> f32 {
    (place * 31 % 17) as f32 / 8.0 - 1.0
}

fn products<S: Split>(queries: &[f32], candidates: &[f32], width: usize) -> Found {
    let (m, n) = (queries.len() / width, candidates.len() / width);
    let biases: Vec<f32> = (0..n).map(|j| (j * 13 % 7) as f32).collect();
    let (mut left, mut across, mut down) = <(Left, Candidates, Right)>::default();
    let mut weights = Weights::default();
    Tiled::<S>::pack_queries(&mut left, queries, width, Similarity::Dot);
    Tiled::<S>::pack_candidates(&mut across, candidates, width, &biases);
    let mut block = vec![f32::NAN; block_len(m, n)];
    Tiled::<S>::scores(Similarity::Dot, &left, &across, &mut block);
    // Beyond the last row and column there is anything at all.
    let mut weighted = vec![f32::NAN; block.len()];
    (0..m * n).for_each(|i| weighted[place(m, i / n, i % n)] = weight(place(m, i / n, i % n)));
    Tiled::<S>::pulling(Similarity::Dot, &mut weighted, (m, n), (&left, &across), &mut weights);
    let (mut d_queries, mut d_candidates) = (vec![0.5; queries.len()], vec![0.5; candidates.len()]);
    let weights = (&weighted[..], &weights);
    Tiled::<S>::pack_others(&mut down, candidates, width, Similarity::Dot);
    Tiled::<S>::pull_queries(Similarity::Dot, weights, queries, &down, &mut d_queries);
    Tiled::<S>::pack_others(&mut down, queries, width, Similarity::Dot);
    Tiled::<S>::pull_candidates(Similarity::Dot, weights, candidates, &down, &mut d_candidates);
    Found { block, d_queries, d_candidates }
}

fn check<S: Split>(queries: &[f32], candidates: &[f32], width: usize) -> Result<(), TestCaseError> {
    let (m, n) = (queries.len() / width, candidates.len() / width);
    let found = products::<S>(queries, candidates, width);
    let (mut d_q, mut d_c) = (vec![0.5; queries.len()], vec![0.5; candidates.len()]);
    for i in 0..m {
        for j in 0..n {
            let (q, c) = (&queries[i * width..][..width], &candidates[j * width..][..width]);
            let exact: f64 = q.iter().zip(c).map(|(q, c)| f64::from(*q) * f64::from(*c)).sum();
            let score = f64::from(found.block[place(m, i, j)]);
            prop_assert!((score - exact - (j * 13 % 7) as f64).abs() < 2e-4, "{score} {exact}");
            for k in 0..width {
                let weight = f64::from(weight(place(m, i, j)));
                d_q[i * width + k] += weight * f64::from(c[k]);
                d_c[j * width + k] += weight * f64::from(q[k]);
            }
        }
    }
    let all = found.d_queries.iter().chain(&found.d_candidates).zip(d_q.iter().chain(&d_c));
    for (found, expected) in all {
        prop_assert!((f64::from(*found) - expected).abs() < 2e-3, "{found} {expected}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ragged_blocks_match_plain_loops(m in 1..70_usize, n in 1..220_usize, width in 1..80_usize) {
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        check::<Thrice>(&queries, &candidates, width)?;
        let rounded = |rows: Vec<f32>| -> Vec<f32> {
            rows.into_iter().map(|x| widen(round(x))).collect()
        };
        check::<Once>(&rounded(queries), &rounded(candidates), width)?;
    }
}

#[test]
fn every_path_gives_the_same_bytes() {
    fn bits<S: Split>(path: pulp::Arch) -> Vec<u32> {
        let (m, n, width) = (45, 131, 45);
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        let found = on(path, || products::<S>(&queries, &candidates, width));
        let scores = (0..m * n).map(|i| found.block[place(m, i / n, i % n)]);
        let all = scores.chain(found.d_queries).chain(found.d_candidates);
        all.map(f32::to_bits).collect()
    }
    for path in paths() {
        assert_eq!(bits::<Once>(path), bits::<Once>(pulp::Arch::Scalar), "{path:?}");
        assert_eq!(bits::<Thrice>(path), bits::<Thrice>(pulp::Arch::Scalar), "{path:?}");
    }
}
