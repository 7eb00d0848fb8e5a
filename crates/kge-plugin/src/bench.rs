//! How fast a plugin answers, and which share of a training step that is.
//!
//! A plugin is called as training calls it: for some rows of the batch at a time, from buffers of
//! their own, a few relations having many of them.
//!
//! A step's other part is the host's: scores, loss and both gradients of the queries against every
//! entity, or against shared negatives. It is measured here by training's own kernels, on one
//! thread; moving the rows comes on top, and makes the share smaller still.

use std::{fmt, num::NonZeroUsize, time::Instant};

use kge_kernels::{
    FullStep, Pool, Precision, full,
    loss::SampledLoss,
    negatives::{self, NegativesStep},
};
use kge_model::{
    Direction, HyperParameters, QueryBatch, QueryGradient, ScoringModel as _, Session, Similarity,
};
use serde::{Deserialize, Serialize};

use crate::{
    Plugin, Result,
    native::{NativeModel, NativeTimes},
};

/// Entities of FB15k-237: candidates of a full softmax.
const ENTITIES: usize = 14_541;
/// Candidates of a step with shared negatives.
const NEGATIVES: usize = 512;
/// Rows of a call, as training makes them, and the distinct relations of as many triples of
/// FB15k-237.
const CALL: usize = 256;
const RELATIONS: usize = 95;
const RUNS: usize = 15;
/// Runs of what takes a good part of a second.
const SLOW_RUNS: usize = 3;

/// What [`bench`] measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The plugin's name.
    pub plugin: String,
    /// The dimension it was configured with.
    pub dim: usize,
    /// Queries of a step.
    pub batch: usize,
    /// Queries of a call.
    pub call: usize,
    /// Milliseconds of `query` for a step.
    pub query_ms: f64,
    /// Milliseconds of `query-vjp` for a step.
    pub query_vjp_ms: f64,
    /// Milliseconds of the host's softmax over all entities of FB15k-237, one thread; none for a
    /// model that projects candidates, which is not trained so.
    pub softmax_ms: Option<f64>,
    /// The same in bf16, if the model compares by dot products.
    pub softmax_bf16_ms: Option<f64>,
    /// Which bf16 that is: `bf16_amx` where the CPU has its tiles, or `bf16`.
    pub bf16: String,
    /// Milliseconds of the host's softmax over 512 shared negatives, one thread.
    pub negatives_ms: f64,
    /// The same model compiled natively, if its source was given and makes a fair comparison.
    pub native: Option<NativeTimes>,
    /// Why there is none, if its source was given.
    pub without_native: Option<String>,
}

/// Why a native model may have no times.
const INCOMPARABLE: &str =
    "its products are plain loops natively, and the host's kernels in the sandbox";

impl BenchReport {
    /// The plugin's share of a step whose other part takes so many milliseconds, 0 to 1.
    pub fn share(&self, host_ms: f64) -> f64 {
        let plugin = self.query_ms + self.query_vjp_ms;
        plugin / (plugin + host_ms)
    }

