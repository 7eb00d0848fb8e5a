//! A step allocates nothing once its buffers have grown.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
};

use kge_kernels::{
    FullStep, Pool, Precision, Similarity,
    full::{self, Labels, Problem},
    loss::SampledLoss,
    negatives::{self, Gradients, NegativesStep},
    rank::{Ranker, Standing},
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The fewest allocations of many equal calls: a thread's own buffers grow when it first gets work,
/// which may be late on a busy machine.
fn allocations(mut step: impl FnMut()) -> usize {
    let count = |_| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        step();
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    (0..50).map(count).min().unwrap_or(usize::MAX)
}

// One test: the count is the whole process's.
#[test]
fn steps_allocate_nothing() {
    let (m, n, width) = (300, 1100, 24);
    let values = |rows: usize| (0..rows * width).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
    let (queries, candidates): (Vec<f32>, Vec<f32>) = (values(m), values(n));
    let starts: Vec<u32> = (0..=m as u32).collect();
    let ids: Vec<u32> = (0..m as u32).map(|i| i * 7 % n as u32).collect();
    let (mut d_queries, mut d_candidates) = (queries.clone(), candidates.clone());
    let mut d_targets = queries.clone();
    let pool = Pool::new(NonZeroUsize::new(2).unwrap());
    for similarity in [Similarity::Dot, Similarity::L2, Similarity::Modulus] {
        let problem = Problem {
            queries: &queries,
            candidates: &candidates,
            width,
            biases: &[],
            labels: Labels { starts: &starts, ids: &ids },
            smoothing: 0.1,
            weight: 1.0,
        };
        use Precision::{Bf16, Bf16Amx, Bf16x3, F32};
        for precision in [F32, Bf16, Bf16Amx, Bf16x3] {
            if precision != F32 && similarity != Similarity::Dot {
                continue;
            }
            let mut full = FullStep::new(precision);
            assert_eq!(
                allocations(|| {
                    for step in [FullStep::softmax, FullStep::binary] {
                        let gradients = full::Gradients {
                            queries: &mut d_queries,
                            candidates: &mut d_candidates,
                            biases: &mut [],
                        };
                        step(&mut full, &pool, similarity, &problem, gradients);
                    }
                }),
                0,
                "against all, {similarity:?}, {precision:?}"
            );
        }
        let problem = negatives::Problem {
            queries: &queries,
            targets: &queries,
            negatives: &candidates,
            width,
            hits: &[(3, 5)],
            target_biases: &[],
            negative_biases: &[],
            weight: 1.0,
        };
        for precision in [F32, Bf16, Bf16Amx, Bf16x3] {
            if precision != F32 && similarity != Similarity::Dot {
                continue;
            }
            let mut sampled = NegativesStep::new(precision);
            assert_eq!(
                allocations(|| {
                    let gradients = Gradients {
                        queries: &mut d_queries,
                        targets: &mut d_targets,
                        negatives: &mut d_candidates,
                        target_biases: &mut [],
                        negative_biases: &mut [],
                    };
                    sampled.run(similarity, SampledLoss::Softmax, &problem, gradients);
                }),
                0,
                "negatives, {similarity:?}, {precision:?}"
            );
        }
        let (mut ranker, mut standings) = (Ranker::default(), vec![Standing::default(); m]);
        let left_out = vec![&[][..]; m];
        assert_eq!(
            allocations(|| {
                let rows = (&queries[..], &candidates[..], width);
                ranker.standings(similarity, rows, &[], &ids, &left_out, &mut standings);
            }),
            0,
            "ranking, {similarity:?}"
        );
    }
}
