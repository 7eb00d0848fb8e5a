//! Both losses against plain loops in f64, and the same bytes whatever the threads and the memory.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::{blocks::Blocks, softmax::KEPT_BYTES, *};
use crate::simd::{on, paths};

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

fn outcome(
    problem: &Problem<'_>,
    threads: usize,
    run: impl FnOnce(&Pool, Gradients<'_>) -> f64,
) -> Outcome {
    let pool = Pool::new(NonZeroUsize::new(threads).unwrap());
    let mut d_queries = vec![f32::NAN; problem.queries.len()];
    let mut d_candidates = vec![f32::NAN; problem.candidates.len()];
    let mut d_biases = vec![f32::NAN; problem.biases.len()];
    let gradients =
        Gradients { queries: &mut d_queries, candidates: &mut d_candidates, biases: &mut d_biases };
    let loss = run(&pool, gradients);
    Outcome { loss, d_queries, d_candidates, d_biases }
}

/// Rows, and one to three labels a query.
struct Case {
    queries: Vec<f32>,
    candidates: Vec<f32>,
    width: usize,
    labels: (Vec<u32>, Vec<u32>),
}

impl Case {
    fn new((m, n, width): (usize, usize, usize)) -> Self {
        let (queries, candidates) = (matrix(m, width, 1), matrix(n, width, 2));
        Self { queries, candidates, width, labels: lists(m, n) }
    }

    /// With biases and smoothed labels.
    fn problem(&self, weight: f32) -> Problem<'_> {
        let Self { queries, candidates, width, labels: (starts, ids) } = self;
        Problem {
            queries,
            candidates,
            width: *width,
            biases: &candidates[..candidates.len() / width],
            labels: Labels { starts, ids },
            smoothing: 0.1,
            weight,
        }
    }
}

/// By dot products.
fn step<B: Blocks>(problem: &Problem<'_>, kind: Kind, threads: usize) -> Outcome {
    let mut step = Step::<B>::default();
    outcome(problem, threads, |pool, gradients| match kind {
        Kind::Softmax { kept } => step.softmax(kept, pool, problem, gradients),
        Kind::Binary => step.binary(pool, Similarity::Dot, problem, gradients),
    })
}