    /// What the sandbox adds to such a step of the native model, 0.01 for a hundredth.
    pub fn overhead(&self, host_ms: f64) -> Option<f64> {
        let plugin = self.query_ms + self.query_vjp_ms;
        let NativeTimes { query_ms, query_vjp_ms } = self.native?;
        let native = query_ms + query_vjp_ms;
        Some((plugin - native) / (native + host_ms))
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, dim, batch, call, .. } = self;
        write!(f, "{plugin}, dim {dim}, {batch} queries a step, {call} a call, one thread")?;
        let native = self.native.map(|times| (times.query_ms, times.query_vjp_ms)).unzip();
        for (name, ms, native) in
            [("query", self.query_ms, native.0), ("query-vjp", self.query_vjp_ms, native.1)]
        {
            let calls = batch.div_ceil(*call) as f64;
            write!(
                f,
                "\n  {name:<10} {ms:8.3} ms a step  {:8.0} calls a second",
                1e3 * calls / ms
            )?;
            if let Some(native) = native {
                write!(f, "  natively {native:.3} ms")?;
            }
        }
        for (candidates, precision, ms) in [
            (format!("{ENTITIES} entities"), "f32", self.softmax_ms),
            (format!("{ENTITIES} entities"), &*self.bf16, self.softmax_bf16_ms),
            (format!("{NEGATIVES} negatives"), "f32", Some(self.negatives_ms)),
        ] {
            let Some(ms) = ms else { continue };
            let share = 100.0 * self.share(ms);
            write!(
                f,
                "\n  {share:5.1} % of a step against {candidates:<14} {precision:<8} (the rest {ms:.1} ms)"
            )?;
            if let Some(overhead) = self.overhead(ms) {
                write!(f, ", {:+.1} % by the sandbox", 100.0 * overhead)?;
            }
        }
        if let Some(reason) = &self.without_native {
            write!(f, "\n  not compared with the model compiled natively: {reason}")?;
        }
        Ok(())
    }
}

/// Times a plugin's calls on one thread, and the host's part of a step beside them; and the same
/// calls of the model compiled natively, where there is one.
///
/// # Errors
/// If the plugin cannot be configured so, or a call fails.
pub fn bench(
    plugin: &Plugin,
    native: Option<&NativeModel>,
    dim: usize,
    batch: usize,
) -> Result<BenchReport> {
    let model = plugin.configure(dim, &HyperParameters::new())?;
    let layout = model.layout();
    let call = CALL.min(batch);
    let wave = |count: usize, phase: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    };
    let mut session = model.session()?;
    if !layout.shared.is_empty() {
        let sizes = layout.shared.iter().map(|tensor| tensor.shape.iter().product());
        let shared: Vec<_> = sizes.map(|size| wave(size, 3.0)).collect();
        session.set_shared(&shared)?;
    }
    let asked: Vec<_> = (0..batch)
        .step_by(call)
        .map(|first| {
            let (rows, relations) = (call.min(batch - first), RELATIONS.min(call));
            Asked {
                anchors: wave(rows * layout.entity_width, 0.0),
                relations: wave(relations * layout.relation_width, 1.0),
                relation_of: (0..rows).map(|row| relation_of(row, relations)).collect(),
                d_query: wave(rows * layout.query_width, 2.0),
            }
        })
        .collect();
    let (query_ms, query_vjp_ms) = calls(&mut *session, &asked)?;
    let times = match native {
        Some(native) => native.time(dim, batch, call, RELATIONS.min(call), RUNS)?,
        None => None,
    };
    let without_native = (native.is_some() && times.is_none()).then(|| INCOMPARABLE.to_owned());
    let (similarity, width) = (layout.similarity, layout.query_width);
    let (bf16, name) = match Precision::Bf16Amx.is_native() {
        true => (Precision::Bf16Amx, "bf16_amx"),
        false => (Precision::Bf16, "bf16"),
    };
    let softmax = |precision| {
        let fits = precision == Precision::F32 || similarity == Similarity::Dot;
        let trained = fits && !layout.projects_candidates;
        trained.then(|| softmax(similarity, precision, batch, width))
    };
    Ok(BenchReport {
        plugin: plugin.description().name.clone(),
        dim,
        batch,
        call,
        query_ms,
        query_vjp_ms,
        softmax_ms: softmax(Precision::F32),
        softmax_bf16_ms: softmax(bf16),
        bf16: name.to_owned(),
        negatives_ms: shared_negatives(similarity, batch, width),
        native: times,
        without_native,
    })
}

/// Every relation has a row; the others crowd towards the first, about as FB15k-237's do. The SDK's
/// `timing` asks the native model alike, or the two would not compare.
fn relation_of(row: usize, relations: usize) -> u32 {
    let place = (row as f32 * 0.618_034).fract();
    let crowded = (place * place * relations as f32) as usize;
    (if row < relations { row } else { crowded.min(relations - 1) }) as u32
}

