//! 1vsAll and KvsAll: each query against every entity (Lacroix et al. 2018; Dettmers et al. 2018).

use kge_kernels::{
    FullStep, Pool, Precision,
    full::{Gradients, Labels, Problem},
    row,
};
use kge_model::Layout;

use crate::{
    Algorithm, Loss, Result,
    contributions::Contributions,
    parameters::{Parameters, Penalty},
    queries::{Query, QueryRows},
};

/// The buffers of a step.
#[derive(Default)]
pub(crate) struct AgainstAll {
    step: FullStep,
    query_rows: Vec<f32>,
    d_queries: Vec<f32>,
    d_entities: Vec<f32>,
    d_biases: Vec<f32>,
    all: Vec<u32>,
    contributions: Contributions,
}

impl AgainstAll {
    pub(crate) fn new(precision: Precision) -> Self {
        Self { step: FullStep::new(precision), ..Self::default() }
    }

    /// One step over a batch, whose labels are the answers of each query; returns the summed loss
    /// of its queries.
    pub(crate) fn step(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &mut QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &[Query],
        labels: Labels<'_>,
    ) -> Result<f64> {
        let width = layout.entity_width;
        let share = 1.0 / queries.len() as f32;
        rows.forward(pool, &parameters.embeddings, queries, &mut self.query_rows)?;
        self.d_queries.resize(self.query_rows.len(), 0.0);
        self.d_entities.resize(parameters.embeddings.entities.len(), 0.0);
        self.d_biases.resize(parameters.embeddings.biases.len(), 0.0);
        let problem = Problem {
            queries: &self.query_rows,
            candidates: &parameters.embeddings.entities,
            width,
            biases: &parameters.embeddings.biases,
            labels,
            smoothing: algorithm.label_smoothing,
            weight: share,
        };
        let gradients = Gradients {
            queries: &mut self.d_queries,
            candidates: &mut self.d_entities,
            biases: &mut self.d_biases,
        };
        let loss = match algorithm.loss {
            Loss::BinaryCrossEntropy => {
                self.step.binary(pool, layout.similarity, &problem, gradients)
            }
            // Others are refused before training.
            _ => self.step.softmax(pool, layout.similarity, &problem, gradients),
        };
        rows.backward(pool, &self.d_queries)?;

        let penalty = Penalty::new(algorithm, layout, share);
        self.contributions.clear();
        for (index, query) in queries.iter().enumerate() {
            self.contributions.push(query.anchor, index as u32);
        }
        if !penalty.is_none() {
            for (index, &label) in labels.ids.iter().enumerate() {
                self.contributions.push(label, (queries.len() + index) as u32);
            }
        }
        self.contributions.group();
        let (contributions, entities) = (&self.contributions, &parameters.embeddings);
        let (anchors, touched) = (&*rows, contributions.rows());
        pool.rows(touched, (&mut self.d_entities, width), (&mut [], 0), |index, gradient, _, _| {
            let mut uses = 0;
            for source in contributions.sources(index) {
                uses += 1;
                if source < queries.len() {
                    row::add(gradient, anchors.anchor_gradient(source));
                }
            }
            penalty.add(gradient, entities.entity(touched[index]), uses);
        });

        let mover = parameters.begin_step(algorithm, layout);
        parameters.move_all_entities(pool, mover, &self.d_entities);
        if layout.bias {
            self.all.clear();
            self.all.extend(0..parameters.embeddings.entity_count() as u32);
        }
        parameters.move_biases(pool, mover, &self.all, |entity| self.d_biases[entity]);
        parameters.move_shared(mover, rows.shared_gradients());
        parameters.move_relations(pool, mover, layout, penalty, (rows, queries), &[]);
        Ok(loss * queries.len() as f64)
    }
}
