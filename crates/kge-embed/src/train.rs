//! The training run: epochs of batches in a random order, whatever the regime.

use std::time::Instant;

use kge_graph::{Graph, Split};
use kge_model::{Embeddings, ScoringModel};

use crate::{
    Algorithm, Control, EpochReport, Error, Precision, Progress, Regime, Result,
    against_all::AgainstAll,
    evaluate::evaluate_with,
    parameters::Parameters,
    queries::{QueryRows, both_ways},
    questions::{Lists, Questions},
    random,
    sampled::{Draw, Sampled},
    validate::{settled, trainable},
};

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The rows.
    pub embeddings: Embeddings,
    /// What the algorithm's precision came to.
    pub precision: Precision,
    /// Every epoch.
    pub history: Vec<EpochReport>,
}

/// Trains a model on the train split.
///
/// The same graph, model, algorithm and seed give the same bytes, whatever the number of threads.
///
/// # Errors
/// If the algorithm or the model cannot be trained, the split is empty, the model fails, the loss
/// is no longer a number, or somebody cancels.
pub fn train(
    graph: &Graph,
    model: &dyn ScoringModel,
    algorithm: &Algorithm,
    control: &Control<'_>,
) -> Result<Trained> {
    algorithm.validate()?;
    trainable(model, algorithm)?;
    let triples = graph.triples(Split::Train);
    if triples.is_empty() {
        return Err(Error::NoTriples(Split::Train));
    }
    let pool = control.pool();
    let layout = model.layout();
    let relations = graph.relations().len();
    let reciprocal = algorithm.reciprocal.then_some(relations as u32);
    let relation_rows = if algorithm.reciprocal { 2 * relations } else { relations };
    let mut parameters =
        Parameters::new(&pool, layout, algorithm, graph.entities().len(), relation_rows);
    let mut rows = QueryRows::new(model, &pool)?;
    let precision = settled(algorithm, layout);
    let (mut against_all, mut sampled) =
        (AgainstAll::new(precision), Sampled::new(precision, &pool));
    let (mut queries, mut labels) = (Vec::new(), Lists::default());
    let questions =
        (algorithm.regime == Regime::KvsAll).then(|| Questions::of(triples, reciprocal));
    // What an epoch goes through in a random order, and how much of it makes a step.
    let (items, step) = match &questions {
        Some(questions) => (questions.len(), 2 * algorithm.batch),
        None => (triples.len(), algorithm.batch),
    };
    let mut history = Vec::new();
    let mut progress =
        Progress { epochs: algorithm.epochs, batches: items.div_ceil(step), ..Progress::default() };
    for epoch in 1..=algorithm.epochs {
        let start = Instant::now();
        let order = random::order(algorithm.seed, epoch as u64, items);
        let (mut loss, mut asked) = (0.0, 0);
        for (batch, ids) in order.chunks(step).enumerate() {
            control.go_on()?;
            if let Some(questions) = &questions {
                questions.batch(ids, &mut queries, &mut labels);
            } else {
                both_ways(ids.iter().map(|&id| triples[id as usize]), reciprocal, &mut queries);
                labels.clear();
                queries.iter().for_each(|query| labels.push(&[query.target]));
            }
            asked += queries.len();
            let recipe = (algorithm, layout);
            loss += match algorithm.regime {
                Regime::OneVsAll | Regime::KvsAll => against_all.step(
                    &pool,
                    recipe,
                    &mut rows,
                    &mut parameters,
                    &queries,
                    labels.labels(),
                )?,
                Regime::NegativeSampling { negatives, chunk } => sampled.step(
                    &pool,
                    recipe,
                    &mut rows,
                    &mut parameters,
                    &mut queries,
                    Draw { negatives, chunk, epoch: epoch as u64, batch: batch as u64 },
                )?,
            };
            progress.step += 1;
            progress.batch = batch + 1;
            if progress.batch < progress.batches {
                (control.progress)(&progress);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        loss /= asked as f64;
        if !loss.is_finite() {
            return Err(Error::Diverged { epoch, loss });
        }
        let ranks = algorithm.validate_every > 0
            && epoch % algorithm.validate_every == 0
            && !graph.triples(Split::Valid).is_empty();
        let validation = ranks
            .then(|| {
                let embeddings = &parameters.embeddings;
                evaluate_with(&pool, graph, model, embeddings, reciprocal, Split::Valid, control)
            })
            .transpose()?;
        let report = EpochReport {
            epoch,
            loss,
            seconds,
            triples_per_second: triples.len() as f64 / seconds,
            validation,
        };
        history.push(report.clone());
        progress.epoch = epoch;
        progress.finished_epoch = Some(report);
        (control.progress)(&progress);
        progress.finished_epoch = None;
    }
    let precision = match precision {
        kge_kernels::Precision::F32 => Precision::F32,
        kge_kernels::Precision::Bf16 => Precision::Bf16,
        kge_kernels::Precision::Bf16Amx => Precision::Bf16Amx,
        kge_kernels::Precision::Bf16x3 => Precision::Bf16x3,
    };
    Ok(Trained { embeddings: parameters.embeddings, precision, history })
}
