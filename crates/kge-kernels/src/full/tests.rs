//! Both losses against plain loops in f64, and the same bytes whatever the threads and the memory.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::{blocks::Blocks, softmax::KEPT_BYTES, *};

fn matrix(rows: usize, width: usize, salt: usize) -> Vec<f32> {
    (0..rows * width).map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Softmax { kept: usize },
    Binary,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    loss: f64,
    d_queries: Vec<f32>,
    d_candidates: Vec<f32>,
    d_biases: Vec<f32>,
}

fn step<B: Blocks>(
    problem: &Problem<'_>,
    kind: Kind,
    similarity: Similarity,
    threads: usize,
) -> Outcome {
    let pool = Pool::new(NonZeroUsize::new(threads).unwrap());
    let mut d_queries = vec![f32::NAN; problem.queries.len()];
    let mut d_candidates = vec![f32::NAN; problem.candidates.len()];
    let mut d_biases = vec![f32::NAN; problem.biases.len()];
    let gradients =
        Gradients { queries: &mut d_queries, candidates: &mut d_candidates, biases: &mut d_biases };
    let mut step = Step::<B>::default();
    let loss = match kind {
        Kind::Softmax { kept } => step.softmax(kept, &pool, similarity, problem, gradients),
        Kind::Binary => step.binary(&pool, similarity, problem, gradients),
    };
    Outcome { loss, d_queries, d_candidates, d_biases }
}

/// Plain loops in f64, for the dot product.
fn reference(problem: &Problem<'_>, kind: Kind) -> (f64, [Vec<f64>; 3]) {
    let Problem { queries, candidates, width, biases, labels, smoothing, weight } = *problem;
    let (n, smoothing) = (candidates.len() / width, f64::from(smoothing));
    let (mut loss, mut d_q, mut d_c) = (0.0, vec![0.0; queries.len()], vec![0.0; candidates.len()]);
    let mut d_b = vec![0.0; biases.len()];
    for (i, q) in queries.chunks(width).enumerate() {
        let score = |j: usize| -> f64 {
            let bias = biases.get(j).map_or(0.0, |&bias| f64::from(bias));
            let products =
                (0..width).map(|k| f64::from(q[k]) * f64::from(candidates[j * width + k]));
            bias + products.sum::<f64>()
        };
        let labels = labels.of(i);
        let hit = match kind {
            Kind::Softmax { .. } => 1.0 / labels.len() as f64,
            Kind::Binary => 1.0,
        };
        let z: f64 = (0..n).map(|j| score(j).exp()).sum();
        for j in 0..n {
            let label = if labels.contains(&(j as u32)) { hit } else { 0.0 };
            let label = (1.0 - smoothing) * label + smoothing / n as f64;
            let (own, p) = match kind {
                Kind::Softmax { .. } => (label * (z.ln() - score(j)), score(j).exp() / z),
                Kind::Binary => {
                    (score(j).exp().ln_1p() - label * score(j), 1.0 / (1.0 + (-score(j)).exp()))
                }
            };
            loss += f64::from(weight) * own;
            let p = f64::from(weight) * (p - label);
            d_b.iter_mut().skip(j).take(1).for_each(|d| *d += p);
            for k in 0..width {
                d_q[i * width + k] += p * f64::from(candidates[j * width + k]);
                d_c[j * width + k] += p * f64::from(q[k]);
            }
        }
    }
    (loss, [d_q, d_c, d_b])
}

