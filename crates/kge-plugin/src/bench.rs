//! How fast a plugin answers, and which share of a training step that is.
//!
//! A step's other part is the host's three products of queries with candidates, measured here by
//! the same kernels on one thread: `6 * batch * candidates * width` operations.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use kge_kernels::product::{
    add_left_by_right, add_left_transposed_by_right, left_by_right_transposed,
};
use kge_model::{
    Direction, HyperParameters, QueryBatch, QueryGradient, ScoringModel as _, Session,
};
use serde::{Deserialize, Serialize};

use crate::{Plugin, Result};

/// Entities of FB15k-237: candidates of a full softmax.
const ENTITIES: usize = 14_541;
/// Candidates of a step with shared negatives, and of one measured product.
const NEGATIVES: usize = 512;
/// Distinct relations of a batch, as FB15k-237 has them.
const RELATIONS: usize = 237;
const RUNS: usize = 15;

/// What [`bench`] measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The plugin's name.
    pub plugin: String,
    /// The dimension it was configured with.
    pub dim: usize,
    /// Rows of a call.
    pub batch: usize,
    /// Milliseconds of one `query`.
    pub query_ms: f64,
    /// Milliseconds of one `query-vjp`.
    pub query_vjp_ms: f64,
    /// Milliseconds of the host's products with all entities of FB15k-237, one thread.
    pub softmax_ms: f64,
    /// Milliseconds of the host's products with 512 shared negatives, one thread.
    pub negatives_ms: f64,
}

impl BenchReport {
    /// The plugin's share of a step beside products of so many milliseconds, 0 to 1.
    pub fn share(&self, products_ms: f64) -> f64 {
        let plugin = self.query_ms + self.query_vjp_ms;
        plugin / (plugin + products_ms)
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, dim, batch, query_ms, query_vjp_ms, softmax_ms, negatives_ms } = self;
        let share = |products| 100.0 * self.share(products);
        writeln!(f, "{plugin}, dim {dim}, {batch} rows a call, one thread")?;
        writeln!(f, "  query      {query_ms:8.3} ms  {:8.0} calls a second", 1e3 / query_ms)?;
        writeln!(
            f,
            "  query-vjp  {query_vjp_ms:8.3} ms  {:8.0} calls a second",
            1e3 / query_vjp_ms
        )?;
        writeln!(
            f,
            "  share of a step against {ENTITIES} entities {:5.1} % (products {softmax_ms:.1} ms)",
            share(*softmax_ms)
        )?;
        write!(
            f,
            "  share of a step against {NEGATIVES} negatives  {:5.1} % (products {negatives_ms:.1} ms)",
            share(*negatives_ms)
        )
    }
}

/// Times a plugin's calls on one thread, and the host's products beside them.
///
/// # Errors
/// If the plugin cannot be configured so, or a call fails.
pub fn bench(
    plugin: &Plugin,
    dim: usize,
    hyper_parameters: &HyperParameters,
    batch: usize,
) -> Result<BenchReport> {
    let model = plugin.configure(dim, hyper_parameters)?;
    let layout = model.layout();
    let relations = RELATIONS.min(batch);
    let relation_of: Vec<u32> = (0..batch).map(|row| (row * 31 % relations) as u32).collect();
    let wave = |count: usize, phase: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    };
    let asked = QueryBatch {
        direction: Direction::Tail,
        anchors: &wave(batch * layout.entity_width, 0.0),
        relations: &wave(relations * layout.relation_width, 1.0),
        relation_of: &relation_of,
        context: &[],
    };
    let d_query = wave(batch * layout.query_width, 2.0);
    let mut session = model.session()?;
    if !layout.shared.is_empty() {
        let sizes = layout.shared.iter().map(|tensor| tensor.shape.iter().product());
        let shared: Vec<_> = sizes.map(|size| wave(size, 3.0)).collect();
        session.set_shared(&shared)?;
    }
    let (query_ms, query_vjp_ms) = calls(&mut *session, &asked, &d_query)?;
    let negatives_ms = products(batch, layout.query_width);
    Ok(BenchReport {
        plugin: plugin.description().name.clone(),
        dim,
        batch,
        query_ms,
        query_vjp_ms,
        softmax_ms: negatives_ms * ENTITIES as f64 / NEGATIVES as f64,
        negatives_ms,
    })
}

fn calls(session: &mut dyn Session, asked: &QueryBatch<'_>, d_query: &[f32]) -> Result<(f64, f64)> {
    let (mut rows, mut gradient) = (Vec::new(), QueryGradient::default());
    let query = median(|| session.query(asked, &mut rows))?;
    let vjp = median(|| session.query_vjp(asked, d_query, &mut gradient))?;
    Ok((query, vjp))
}

/// Milliseconds of the three products of `batch` queries with [`NEGATIVES`] candidates.
fn products(batch: usize, width: usize) -> f64 {
    let queries = vec![0.5_f32; batch * width];
    let candidates = vec![0.25_f32; NEGATIVES * width];
    let mut scores = vec![0.0; batch * NEGATIVES];
    let mut d_queries = vec![0.0; batch * width];
    let mut d_candidates = vec![0.0; NEGATIVES * width];
    let once = || {
        left_by_right_transposed(&queries, &candidates, &mut scores, width);
        add_left_by_right(&scores, &candidates, &mut d_queries, NEGATIVES);
        add_left_transposed_by_right(&scores, &queries, &mut d_candidates, batch);
        black_box((&d_queries, &d_candidates));
        Ok::<_, crate::Error>(())
    };
    // It cannot fail: its products have no limits.
    median(once).unwrap_or(f64::NAN)
}

/// The median of some runs in milliseconds, after one that warms up.
fn median<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    let mut times = [0.0; RUNS];
    for time in &mut times {
        let start = Instant::now();
        run()?;
        *time = start.elapsed().as_secs_f64() * 1e3;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}
