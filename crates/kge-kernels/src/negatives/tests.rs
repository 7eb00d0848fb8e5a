//! The step against plain loops, in every precision.

use super::*;
use crate::similarity::plain;

/// By how much of its length a gradient may be off: factors that are rounded carry eight bits.
const BOUNDS: [(Precision, f64); 4] = [
    (Precision::F32, 1e-5),
    (Precision::Bf16, 6e-3),
    (Precision::Bf16Amx, 6e-3),
    (Precision::Bf16x3, 3e-5),
];

/// With a loss whose derivative is known from elsewhere.
#[test]
fn gradients_match_plain_loops() {
    for shape in [(1, 1, 1), (7, 130, 11), (131, 40, 6), (300, 97, 20)] {
        for similarity in plain::ALL {
            for (precision, bound) in BOUNDS {
                if precision == Precision::F32 || similarity == Similarity::Dot {
                    compare(shape, similarity, precision, bound);
                }
            }
        }
    }
}

fn compare(
    (m, n, half): (usize, usize, usize),
    similarity: Similarity,
    precision: Precision,
    bound: f64,
) {
    let width = 2 * half;
    let queries = plain::matrix(m, width, 1);
    let targets = plain::matrix(m, width, 2);
    let negatives = plain::matrix(n, width, 3);
    let hits: Vec<_> = (0..m as u32).step_by(3).map(|i| (i, i * 5 % n as u32)).collect();
    let problem = Problem {
        queries: &queries,
        targets: &targets,
        negatives: &negatives,
        width,
        target_biases: &targets[..m],
        negative_biases: &negatives[..n],
        hits: &hits,
        weight: 0.25,
    };
    let mut found =
        [queries.clone(), targets.clone(), negatives.clone(), vec![0.5; m], vec![0.5; n]];
    let [d_queries, d_targets, d_negatives, d_target_biases, d_negative_biases] = &mut found;
    let gradients = Gradients {
        queries: d_queries,
        targets: d_targets,
        negatives: d_negatives,
        target_biases: d_target_biases,
        negative_biases: d_negative_biases,
    };
    let loss = SampledLoss::Softmax;
    let sum = NegativesStep::new(precision).run(similarity, loss, &problem, gradients);

    let (expected_sum, expected) = reference(&problem, similarity, loss);
    let said = format!("{similarity:?}, {precision:?}, {m} queries");
    let off = (sum - expected_sum).abs() / (1.0 + expected_sum);
    assert!(off < bound.max(1e-5), "the loss is off by {off}: {said}");
    for (found, expected) in found.iter().zip(&expected) {
        let errors = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2));
        let length = expected.iter().map(|e| e * e).sum::<f64>();
        let off = (errors.sum::<f64>() / length.max(1e-6)).sqrt();
        assert!(off < bound, "a gradient is off by {off}: {said}");
    }
}

/// The loss, and the gradients in the order of [`Gradients`].
fn reference(
    problem: &Problem<'_>,
    similarity: Similarity,
    loss: SampledLoss,
) -> (f64, [Vec<f64>; 5]) {
    let Problem { queries, targets, negatives, width, hits, weight, .. } = *problem;
    let (target_biases, negative_biases) = (problem.target_biases, problem.negative_biases);
    let mut gradients = [queries, targets, negatives, target_biases, negative_biases]
        .map(|rows| vec![0.0; rows.len()]);
    let mut sum = 0.0;
    for (i, (q, t)) in queries.chunks(width).zip(targets.chunks(width)).enumerate() {
        let mut scores: Vec<f32> = negatives
            .chunks(width)
            .zip(negative_biases)
            .map(|(c, bias)| plain::score(similarity, q, c) as f32 + bias)
            .collect();
        for &(_, negative) in hits.iter().filter(|hit| hit.0 as usize == i) {
            scores[negative as usize] = f32::NEG_INFINITY;
        }
        let positive = plain::score(similarity, q, t) as f32 + target_biases[i];
        let (value, d_positive) = loss.derive(positive, &mut scores);
        sum += value;
        let mut pull = |d: f32, c: &[f32], rows: usize, j: usize| {
            let d = f64::from(d * weight);
            // The dot product alone is not symmetric in its gradient's sign.
            for (k, g) in plain::gradient(similarity, q, c).into_iter().enumerate() {
                gradients[0][i * width + k] += d * g;
            }
            for (k, g) in plain::gradient(similarity, c, q).into_iter().enumerate() {
                gradients[rows][j * width + k] += d * g;
            }
            gradients[rows + 2][j] += d;
        };
        pull(d_positive, t, 1, i);
        for (j, (c, &d)) in negatives.chunks(width).zip(&scores).enumerate() {
            pull(d, c, 2, j);
        }
    }
    (sum, gradients)
}
