//! The regimes of training and ranking on FB15k-237's shape: 14,541 entities, 256 floats a row.

use std::{hint::black_box, num::NonZeroUsize, sync::Mutex};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kge_kernels::{
    FullStep, Pool, Precision, Similarity,
    full::{self, Labels, Problem},
    loss::SampledLoss,
    negatives::{self, Gradients, NegativesStep},
    optimise,
    rank::{Ranker, Standing},
    tile::{self, Columns, Grouped, Transposed},
};
use pulp::{Arch, Simd, WithSimd};

const ENTITIES: usize = 14_541;
const WIDTH: usize = 256;
const QUERIES: usize = 1024;

/// As they are called behind a benchmark's name.
const PRECISIONS: [(&str, Precision); 4] = [
    ("", Precision::F32),
    ("_bf16", Precision::Bf16),
    ("_bf16_amx", Precision::Bf16Amx),
    ("_bf16x3", Precision::Bf16x3),
];

const SIMILARITIES: [Similarity; 5] =
    [Similarity::Dot, Similarity::L1, Similarity::L2, Similarity::SquaredL2, Similarity::Modulus];

fn rows(count: usize, salt: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 7919 + salt * 104_729) % 1013) as f32 / 1013.0 - 0.5;
    (0..count * WIDTH).map(value).collect()
}

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).expect("not 0"))
}

fn threads() -> [usize; 2] {
    [1, 2]
}

/// Products by AMX's tiles that stay in registers.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[allow(unsafe_code, reason = "a product of tiles is an instruction of assembly")]
fn multiply_tiles(steps: usize) {
    assert!(Precision::Bf16Amx.is_native() && steps > 0, "tiles, and something to do");
    #[repr(C, align(64))]
    struct Configuration([u8; 64]);

    let mut whole = Configuration([0; 64]);
    // Palette 1; eight tiles of 64 bytes a row, in 16 bits each, and 16 rows.
    whole.0[0] = 1;
    for tile in 0..8 {
        whole.0[16 + 2 * tile] = 64;
        whole.0[48 + tile] = 16;
    }
    // SAFETY: the CPU has tiles and the kernel lets this process use them, as was asserted; all of
    // them hold zeros, and are released in the end.
    unsafe {
        std::arch::asm!(
            "ldtilecfg [{whole}]",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {steps}",
            "jnz 2b",
            "tilerelease",
            whole = in(reg) &raw const whole,
            steps = inout(reg) steps => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Products of pairs of bf16 that stay in registers.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "an instruction that not every CPU has")]
fn multiply_pairs(steps: usize) -> f32 {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_reduce_add_ps, _mm512_set1_epi32,
        _mm512_setzero_ps,
    };

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn multiply(steps: usize) -> f32 {
        // SAFETY: vectors of 512 bits are transmuted into each other.
        let small = unsafe {
            std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(black_box(0x3089_3089)))
        };
        let mut sums = [_mm512_setzero_ps(); 12];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, small, small);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    assert!(Precision::Bf16.is_native(), "a CPU with the instruction");
    // SAFETY: it has, as was asserted.
    unsafe { multiply(steps) }
}

/// What one core can do at best: multiply-adds in registers, and floats read from memory.
fn limits(criterion: &mut Criterion) {
    struct MultiplyAdds(usize);

    impl WithSimd for MultiplyAdds {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let (small, mut sums) = (simd.splat_f32s(black_box(1e-9)), [simd.splat_f32s(0.0); 12]);
            for _ in 0..self.0 / (2 * S::F32_LANES * sums.len()) {
                for sum in &mut sums {
                    *sum = simd.mul_add_f32s(small, small, *sum);
                }
            }
            sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
        }
    }

    struct Sum<'a>(&'a [f32]);

    impl WithSimd for Sum<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let (chunks, _) = S::as_simd_f32s(self.0).0.as_chunks::<8>();
            let mut sums = [simd.splat_f32s(0.0); 8];
            for chunk in chunks {
                for (sum, &x) in sums.iter_mut().zip(chunk) {
                    *sum = simd.add_f32s(*sum, x);
                }
            }
            sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
        }
    }

    let mut group = criterion.benchmark_group("limits");
    let operations = 384 << 20;
    group.throughput(Throughput::Elements(operations as u64));
    group.bench_function("multiply_add", |bencher| {
        bencher.iter(|| Arch::new().dispatch(MultiplyAdds(operations)));
    });
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if Precision::Bf16Amx.is_native() {
        // A tile's product: 16 x 16 sums of 32 products.
        let steps = 1 << 14;
        group.throughput(Throughput::Elements((steps * 4 * 2 * 16 * 16 * 32) as u64));
        group.bench_function("tiles", |bencher| bencher.iter(|| multiply_tiles(steps)));
    }
    #[cfg(target_arch = "x86_64")]
    if Precision::Bf16.is_native() {
        let steps = 1 << 20;
        group.throughput(Throughput::Elements((steps * 12 * 2 * 32) as u64));
        group.bench_function("pairs", |bencher| bencher.iter(|| multiply_pairs(steps)));
    }
    let floats = vec![1.0; 64 << 20];
    group.throughput(Throughput::Bytes(4 * floats.len() as u64));
    group.bench_function("read", |bencher| {
        bencher.iter(|| Arch::new().dispatch(Sum(black_box(&floats))));
    });
    group.finish();
}