/// One to three labels a query.
fn lists(queries: usize, candidates: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut starts, mut ids) = (vec![0], Vec::new());
    for i in 0..queries {
        let mut own: Vec<_> =
            (0..1 + i % 3).map(|k| ((i * 31 + k * 57) % candidates) as u32).collect();
        own.sort_unstable();
        own.dedup();
        ids.extend(own);
        starts.push(ids.len() as u32);
    }
    (starts, ids)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn gradients_match_plain_loops(
        m in 0..20_usize, n in 1..1300_usize, width in 1..40_usize,
        smooth in any::<bool>(), binary in any::<bool>(), biased in any::<bool>(),
    ) {
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        let biases = if biased { matrix(n, 1, 3) } else { Vec::new() };
        let (starts, ids) = lists(m, n);
        let problem = Problem {
            queries: &queries,
            candidates: &candidates,
            width,
            biases: &biases,
            labels: Labels { starts: &starts, ids: &ids },
            smoothing: if smooth { 0.1 } else { 0.0 },
            weight: 0.25,
        };
        let kind = if binary { Kind::Binary } else { Kind::Softmax { kept: KEPT_BYTES } };
        let (loss, expected) = reference(&problem, kind);
        let found = step::<Panels<F32>>(&problem, kind, Similarity::Dot, 2);
        prop_assert!((found.loss - loss).abs() < 1e-5 * (1.0 + loss.abs()), "{} {loss}", found.loss);
        let found = [found.d_queries, found.d_candidates, found.d_biases];
        for (f, e) in found.iter().flatten().zip(expected.iter().flatten()) {
            prop_assert!((f64::from(*f) - e).abs() < 1e-4 * (1.0 + e.abs()), "{f} {e}");
        }
    }
}

/// Factors carry eight bits: gradients are off by a share of what was summed.
#[test]
fn bf16_is_as_near_as_its_factors() {
    as_near::<Panels<Bf16>>(6e-3);
    as_near::<Tiled<Once>>(6e-3);
    as_near::<Tiled<Thrice>>(3e-5);
}

fn as_near<B: Blocks>(bound: f64) {
    let (m, n, width) = (33, 1100, 37);
    let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
    let (starts, ids) = lists(m, n);
    let problem = Problem {
        queries: &queries,
        candidates: &candidates,
        width,
        biases: &candidates[..n],
        labels: Labels { starts: &starts, ids: &ids },
        smoothing: 0.1,
        weight: 1.0,
    };
    for kind in [Kind::Softmax { kept: KEPT_BYTES }, Kind::Binary] {
        let (loss, expected) = reference(&problem, kind);
        let found = step::<B>(&problem, kind, Similarity::Dot, 2);
        let error = (found.loss - loss).abs() / loss.abs();
        assert!(error < bound / 3.0, "{kind:?}: {} {loss}", found.loss);
        for (found, expected) in
            [found.d_queries, found.d_candidates, found.d_biases].iter().zip(&expected)
        {
            let errors = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2));
            let share = errors.sum::<f64>() / expected.iter().map(|e| e * e).sum::<f64>();
            assert!(share.sqrt() < bound, "{kind:?}: {}", share.sqrt());
        }
    }
}

#[test]
fn threads_and_memory_do_not_change_a_byte() {
    for similarity in [Similarity::Dot, Similarity::L1, Similarity::L2, Similarity::Modulus] {
        same_bytes::<Panels<F32>>(similarity);
    }
    same_bytes::<Panels<Bf16>>(Similarity::Dot);
    same_bytes::<Tiled<Once>>(Similarity::Dot);
    same_bytes::<Tiled<Thrice>>(Similarity::Dot);
}

fn same_bytes<B: Blocks>(similarity: Similarity) {
    let (m, n, width) = (137, 1531, 24);
    let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
    let (starts, ids) = lists(m, n);
    let problem = Problem {
        queries: &queries,
        candidates: &candidates,
        width,
        biases: &candidates[..n],
        labels: Labels { starts: &starts, ids: &ids },
        smoothing: 0.1,
        weight: 1.0 / 137.0,
    };
    let one = step::<B>(&problem, Kind::Softmax { kept: KEPT_BYTES }, similarity, 1);
    for (threads, kept) in [(2, KEPT_BYTES), (3, KEPT_BYTES), (1, 0), (3, 0)] {
        assert_eq!(one, step::<B>(&problem, Kind::Softmax { kept }, similarity, threads));
    }
    let one = step::<B>(&problem, Kind::Binary, similarity, 1);
    for threads in [2, 3] {
        assert_eq!(one, step::<B>(&problem, Kind::Binary, similarity, threads));
    }
}
