//! The step against shared negatives: some queries, their targets, and candidates they share.

use crate::{
    Similarity,
    loss::SampledLoss,
    tile::{self, Columns, Grouped, ROWS, Transposed},
};

/// What a chunk of queries is trained against: rows are `[rows, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `[queries, width]`.
    pub queries: &'a [f32],
    /// `[queries, width]`, the row of each query's own target.
    pub targets: &'a [f32],
    /// `[negatives, width]`.
    pub negatives: &'a [f32],
    /// Floats in a row.
    pub width: usize,
    /// What is added to each target's score: `[queries]`, or none at all.
    pub target_biases: &'a [f32],
    /// What is added to each negative's scores: `[negatives]`, or none at all.
    pub negative_biases: &'a [f32],
    /// `(query, negative)` pairs that do not count, sorted: the negative is the query's target.
    pub hits: &'a [(u32, u32)],
    /// Every query's share of the loss.
    pub weight: f32,
}

/// The gradients of a chunk.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[queries, width]`.
    pub queries: &'a mut [f32],
    /// `[queries, width]`.
    pub targets: &'a mut [f32],
    /// `[negatives, width]`.
    pub negatives: &'a mut [f32],
    /// As long as the targets' biases.
    pub target_biases: &'a mut [f32],
    /// As long as the negatives' biases.
    pub negative_biases: &'a mut [f32],
}

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub struct NegativesStep {
    grouped: Grouped,
    transposed: Transposed,
    negative_columns: Columns,
    query_columns: Columns,
    block: Vec<f32>,
    scratch: Vec<f32>,
}