fn step_of_distances(
    similarity: Similarity,
    problem: &Problem<'_>,
    kind: Kind,
    threads: usize,
) -> Outcome {
    let mut step = Step::<Panels>::default();
    outcome(problem, threads, |pool, gradients| match kind {
        Kind::Softmax { kept } => {
            step.softmax_of_distances(kept, pool, similarity, problem, gradients)
        }
        Kind::Binary => step.binary(pool, similarity, problem, gradients),
    })
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
        let highest = (0..n).map(score).fold(f64::NEG_INFINITY, f64::max);
        let normaliser = highest + (0..n).map(|j| (score(j) - highest).exp()).sum::<f64>().ln();
        for j in 0..n {
            let label = if labels.contains(&(j as u32)) { hit } else { 0.0 };
            let label = (1.0 - smoothing) * label + smoothing / n as f64;
            let (own, p) = match kind {
                Kind::Softmax { .. } => {
                    (label * (normaliser - score(j)), (score(j) - normaliser).exp())
                }
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
        let found = step::<Panels>(&problem, kind, 2);
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
    // Of several tiles, and of several blocks of queries.
    for shape in [(33, 1100, 37), (2100, 70, 9)] {
        as_near::<Paired>(shape, 6e-3);
        as_near::<Tiled<Once>>(shape, 6e-3);
        as_near::<Tiled<Thrice>>(shape, 3e-5);
    }
}

fn as_near<B: Blocks>((m, n, width): (usize, usize, usize), bound: f64) {
    assert!(n > B::tile(width) || m > B::ROWS, "more than one block");
    let case = Case::new((m, n, width));
    let problem = case.problem(1.0);
    for kind in [Kind::Softmax { kept: KEPT_BYTES }, Kind::Binary] {
        let (loss, expected) = reference(&problem, kind);
        let found = step::<B>(&problem, kind, 2);
        let error = (found.loss - loss).abs() / loss.abs();
        assert!(error < bound / 3.0, "{kind:?}: {} {loss}", found.loss);
        for (found, expected) in
            [found.d_queries, found.d_candidates, found.d_biases].iter().zip(&expected)
        {
            let share = share_of_error(found, expected);
            assert!(share < bound, "{kind:?}: {share}");
        }
    }
}

#[test]
fn threads_and_memory_do_not_change_a_byte() {
    for similarity in [Similarity::L1, Similarity::L2, Similarity::Modulus] {
        same_bytes(|problem, kind, threads| step_of_distances(similarity, problem, kind, threads));
    }
    same_bytes(step::<Panels>);
    same_bytes(step::<Paired>);
    same_bytes(step::<Tiled<Once>>);
    same_bytes(step::<Tiled<Thrice>>);
}

/// Of an odd number of queries and a ragged tile.
#[test]
fn vectors_do_not_change_a_byte() {
    let case = Case::new((37, 611, 24));
    let problem = case.problem(1.0 / 37.0);
    // One thread: a path is forced for the calling one alone.
    for kind in [Kind::Softmax { kept: KEPT_BYTES }, Kind::Binary] {
        let plain = [step::<Panels>, step::<Paired>]
            .map(|step| on(pulp::Arch::Scalar, || step(&problem, kind, 1)));
        for path in paths() {
            assert_eq!(on(path, || step::<Panels>(&problem, kind, 1)), plain[0], "{path:?}");
            assert_eq!(on(path, || step::<Paired>(&problem, kind, 1)), plain[1], "{path:?}");
        }
    }
}

fn same_bytes(step: impl Fn(&Problem<'_>, Kind, usize) -> Outcome) {
    let case = Case::new((137, 1531, 24));
    let problem = case.problem(1.0 / 137.0);
    let one = step(&problem, Kind::Softmax { kept: KEPT_BYTES }, 1);
    for (threads, kept) in [(2, KEPT_BYTES), (3, KEPT_BYTES), (1, 0), (3, 0)] {
        assert_eq!(one, step(&problem, Kind::Softmax { kept }, threads));
    }
    let one = step(&problem, Kind::Binary, 1);
    for threads in [2, 3] {
        assert_eq!(one, step(&problem, Kind::Binary, threads));
    }
}

/// A distance is a dot product of rows of a few floats more: `-|q - c|^2 = 2 q c - |c|^2 - |q|^2`,
/// the last of which no softmax sees.
#[test]
fn distances_are_dot_products_of_other_rows() {
    let case = Case::new((33, 1100, 8));
    let problem = case.problem(1.0);
    let Problem { queries, candidates, width, .. } = problem;
    let wider = |rows: &[f32], more: fn(&[f32]) -> f32| -> Vec<f32> {
        rows.chunks(width).flat_map(|row| row.iter().copied().chain([more(row)])).collect()
    };
    let square = |row: &[f32]| -row.iter().map(|x| x * x).sum::<f32>();
    let doubled: Vec<f32> = queries.iter().map(|x| 2.0 * x).collect();
    let (q, c) = (wider(&doubled, |_| 1.0), wider(candidates, square));
    let dots = Problem { queries: &q, candidates: &c, width: width + 1, ..problem };
    for kept in [KEPT_BYTES, 0] {
        let kind = Kind::Softmax { kept };
        let (loss, [d_q, d_c, d_b]) = reference(&dots, kind);
        let found = step_of_distances(Similarity::SquaredL2, &problem, kind, 2);
        assert!((found.loss - loss).abs() < 1e-5 * loss.abs(), "{} {loss}", found.loss);
        let near = |found: f32, exact: f64| {
            assert!(
                (f64::from(found) - exact).abs() < 1e-3 * (1.0 + exact.abs()),
                "{found} {exact}"
            );
        };
        found.d_biases.iter().zip(&d_b).for_each(|(found, exact)| near(*found, *exact));
        for (i, found) in found.d_queries.iter().enumerate() {
            let (row, column) = (i / width, i % width);
            // Weights sum up to 0, so the query's own row pulls nothing.
            near(*found, 2.0 * d_q[row * (width + 1) + column]);
        }
        for (i, found) in found.d_candidates.iter().enumerate() {
            let (row, column) = (i / width, i % width);
            let own = &d_c[row * (width + 1)..][..width + 1];
            near(*found, own[column] - 2.0 * f64::from(candidates[i]) * own[width]);
        }
    }
}

/// However far the scores lie from the labels' and from each other.
#[test]
fn no_score_is_too_high_or_too_low() {
    let (m, n, width) = (40, 600, 16);
    // Numbers that bf16 holds, so that rounding moves no score.
    let short = |rows: Vec<f32>| -> Vec<f32> {
        rows.into_iter().map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)).collect()
    };
    let (queries, candidates) = (short(matrix(m, width, 1)), short(matrix(n, width, 2)));
    let (starts, ids) = lists(m, n);
    for scale in [32.0, 256.0] {
        let queries: Vec<f32> = queries.iter().map(|x| x * scale).collect();
        let problem = Problem {
            queries: &queries,
            candidates: &candidates,
            width,
            biases: &[],
            labels: Labels { starts: &starts, ids: &ids },
            smoothing: 0.0,
            weight: 1.0,
        };
        let kind = Kind::Softmax { kept: KEPT_BYTES };
        let (loss, [d_q, d_c, _]) = reference(&problem, kind);
        for (found, bound) in [
            (step::<Panels>(&problem, kind, 2), 1e-3),
            (step::<Paired>(&problem, kind, 2), 6e-3),
            (step::<Tiled<Thrice>>(&problem, kind, 2), 3e-2),
        ] {
            assert!((found.loss - loss).abs() < bound * loss.abs(), "{} {loss}", found.loss);
            for (found, exact) in [(found.d_queries, &d_q), (found.d_candidates, &d_c)] {
                let share = share_of_error(&found, exact);
                assert!(share < bound, "{scale}: {share}");
            }
        }
    }
}

/// The length of what is wrong by the length of what is right.
fn share_of_error(found: &[f32], exact: &[f64]) -> f64 {
    let errors = found.iter().zip(exact).map(|(f, e)| (f64::from(*f) - e).powi(2));
    (errors.sum::<f64>() / exact.iter().map(|e| e * e).sum::<f64>()).sqrt()
}