/// One of the losses of a step.
type StepOf = fn(&mut FullStep, &Pool, Similarity, &Problem<'_>, full::Gradients<'_>) -> f64;

/// A step of 1,024 one-way queries against every entity.
fn against_all(criterion: &mut Criterion) {
    let (queries, entities) = (rows(QUERIES, 1), rows(ENTITIES, 2));
    let (mut d_queries, mut d_entities) = (queries.clone(), entities.clone());
    let starts: Vec<u32> = (0..=QUERIES as u32).collect();
    let ids: Vec<u32> = (0..QUERIES).map(|i| (i * 37 % ENTITIES) as u32).collect();
    let problem = Problem {
        queries: &queries,
        candidates: &entities,
        width: WIDTH,
        biases: &[],
        labels: Labels { starts: &starts, ids: &ids },
        smoothing: 0.0,
        weight: 1.0 / QUERIES as f32,
    };
    let mut group = criterion.benchmark_group("against_all");
    // Three products of two operations an element.
    group.throughput(Throughput::Elements(6 * (QUERIES * ENTITIES * WIDTH) as u64));
    for (name, precision) in PRECISIONS {
        if !precision.is_native() {
            continue;
        }
        for threads in threads() {
            let (pool, mut step) = (pool(threads), FullStep::new(precision));
            let mut run = |loss: &str, step_of: StepOf| {
                group.bench_function(
                    BenchmarkId::new(format!("{loss}{name}"), threads),
                    |bencher| {
                        bencher.iter(|| {
                            let gradients = full::Gradients {
                                queries: &mut d_queries,
                                candidates: &mut d_entities,
                                biases: &mut [],
                            };
                            step_of(&mut step, &pool, Similarity::Dot, &problem, gradients)
                        });
                    },
                );
            };
            run("softmax", FullStep::softmax);
            run("binary", FullStep::binary);
        }
    }
    group.finish();
}

/// A batch of 1,024 triples, both sides, in chunks that share their negatives.
fn shared_negatives(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shared_negatives");
    group.throughput(Throughput::Elements(QUERIES as u64));
    for (negatives, chunk) in [(512, 256), (100, 64)] {
        let (queries, targets) = (rows(chunk, 1), rows(chunk, 2));
        let candidates = rows(negatives, 3);
        let problem = negatives::Problem {
            queries: &queries,
            targets: &targets,
            negatives: &candidates,
            width: WIDTH,
            hits: &[],
            target_biases: &[],
            negative_biases: &[],
            weight: 1.0,
        };
        let chunks = 2 * QUERIES / chunk;
        for (name, precision) in PRECISIONS {
            if !precision.is_native() {
                continue;
            }
            for threads in threads() {
                let pool = pool(threads);
                let mut gradients: Vec<_> = (0..chunks)
                    .map(|_| [queries.clone(), targets.clone(), candidates.clone()])
                    .collect();
                let steps: Vec<_> =
                    (0..threads).map(|_| Mutex::new(NegativesStep::new(precision))).collect();
                let id = BenchmarkId::new(format!("{negatives}{name}"), threads);
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        pool.chunks(&mut gradients, 1, |_, gradients, thread| {
                            let [queries, targets, negatives] = &mut gradients[0];
                            let gradients = Gradients {
                                queries,
                                targets,
                                negatives,
                                target_biases: &mut [],
                                negative_biases: &mut [],
                            };
                            let mut step = steps[thread].lock().expect("no panic");
                            let loss = SampledLoss::Softmax;
                            black_box(step.run(Similarity::Dot, loss, &problem, gradients));
                        });
                    });
                });
            }
        }
    }
    group.finish();
}

