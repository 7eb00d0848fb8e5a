//! The kernels against plain loops in f64, on ragged shapes, on every path of this CPU.

use proptest::prelude::*;

use super::*;
use crate::{
    simd::paths,
    similarity::plain::{self, ALL, matrix},
};

struct Found {
    block: Vec<f32>,
    d_queries: Vec<f32>,
    d_candidates: Vec<f32>,
}

/// Scores, and the pulls of weights that depend on nothing.
fn run(similarity: Similarity, queries: &[f32], candidates: &[f32], width: usize) -> Found {
    let (m, n) = (queries.len() / width, candidates.len() / width);
    let (mut transposed, mut columns) = (Transposed::default(), Columns::default());
    let mut grouped = Grouped::default();
    grouped.pack(queries, width, similarity);
    // A bias shifts a column of scores and no pull.
    let biases: Vec<f32> = (0..n).map(bias).collect();
    transposed.pack(candidates, width, &biases);
    let mut block = vec![f32::NAN; block_len(m, n)];
    scores(similarity, &grouped, &transposed, &mut block);
    let weights: Vec<f32> = (0..block.len()).map(weight).collect();
    let mut pulls = weights.clone();
    pulling(similarity, &weights, &grouped, &transposed, &mut pulls);
    let (mut d_queries, mut d_candidates) = (vec![0.5; queries.len()], vec![0.5; candidates.len()]);
    columns.pack(candidates, width, similarity);
    pull_queries(similarity, &pulls, queries, &columns, &mut d_queries);
    columns.pack(queries, width, similarity);
    pull_candidates(similarity, &pulls, candidates, &columns, &mut d_candidates);
    Found { block, d_queries, d_candidates }
}

fn bias(candidate: usize) -> f32 {
    (candidate * 13 % 7) as f32 - 3.0
}

fn weight(place: usize) -> f32 {
    (place * 31 % 17) as f32 / 8.0 - 1.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ragged_blocks_match_plain_loops(
        m in 1..20_usize, n in 1..220_usize, half in 1..40_usize, which in 0..5_usize,
    ) {
        let (similarity, width) = (ALL[which], 2 * half - usize::from(which < 4));
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        let found = run(similarity, &queries, &candidates, width);
        let mut d_q = vec![0.5; queries.len()];
        let mut d_c = vec![0.5; candidates.len()];
        for (i, q) in queries.chunks(width).enumerate() {
            let mut scores = row(&found.block, m, n, i).flatten();
            for (j, c) in candidates.chunks(width).enumerate() {
                let expected = plain::score(similarity, q, c) + f64::from(bias(j));
                let score = scores.next();
                prop_assert_eq!(score, Some(&found.block[place(m, i, j)]));
                prop_assert!((f64::from(found.block[place(m, i, j)]) - expected).abs() < 1e-4);
                let weight = f64::from(weight(place(m, i, j)));
                for (k, g) in plain::gradient(similarity, q, c).into_iter().enumerate() {
                    d_q[i * width + k] += weight * g;
                    // The dot product alone is not a distance.
                    let back = if which == 0 { f64::from(q[k]) } else { -g };
                    d_c[j * width + k] += weight * back;
                }
            }
            prop_assert_eq!(scores.next(), None);
        }
        let all = found.d_queries.iter().chain(&found.d_candidates).zip(d_q.iter().chain(&d_c));
        for (found, expected) in all {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-3, "{found} {expected}");
        }
    }

    /// Ranking compares scores of different blocks.
    #[test]
    fn a_score_does_not_depend_on_its_place(
        m in 1..20_usize, n in 1..220_usize, half in 1..40_usize, at in 0..220_usize,
        which in 0..5_usize,
    ) {
        let (similarity, width, at) = (ALL[which], 2 * half, at % n);
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        let all = run(similarity, &queries, &candidates, width);
        let last = &queries[(m - 1) * width..];
        let one = run(similarity, last, &candidates[at * width..][..width], width);
        // The first candidate's bias is not this one's.
        prop_assume!(bias(at) == bias(0));
        prop_assert_eq!(all.block[place(m, m - 1, at)].to_bits(), one.block[0].to_bits());
    }
}

#[test]
fn every_path_gives_the_same_bytes() {
    let (m, n, width) = (13, 131, 46);
    let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for similarity in ALL {
        let expected = run(similarity, &queries, &candidates, width);
        for path in paths() {
            let found = crate::simd::on(path, || run(similarity, &queries, &candidates, width));
            for i in 0..m {
                let row_of =
                    |found: &Found| row(&found.block, m, n, i).flat_map(bits).collect::<Vec<_>>();
                assert_eq!(row_of(&found), row_of(&expected), "{similarity:?} {path:?}");
            }
            assert_eq!(bits(&found.d_queries), bits(&expected.d_queries), "{similarity:?}");
            assert_eq!(bits(&found.d_candidates), bits(&expected.d_candidates), "{similarity:?}");
        }
    }
}
