//! The closed set of similarities between a query row and a candidate row.
//!
//! Every similarity is "higher is more plausible": distances are negated. The host computes
//! them itself, over all entities, so that a scoring model never runs a loop over the graph.

use crate::{
    distance::{self, Distance as _},
    product,
};

/// How a query row is compared with a candidate row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Similarity {
    /// `sum_i q_i c_i`.
    Dot,
    /// `-sum_i |q_i - c_i|`.
    L1,
    /// `-sqrt(sum_i (q_i - c_i)^2)`.
    L2,
    /// `-sum_i (q_i - c_i)^2`.
    SquaredL2,
    /// `-sum_j |q_j - c_j|` over complex numbers; a row is its real half, then its imaginary half
    /// (Sun et al. 2019, RotatE).
    Modulus,
}

impl Similarity {
    /// Scores of a block: `out[i, j] = similarity(queries[i], candidates[j])`.
    ///
    /// `queries` is `[m, width]`, `candidates` `[n, width]`, `out` `[m, n]`, row-major. A pair's
    /// score does not depend on where it stands in the block.
    ///
    /// # Panics
    /// If a length does not fit, or `width` is odd for `Modulus`.
    pub fn scores(self, queries: &[f32], candidates: &[f32], width: usize, out: &mut [f32]) {
        match self {
            Self::Dot => product::left_by_right_transposed(queries, candidates, out, width),
            Self::L1 => distance::L1.scores(queries, candidates, width, out),
            Self::L2 => distance::L2.scores(queries, candidates, width, out),
            Self::SquaredL2 => distance::SquaredL2.scores(queries, candidates, width, out),
            Self::Modulus => distance::Modulus.scores(queries, candidates, width, out),
        }
    }

    /// The score of one pair of rows.
    ///
    /// # Panics
    /// As for [`scores`](Self::scores).
    pub fn score(self, query: &[f32], candidate: &[f32]) -> f32 {
        if self == Self::Dot {
            return crate::row::dot(query, candidate);
        }
        let mut out = [0.0];
        self.scores(query, candidate, query.len(), &mut out);
        out[0]
    }

