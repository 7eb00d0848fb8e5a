//! 1vsAll: each query against every entity, softmax cross-entropy (Lacroix et al. 2018).

use kge_kernels::{Pool, SoftmaxStep, row, softmax::Problem};
use kge_model::Layout;

use crate::{
    Algorithm, Result,
    contributions::Contributions,
    parameters::{Parameters, Penalty},
    queries::{Query, QueryRows},
};

/// The buffers of a step.
#[derive(Default)]
pub(crate) struct OneVsAll {
    softmax: SoftmaxStep,
    query_rows: Vec<f32>,
    d_queries: Vec<f32>,
    d_entities: Vec<f32>,
    targets: Vec<u32>,
    all: Vec<u32>,
    contributions: Contributions,
}

impl OneVsAll {
    /// One step over a batch; returns the summed loss of its queries.
    pub(crate) fn step(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &mut QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &[Query],
    ) -> Result<f64> {
        let width = layout.entity_width;
        let share = 1.0 / queries.len() as f32;
        rows.forward(pool, &parameters.embeddings, queries, &mut self.query_rows)?;
        self.targets.clear();
        self.targets.extend(queries.iter().map(|query| query.target));
        self.d_queries.resize(self.query_rows.len(), 0.0);
        self.d_entities.resize(parameters.embeddings.entities.len(), 0.0);
        let problem = Problem {
            queries: &self.query_rows,
            candidates: &parameters.embeddings.entities,
            width,
            targets: &self.targets,
            weight: share,
        };
        let loss = self.softmax.run(
            pool,
            layout.similarity,
            &problem,
            &mut self.d_queries,
            &mut self.d_entities,
        );
        rows.backward(pool, &self.d_queries)?;

        let penalty = Penalty::new(algorithm, layout, share);
        self.contributions.clear();
        for (index, query) in queries.iter().enumerate() {
            self.contributions.push(query.anchor, index as u32);
            if !penalty.is_none() {
                self.contributions.push(query.target, (queries.len() + index) as u32);
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
        self.all.clear();
        self.all.extend(0..parameters.embeddings.entity_count() as u32);
        let gradients = &self.d_entities;
        parameters.move_entities(pool, mover, &self.all, |index, _, gradient| {
            gradient.copy_from_slice(&gradients[index * width..][..width]);
        });
        parameters.move_relations(pool, mover, layout, penalty, rows, queries);
        Ok(loss * queries.len() as f64)
    }
}