impl NegativesStep {
    /// Writes the loss's gradients and returns the summed loss of the queries, unweighted.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn run(
        &mut self,
        similarity: Similarity,
        loss: SampledLoss,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        let Problem { queries, targets, negatives, width, hits, weight, .. } = *problem;
        let (target_biases, negative_biases) = (problem.target_biases, problem.negative_biases);
        let (m, n) = (queries.len() / width, negatives.len() / width);
        assert_eq!(queries.len(), targets.len(), "a target a query");
        for (rows, d_rows) in [
            (queries, &gradients.queries),
            (targets, &gradients.targets),
            (negatives, &gradients.negatives),
            (target_biases, &gradients.target_biases),
            (negative_biases, &gradients.negative_biases),
        ] {
            assert_eq!(rows.len(), d_rows.len(), "a gradient has its rows' shape");
        }
        gradients.queries.fill(0.0);
        gradients.targets.fill(0.0);
        gradients.negatives.fill(0.0);
        gradients.negative_biases.fill(0.0);
        self.transposed.pack(negatives, width, negative_biases);
        self.negative_columns.pack(negatives, width, similarity);
        self.scratch.resize(n, 0.0);
        let mut sum = 0.0;
        let mut hits = hits;
        for first in (0..m).step_by(ROWS) {
            let count = ROWS.min(m - first);
            let rows = first * width..(first + count) * width;
            let queries = &queries[rows.clone()];
            self.grouped.pack(queries, width, similarity);
            self.query_columns.pack(queries, width, similarity);
            self.block.resize(tile::block_len(count, n), 0.0);
            let block = &mut self.block[..tile::block_len(count, n)];
            tile::scores(similarity, &self.grouped, &self.transposed, block);
            for query in 0..count {
                let scores = &mut self.scratch[..];
                tile::read_row(block, count, query, scores);
                while let Some((&(hit, negative), later)) = hits.split_first()
                    && hit as usize == first + query
                {
                    scores[negative as usize] = f32::NEG_INFINITY;
                    hits = later;
                }
                let own = (first + query) * width..(first + query + 1) * width;
                let query_row = &queries[query * width..][..width];
                let target = &targets[own.clone()];
                let bias = target_biases.get(first + query).copied().unwrap_or(0.0);
                let positive = similarity.score(query_row, target) + bias;
                let (value, d_positive) = loss.derive(positive, scores);
                sum += value;
                scores.iter_mut().for_each(|d| *d *= weight);
                tile::write_row(block, count, query, scores);
                let d_positive = d_positive * weight;
                if let Some(d_bias) = gradients.target_biases.get_mut(first + query) {
                    *d_bias = d_positive;
                }
                similarity.pull(d_positive, query_row, target, &mut gradients.queries[own.clone()]);
                similarity.pull(d_positive, target, query_row, &mut gradients.targets[own]);
            }
            if !negative_biases.is_empty() {
                tile::add_sums(block, count, gradients.negative_biases);
            }
            if tile::pulls_by_distance(similarity) {
                self.scratch.resize(n.max(block.len()), 0.0);
                let scratch = &mut self.scratch[..block.len()];
                tile::pulling(similarity, block, &self.grouped, &self.transposed, scratch);
                self.scratch.truncate(n);
            }
            let d_queries = &mut gradients.queries[rows];
            tile::pull_queries(similarity, block, queries, &self.negative_columns, d_queries);
            tile::pull_candidates(
                similarity,
                block,
                negatives,
                &self.query_columns,
                gradients.negatives,
            );
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::similarity::plain;

    /// Against plain loops, with a loss whose derivative is known from elsewhere.
    #[test]
    fn gradients_match_plain_loops() {
        let loss = SampledLoss::Softmax;
        for (m, n, half) in [(1, 1, 1), (7, 130, 11), (131, 40, 6)] {
            let width = 2 * half;
            let queries = plain::matrix(m, width, 1);
            let targets = plain::matrix(m, width, 2);
            let negatives = plain::matrix(n, width, 3);
            let hits: Vec<_> = (0..m as u32).step_by(3).map(|i| (i, i * 5 % n as u32)).collect();
            let weight = 0.25;
            for similarity in plain::ALL {
                let problem = Problem {
                    queries: &queries,
                    targets: &targets,
                    negatives: &negatives,
                    width,
                    target_biases: &targets[..m],
                    negative_biases: &negatives[..n],
                    hits: &hits,
                    weight,
                };
                let mut found = [
                    queries.clone(),
                    targets.clone(),
                    negatives.clone(),
                    vec![0.5; m],
                    vec![0.5; n],
                ];
                let [d_queries, d_targets, d_negatives, d_target_biases, d_negative_biases] =
                    &mut found;
                let gradients = Gradients {
                    queries: d_queries,
                    targets: d_targets,
                    negatives: d_negatives,
                    target_biases: d_target_biases,
                    negative_biases: d_negative_biases,
                };
                let sum = NegativesStep::default().run(similarity, loss, &problem, gradients);

                let mut expected = found.each_ref().map(|rows| vec![0.0; rows.len()]);
                let mut expected_sum = 0.0;
                for (i, (q, t)) in queries.chunks(width).zip(targets.chunks(width)).enumerate() {
                    let mut scores: Vec<f32> = negatives
                        .chunks(width)
                        .zip(&negatives)
                        .map(|(c, bias)| plain::score(similarity, q, c) as f32 + bias)
                        .collect();
                    for &(_, negative) in hits.iter().filter(|hit| hit.0 as usize == i) {
                        scores[negative as usize] = f32::NEG_INFINITY;
                    }
                    let positive = plain::score(similarity, q, t) as f32 + targets[i];
                    let (value, d_positive) = loss.derive(positive, &mut scores);
                    expected_sum += value;
                    let mut pull = |d: f32, c: &[f32], rows: usize, j: usize| {
                        let d = f64::from(d * weight);
                        // The dot product alone is not symmetric in its gradient's sign.
                        for (k, g) in plain::gradient(similarity, q, c).into_iter().enumerate() {
                            expected[0][i * width + k] += d * g;
                        }
                        for (k, g) in plain::gradient(similarity, c, q).into_iter().enumerate() {
                            expected[rows][j * width + k] += d * g;
                        }
                        expected[rows + 2][j] += d;
                    };
                    pull(d_positive, t, 1, i);
                    for (j, (c, &d)) in negatives.chunks(width).zip(&scores).enumerate() {
                        pull(d, c, 2, j);
                    }
                }
                assert!((sum - expected_sum).abs() < 1e-3 * (1.0 + expected_sum), "{similarity:?}");
                for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((f64::from(*found) - expected).abs() < 1e-3, "{similarity:?} {m}");
                }
            }
        }
    }
}