    /// Adds `sum_j weights[i, j] d score[i, j] / d queries[i]` to `d_queries`, `[m, width]`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn add_query_gradient(
        self,
        weights: &[f32],
        queries: &[f32],
        candidates: &[f32],
        width: usize,
        d_queries: &mut [f32],
    ) {
        let n = candidates.len() / width;
        match self {
            Self::Dot => product::add_left_by_right(weights, candidates, d_queries, n),
            Self::L1 => distance::L1.pull(weights, (n, 1), queries, candidates, width, d_queries),
            Self::L2 => distance::L2.pull(weights, (n, 1), queries, candidates, width, d_queries),
            Self::SquaredL2 => {
                distance::SquaredL2.pull(weights, (n, 1), queries, candidates, width, d_queries);
            }
            Self::Modulus => {
                distance::Modulus.pull(weights, (n, 1), queries, candidates, width, d_queries);
            }
        }
    }

    /// Adds `sum_i weights[i, j] d score[i, j] / d candidates[j]` to `d_candidates`, `[n, width]`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn add_candidate_gradient(
        self,
        weights: &[f32],
        queries: &[f32],
        candidates: &[f32],
        width: usize,
        d_candidates: &mut [f32],
    ) {
        let (m, n) = (queries.len() / width, candidates.len() / width);
        // A distance is symmetric: the candidates are pulled towards the queries alike.
        match self {
            Self::Dot => product::add_left_transposed_by_right(weights, queries, d_candidates, m),
            Self::L1 => {
                distance::L1.pull(weights, (1, n), candidates, queries, width, d_candidates);
            }
            Self::L2 => {
                distance::L2.pull(weights, (1, n), candidates, queries, width, d_candidates);
            }
            Self::SquaredL2 => {
                distance::SquaredL2.pull(weights, (1, n), candidates, queries, width, d_candidates);
            }
            Self::Modulus => {
                distance::Modulus.pull(weights, (1, n), candidates, queries, width, d_candidates);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Similarity; 5] = [
        Similarity::Dot,
        Similarity::L1,
        Similarity::L2,
        Similarity::SquaredL2,
        Similarity::Modulus,
    ];

    fn plain(similarity: Similarity, q: &[f32], c: &[f32]) -> f64 {
        let pairs = || q.iter().zip(c).map(|(&q, &c)| (f64::from(q), f64::from(c)));
        let half = q.len() / 2;
        match similarity {
            Similarity::Dot => pairs().map(|(q, c)| q * c).sum(),
            Similarity::L1 => -pairs().map(|(q, c)| (q - c).abs()).sum::<f64>(),
            Similarity::L2 => -pairs().map(|(q, c)| (q - c).powi(2)).sum::<f64>().sqrt(),
            Similarity::SquaredL2 => -pairs().map(|(q, c)| (q - c).powi(2)).sum::<f64>(),
            Similarity::Modulus => {
                let d: Vec<_> = pairs().map(|(q, c)| q - c).collect();
                -(0..half).map(|i| d[i].hypot(d[i + half])).sum::<f64>()
            }
        }
    }

    fn matrix(rows: usize, width: usize, salt: usize) -> Vec<f32> {
        (0..rows * width)
            .map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0)
            .collect()
    }

    proptest! {
        #[test]
        fn scores_match_plain_loops(m in 0..9_usize, n in 1..40_usize, half in 1..50_usize) {
            let width = 2 * half;
            let (q, c) = (matrix(m, width, 1), matrix(n, width, 2));
            for similarity in ALL {
                let mut out = vec![f32::NAN; m * n];
                similarity.scores(&q, &c, width, &mut out);
                for (i, q) in q.chunks(width).enumerate() {
                    for (j, c) in c.chunks(width).enumerate() {
                        let expected = plain(similarity, q, c);
                        prop_assert!((f64::from(out[i * n + j]) - expected).abs() < 1e-4);
                        prop_assert!((f64::from(similarity.score(q, c)) - expected).abs() < 1e-4);
                    }
                }
            }
        }

        #[test]
        fn gradients_match_differences(m in 1..4_usize, n in 1..5_usize, half in 1..20_usize) {
            let width = 2 * half;
            let (q, c, weights) = (matrix(m, width, 1), matrix(n, width, 2), matrix(m, n, 3));
            let loss = |similarity, q: &[f32], c: &[f32]| -> f64 {
                let pair = |i: usize, j: usize| {
                    let (q, c) = (&q[i * width..][..width], &c[j * width..][..width]);
                    f64::from(weights[i * n + j]) * plain(similarity, q, c)
                };
                (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| pair(i, j)).sum()
            };
            let step = 1e-4_f32;
            for similarity in ALL {
                let (mut d_q, mut d_c) = (vec![0.0; m * width], vec![0.0; n * width]);
                similarity.add_query_gradient(&weights, &q, &c, width, &mut d_q);
                similarity.add_candidate_gradient(&weights, &q, &c, width, &mut d_c);
                let moved = |rows: &[f32], at: usize, by: f32| {
                    let mut rows = rows.to_vec();
                    rows[at] += by;
                    rows
                };
                // Off the kinks of |x|, where a difference says nothing.
                let smooth = q.chunks(width).all(|q| c.chunks(width).all(|c| {
                    q.iter().zip(c).all(|(q, c)| (q - c).abs() > 20.0 * step)
                }));
                if !smooth {
                    continue;
                }
                for at in 0..q.len() {
                    let (up, down) = (moved(&q, at, step), moved(&q, at, -step));
                    let span = f64::from(up[at] - down[at]);
                    let expected = (loss(similarity, &up, &c) - loss(similarity, &down, &c)) / span;
                    prop_assert!((f64::from(d_q[at]) - expected).abs() < 5e-3, "{similarity:?} query");
                }
                for at in 0..c.len() {
                    let (up, down) = (moved(&c, at, step), moved(&c, at, -step));
                    let span = f64::from(up[at] - down[at]);
                    let expected = (loss(similarity, &q, &up) - loss(similarity, &q, &down)) / span;
                    prop_assert!((f64::from(d_c[at]) - expected).abs() < 5e-3, "{similarity:?} candidate");
                }
            }
        }
    }

    #[test]
    fn coinciding_rows_have_score_zero_and_no_pull() {
        let row = [0.5, -1.0, 2.0, 0.25];
        for similarity in
            [Similarity::L1, Similarity::L2, Similarity::SquaredL2, Similarity::Modulus]
        {
            let mut pull = [0.0; 4];
            similarity.add_query_gradient(&[1.0], &row, &row, 4, &mut pull);
            assert_eq!((similarity.score(&row, &row).abs(), pull), (0.0, [0.0; 4]));
        }
    }
}