/// What one call is given.
struct Asked {
    anchors: Vec<f32>,
    relations: Vec<f32>,
    relation_of: Vec<u32>,
    d_query: Vec<f32>,
}

impl Asked {
    fn batch(&self) -> QueryBatch<'_> {
        QueryBatch {
            direction: Direction::Tail,
            anchors: &self.anchors,
            relations: &self.relations,
            relation_of: &self.relation_of,
            context: &[],
        }
    }
}

/// Milliseconds of all calls of either function.
fn calls(session: &mut dyn Session, asked: &[Asked]) -> Result<(f64, f64)> {
    let mut answers: Vec<_> =
        asked.iter().map(|_| (Vec::new(), QueryGradient::default())).collect();
    let query = median(RUNS, || {
        let mut calls = asked.iter().zip(&mut answers);
        calls.try_for_each(|(asked, (rows, _))| session.query(&asked.batch(), rows))
    })?;
    let vjp = median(RUNS, || {
        let mut calls = asked.iter().zip(&mut answers);
        calls.try_for_each(|(asked, (_, gradient))| {
            session.query_vjp(&asked.batch(), &asked.d_query, gradient)
        })
    })?;
    Ok((query, vjp))
}

/// Rows that are not all alike, small enough that no exponential overflows.
fn rows(count: usize, width: usize) -> Vec<f32> {
    (0..count * width).map(|i| (i * 7919 % 1013) as f32 / 10_130.0 - 0.05).collect()
}

/// Milliseconds of a softmax of `batch` queries over [`ENTITIES`], both gradients.
fn softmax(similarity: Similarity, precision: Precision, batch: usize, width: usize) -> f64 {
    let (queries, candidates) = (rows(batch, width), rows(ENTITIES, width));
    let (mut d_queries, mut d_candidates) = (queries.clone(), candidates.clone());
    let starts: Vec<u32> = (0..=batch as u32).collect();
    let ids: Vec<u32> = (0..batch).map(|i| (i * 37 % ENTITIES) as u32).collect();
    let problem = full::Problem {
        queries: &queries,
        candidates: &candidates,
        width,
        biases: &[],
        labels: full::Labels { starts: &starts, ids: &ids },
        smoothing: 0.0,
        weight: 1.0,
    };
    let (pool, mut step) = (Pool::new(NonZeroUsize::MIN), FullStep::new(precision));
    median_of(SLOW_RUNS, || {
        let gradients = full::Gradients {
            queries: &mut d_queries,
            candidates: &mut d_candidates,
            biases: &mut [],
        };
        step.softmax(&pool, similarity, &problem, gradients);
    })
}

/// Milliseconds of a softmax of `batch` queries over [`NEGATIVES`] and their targets.
fn shared_negatives(similarity: Similarity, batch: usize, width: usize) -> f64 {
    let (queries, targets, negatives) =
        (rows(batch, width), rows(batch, width), rows(NEGATIVES, width));
    let mut gradients = [queries.clone(), targets.clone(), negatives.clone()];
    let problem = negatives::Problem {
        queries: &queries,
        targets: &targets,
        negatives: &negatives,
        width,
        target_biases: &[],
        negative_biases: &[],
        hits: &[],
        weight: 1.0,
    };
    let mut step = NegativesStep::new(Precision::F32);
    median_of(RUNS, || {
        let [queries, targets, negatives] = &mut gradients;
        let gradients = negatives::Gradients {
            queries,
            targets,
            negatives,
            target_biases: &mut [],
            negative_biases: &mut [],
        };
        step.run(similarity, SampledLoss::Softmax, &problem, gradients);
    })
}

fn median_of(runs: usize, mut run: impl FnMut()) -> f64 {
    let all = median::<std::convert::Infallible>(runs, || {
        run();
        Ok(())
    });
    match all {
        Ok(milliseconds) => milliseconds,
        Err(never) => match never {},
    }
}

/// The median of some runs in milliseconds, after one that warms up.
fn median<E>(runs: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[runs / 2])
}
