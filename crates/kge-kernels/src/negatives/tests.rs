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

/// With a loss whose derivative is known from elsewhere, by a step that has seen other shapes.
#[test]
fn gradients_match_plain_loops() {
    for (precision, bound) in BOUNDS {
        let mut step = NegativesStep::new(precision);
        for shape in [(300, 97, 20), (1, 1, 1), (7, 130, 11), (131, 40, 6), (3, 1, 2)] {
            for similarity in plain::ALL {
                if precision == Precision::F32 || similarity == Similarity::Dot {
                    for biased in [true, false] {
                        let off = compare(&mut step, shape, similarity, biased);
                        let said = format!("{precision:?}, {similarity:?}, {shape:?}, {biased}");
                        assert!(off < bound, "a gradient is off by {off}: {said}");
                    }
                }
            }
        }
    }
}

/// By how much of its length a gradient is off, or the loss of its size.
fn compare(
    step: &mut NegativesStep,
    (m, n, half): (usize, usize, usize),
    similarity: Similarity,
    biased: bool,
) -> f64 {
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
        target_biases: if biased { &targets[..m] } else { &[] },
        negative_biases: if biased { &negatives[..n] } else { &[] },
        hits: &hits,
        weight: 0.25,
    };
    let (m, n) = (problem.target_biases.len(), problem.negative_biases.len());
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
    let sum = step.run(similarity, loss, &problem, gradients);

    let (expected_sum, expected) = reference(&problem, similarity, loss);
    let of_loss = (sum - expected_sum).abs() / (1.0 + expected_sum);
    let of_gradients = found.iter().zip(&expected).map(|(found, expected)| {
        let errors = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2));
        let length = expected.iter().map(|e| e * e).sum::<f64>();
        (errors.sum::<f64>() / length.max(1e-6)).sqrt()
    });
    of_gradients.fold(of_loss, f64::max)
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
        let biases = negative_biases.iter().copied().chain(std::iter::repeat(0.0));
        let mut scores: Vec<f32> = negatives
            .chunks(width)
            .zip(biases)
            .map(|(c, bias)| plain::score(similarity, q, c) as f32 + bias)
            .collect();
        for &(_, negative) in hits.iter().filter(|hit| hit.0 as usize == i) {
            scores[negative as usize] = f32::NEG_INFINITY;
        }
        let positive =
            plain::score(similarity, q, t) as f32 + target_biases.get(i).copied().unwrap_or(0.0);
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
            if let Some(d_bias) = gradients[rows + 2].get_mut(j) {
                *d_bias += d;
            }
        };
        pull(d_positive, t, 1, i);
        for (j, (c, &d)) in negatives.chunks(width).zip(&scores).enumerate() {
            pull(d, c, 2, j);
        }
    }
    (sum, gradients)
}