/// One tile: the scores, and both pulls.
fn tiles(criterion: &mut Criterion) {
    let (m, n) = (tile::ROWS, tile::TILE);
    let (queries, candidates) = (rows(m, 1), rows(n, 2));
    let (mut d_queries, mut d_candidates) = (queries.clone(), candidates.clone());
    let mut group = criterion.benchmark_group("tile");
    group.throughput(Throughput::Elements(2 * (m * n * WIDTH) as u64));
    for similarity in SIMILARITIES {
        let (mut grouped, mut transposed) = (Grouped::default(), Transposed::default());
        let (mut query_columns, mut columns) = (Columns::default(), Columns::default());
        grouped.pack(&queries, WIDTH, similarity);
        transposed.pack(&candidates, WIDTH, &[]);
        query_columns.pack(&queries, WIDTH, similarity);
        columns.pack(&candidates, WIDTH, similarity);
        let mut block = vec![0.0; tile::block_len(m, n)];
        let name = |what: &str| BenchmarkId::new(what, format!("{similarity:?}"));
        group.bench_function(name("scores"), |bencher| {
            bencher.iter(|| tile::scores(similarity, &grouped, &transposed, &mut block));
        });
        group.bench_function(name("pull_queries"), |bencher| {
            bencher.iter(|| {
                tile::pull_queries(similarity, &block, &queries, &columns, &mut d_queries);
            });
        });
        group.bench_function(name("pull_candidates"), |bencher| {
            bencher.iter(|| {
                let d_candidates = &mut d_candidates;
                tile::pull_candidates(
                    similarity,
                    &block,
                    &candidates,
                    &query_columns,
                    d_candidates,
                );
            });
        });
    }
    group.finish();
}

/// Filtered ranking of 960 queries among every entity, on one thread.
fn ranking(criterion: &mut Criterion) {
    let (queries, entities) = (rows(960, 1), rows(ENTITIES, 2));
    let targets: Vec<u32> = (0..960).map(|i| (i * 37 % ENTITIES) as u32).collect();
    let (mut ranker, mut standings) = (Ranker::default(), vec![Standing::default(); 960]);
    let mut group = criterion.benchmark_group("ranking");
    group.throughput(Throughput::Elements(960));
    for similarity in [Similarity::Dot, Similarity::L1] {
        group.bench_function(format!("{similarity:?}"), |bencher| {
            bencher.iter(|| {
                let rows = (&queries[..], &entities[..], WIDTH);
                ranker.standings(similarity, rows, &[], &targets, &[&[][..]; 960], &mut standings);
            });
        });
    }
    group.finish();
}

/// Of a row by its gradient, with its state.
type Update<'a> = &'a dyn Fn(&mut [f32], &[f32], &mut [f32]);

/// One pass over all rows.
fn updates(criterion: &mut Criterion) {
    let (mut entities, gradients) = (rows(ENTITIES, 1), rows(ENTITIES, 2));
    let mut state = vec![0.0; 2 * entities.len()];
    let mut group = criterion.benchmark_group("updates");
    group.throughput(Throughput::Elements(ENTITIES as u64));
    let mut each = |name: &str, floats: usize, update: Update<'_>| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let rows = entities.chunks_exact_mut(WIDTH).zip(gradients.chunks_exact(WIDTH));
                for ((row, gradient), state) in rows.zip(state.chunks_exact_mut(floats)) {
                    update(row, gradient, state);
                }
            });
        });
    };
    each("sgd", 1, &|row, gradient, _| optimise::sgd(row, gradient, 1e-6));
    each("row_adagrad", 1, &|row, gradient, state| {
        optimise::row_adagrad(row, gradient, &mut state[0], 1e-6);
    });
    each("adagrad", WIDTH, &|row, gradient, state| {
        optimise::adagrad(row, gradient, state, 1e-6);
    });
    let correction = optimise::AdamCorrection::after(7);
    each("adam", 2 * WIDTH, &|row, gradient, state| {
        optimise::adam(row, gradient, state, 1e-6, correction);
    });
    group.finish();
}

/// Rows from all over a table of 1 GiB: as they come, asked for ahead, and moved.
fn scattered(criterion: &mut Criterion) {
    const ROWS: usize = 1 << 20;
    let mut table = vec![1.0; ROWS * WIDTH];
    let mut state = 1_u64;
    let mut draw = || -> Vec<u32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 44) as u32
        };
        (0..1536).map(|_| next()).collect()
    };
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("scattered");
    group.throughput(Throughput::Elements(1536));
    group.bench_function("copied", |bencher| {
        bencher.iter_batched_ref(
            &mut draw,
            |ids| {
                out.clear();
                for &id in &*ids {
                    out.extend_from_slice(&table[id as usize * WIDTH..][..WIDTH]);
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("gathered", |bencher| {
        bencher.iter_batched_ref(
            &mut draw,
            |ids| {
                out.clear();
                kge_kernels::gather(&table, WIDTH, ids.iter().copied(), &mut out);
            },
            BatchSize::SmallInput,
        );
    });
    let (pool, gradient, mut squares) = (pool(1), rows(1, 1), vec![1.0; ROWS * WIDTH]);
    group.bench_function("moved", |bencher| {
        bencher.iter_batched_ref(
            || {
                let mut ids = draw();
                ids.sort_unstable();
                ids.dedup();
                ids
            },
            |ids| {
                let (rows, squares) = ((&mut table[..], WIDTH), (&mut squares[..], WIDTH));
                pool.rows(ids, rows, squares, |_, row, squares, _| {
                    optimise::adagrad(row, &gradient, squares, 1e-6);
                });
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20);
    targets = limits, against_all, shared_negatives, tiles, ranking, updates, scattered
}
criterion_main!(kernels);
