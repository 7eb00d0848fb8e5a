//! Rounding against its definition, the CPU's instruction against plain operations, and the loops
//! against plain sums of rounded factors, on ragged shapes.

use proptest::prelude::*;

use super::{pair::*, *};
use crate::{
    simd::{on, paths},
    similarity::plain::matrix,
    tile::{block_len, place},
};

#[test]
fn rounding_takes_the_nearest_and_of_two_the_even() {
    for (x, expected) in [
        (1.0, 0x3f80),
        (f32::from_bits(0x3f80_8000), 0x3f80),
        (f32::from_bits(0x3f80_8001), 0x3f81),
        (f32::from_bits(0x3f81_8000), 0x3f82),
        (-1.0, 0xbf80),
        (f32::MAX, 0x7f80),
        (f32::INFINITY, 0x7f80),
        (f32::NEG_INFINITY, 0xff80),
        (f32::NAN, 0x7fc0),
        (f32::MIN_POSITIVE, 0x0080),
        (f32::from_bits(0x007f_ffff), 0),
        (0.0, 0),
    ] {
        assert_eq!(round(x), expected, "{x}");
    }
    for step in 0..100_000_u32 {
        let x = f32::from_bits(0x3000_0000 + step * 4099);
        let error = (widen(round(x)) - x).abs() / x;
        assert!(error <= 1.0 / 256.0, "{x}: {error}");
    }
}

struct Chain<'a> {
    ones: &'a [u32],
    others: &'a [[u32; LANES]],
    sums: &'a mut [f32; LANES],
}

impl Loops for Chain<'_> {
    fn run<D: DotPairs>(self, dot: D) {
        let products = self.ones.iter().zip(self.others);
        let sums = products.fold(dot.zero(), |sums, (&one, others)| dot.add(one, others, sums));
        *self.sums = dot.floats(sums);
    }
}

proptest! {
    /// Of any bits at all, but that a sum which is no number has no fixed bits.
    #[test]
    fn the_instruction_and_plain_operations_agree(
        bits in proptest::collection::vec((any::<u32>(), any::<[u32; LANES]>()), 1..8),
        scale in 0..3,
    ) {
        // All magnitudes; those of embeddings; those whose products are below the normal numbers.
        let exponent = |x: u32| match scale {
            0 => x,
            1 => x & 0x81ff_81ff | 0x3e00_3e00,
            _ => x & 0x83ff_83ff | 0x1e00_1e00,
        };
        let normal = |x: u32| pair(widen(x as u16), widen((x >> 16) as u16));
        let of = |x: u32| normal(exponent(x));
        let ones: Vec<u32> = bits.iter().map(|(one, _)| of(*one)).collect();
        let others: Vec<_> = bits.iter().map(|(_, others)| others.map(of)).collect();
        let chain = |path| {
            let mut sums = [0.0; LANES];
            on(path, || run(Chain { ones: &ones, others: &others, sums: &mut sums }));
            sums.map(|sum| if sum.is_nan() { 1 } else { sum.to_bits() })
        };
        let expected = chain(pulp::Arch::Scalar);
        for path in paths() {
            prop_assert_eq!(chain(path), expected, "{:?}", path);
        }
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

fn products<F: Factors>(queries: &[f32], candidates: &[f32], width: usize) -> Found {
    let (m, n) = (queries.len() / width, candidates.len() / width);
    let biases: Vec<f32> = (0..n).map(|j| (j * 13 % 7) as f32).collect();
    let (mut scored, mut across) = (F::Queries::default(), F::Candidates::default());
    let (mut others, mut scratch) = (F::Others::default(), F::Scratch::default());
    F::pack_queries(&mut scored, queries, width, Similarity::Dot);
    F::pack_candidates(&mut across, candidates, width, &biases);
    let mut block = vec![f32::NAN; block_len(m, n)];
    F::scores(Similarity::Dot, &scored, &across, &mut block);
    // Beyond the last row and column there is anything at all.
    let mut weights = vec![f32::NAN; block.len()];
    (0..m * n).for_each(|i| weights[place(m, i / n, i % n)] = weight(place(m, i / n, i % n)));
    F::pulling(Similarity::Dot, &weights, (m, n), (&scored, &across), &mut scratch);
    let (mut d_queries, mut d_candidates) = (vec![0.5; queries.len()], vec![0.5; candidates.len()]);
    let weights = (&weights[..], &scratch);
    F::pack_others(&mut others, candidates, width, Similarity::Dot);
    F::pull_queries(Similarity::Dot, weights, queries, &others, &mut d_queries);
    F::pack_others(&mut others, queries, width, Similarity::Dot);
    F::pull_candidates(Similarity::Dot, weights, candidates, &others, &mut d_candidates);
    Found { block, d_queries, d_candidates }
}

/// Rows whose numbers are bf16.
pub(super) fn rounded(rows: Vec<f32>) -> Vec<f32> {
    rows.into_iter().map(|x| widen(round(x))).collect()
}

/// All three products against plain sums in f64.
pub(super) fn check<F: Factors>(
    queries: &[f32],
    candidates: &[f32],
    width: usize,
) -> Result<(), TestCaseError> {
    let (m, n) = (queries.len() / width, candidates.len() / width);
    let found = products::<F>(queries, candidates, width);
    let (mut d_q, mut d_c) = (vec![0.5; queries.len()], vec![0.5; candidates.len()]);
    for i in 0..m {
        for j in 0..n {
            let (q, c) = (&queries[i * width..][..width], &candidates[j * width..][..width]);
            let exact: f64 = q.iter().zip(c).map(|(q, c)| f64::from(*q) * f64::from(*c)).sum();
            let score = f64::from(found.block[place(m, i, j)]);
            prop_assert!((score - exact - (j * 13 % 7) as f64).abs() < 1e-4, "{score} {exact}");
            for k in 0..width {
                let weight = f64::from(weight(place(m, i, j)));
                d_q[i * width + k] += weight * f64::from(c[k]);
                d_c[j * width + k] += weight * f64::from(q[k]);
            }
        }
    }
    let all = found.d_queries.iter().chain(&found.d_candidates).zip(d_q.iter().chain(&d_c));
    for (found, expected) in all {
        prop_assert!((f64::from(*found) - expected).abs() < 1e-3, "{found} {expected}");
    }
    Ok(())
}

/// The same bytes of all three products, whatever the vectors.
pub(super) fn same_on_every_path<F: Factors>((m, n, width): (usize, usize, usize)) {
    let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
    let bits = |path| {
        let found = on(path, || products::<F>(&queries, &candidates, width));
        let scores = (0..m * n).map(|i| found.block[place(m, i / n, i % n)]);
        let all = scores.chain(found.d_queries).chain(found.d_candidates);
        all.map(f32::to_bits).collect::<Vec<_>>()
    };
    for path in paths() {
        assert_eq!(bits(path), bits(pulp::Arch::Scalar), "{path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ragged_blocks_match_plain_loops(m in 1..20_usize, n in 1..220_usize, width in 1..80_usize) {
        let rows = (rounded(matrix(m, width, 1)), rounded(matrix(n, width, 2)));
        check::<Bf16>(&rows.0, &rows.1, width)?;
    }
}

#[test]
fn every_path_gives_the_same_bytes() {
    same_on_every_path::<Bf16>((13, 131, 45));
}
