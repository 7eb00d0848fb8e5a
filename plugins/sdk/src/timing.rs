//! Times a model compiled natively, beside its component: what `kge plugin bench` runs.

use std::hint::black_box;
use std::time::Instant;

use crate::{linalg, Batch, Direction, HyperParameters, Scoring};

/// Times calls with the arguments `DIM BATCH CALL RELATIONS RUNS` of this process, and prints
/// `{"query_ms": …, "query_vjp_ms": …}`, medians; or `null` for a model that multiplies by
/// [`linalg::product`], which is plain loops here and the host's kernels there.
///
/// # Panics
/// If an argument is no number, or the model cannot be configured so.
pub fn time<M: Scoring>() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse().expect("a number")).collect();
    let &[dim, batch, call, relations, runs] = &arguments[..] else {
        panic!("arguments: DIM BATCH CALL RELATIONS RUNS");
    };
    match calls::<M>(dim, (batch, call), relations, runs) {
        Some([query, vjp]) => println!("{{\"query_ms\": {query}, \"query_vjp_ms\": {vjp}}}"),
        None => println!("null"),
    }
}

/// Milliseconds of `query` and of `query-vjp` for `batch` queries, `call` a call, medians of `runs`,
/// with default hyper-parameters; none if plain loops multiplied.
///
/// # Panics
/// If the model cannot be configured so.
pub fn calls<M: Scoring>(
    dim: usize,
    (batch, call): (usize, usize),
    relations: usize,
    runs: usize,
) -> Option<[f64; 2]> {
    let description = M::describe();
    let defaults = description.hyper_parameters.iter().map(|p| (p.name.to_owned(), p.default));
    let model = M::configure(dim, &defaults.collect::<HyperParameters>()).expect("a model");
    let layout = model.layout();
    let shared = layout.shared.iter().map(|t| wave(t.shape.iter().product(), 3.0));
    let shared: Vec<Vec<f32>> = shared.collect();
    let asked: Vec<Asked> = (0..batch)
        .step_by(call)
        .map(|first| {
            let rows = call.min(batch - first);
            Asked {
                entities: wave(rows * layout.entity_width, 0.0),
                relations: wave(relations * layout.relation_width, 1.0),
                relation_of: (0..rows).map(|row| relation_of(row, relations)).collect(),
                d_query: wave(rows * layout.query_width, 2.0),
            }
        })
        .collect();
    let query = || {
        for asked in &asked {
            black_box(model.queries(&layout, &asked.batch(&shared)));
        }
    };
    let vjp = || {
        for asked in &asked {
            black_box(model.queries_vjp(&layout, &asked.batch(&shared), &asked.d_query));
        }
    };
    query();
    vjp();
    (!linalg::multiplied()).then(|| [median(runs, query), median(runs, vjp)])
}

/// Every relation has a row; the others crowd towards the first, about as FB15k-237's do. The host's
/// bench asks its sandbox alike, or the two would not compare.
fn relation_of(row: usize, relations: usize) -> u32 {
    let place = (row as f32 * 0.618_034).fract();
    let crowded = (place * place * relations as f32) as usize;
    (if row < relations { row } else { crowded.min(relations - 1) }) as u32
}

/// What one call is given.
struct Asked {
    entities: Vec<f32>,
    relations: Vec<f32>,
    relation_of: Vec<u32>,
    d_query: Vec<f32>,
}

impl Asked {
    fn batch<'a>(&'a self, shared: &'a [Vec<f32>]) -> Batch<'a> {
        Batch {
            direction: Direction::Tail,
            entities: &self.entities,
            relations: &self.relations,
            relation_of: &self.relation_of,
            shared,
        }
    }
}

fn wave(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
}

/// The median of some runs in milliseconds.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    let mut times: Vec<f64> = (0..runs.max(1)).map(once).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
