//! One thread's part of a step: some chunks, through the scoring model, against their candidates and
//! back.

use std::ops::Range;

use kge_kernels::{
    Precision, gather,
    loss::SampledLoss,
    negatives::{Gradients, NegativesStep, Problem},
};
use kge_model::{Embeddings, QueryBatch, QueryGradient, ScoringModel, Session};

use super::Draw;
use crate::{
    queries::{Call, Query},
    random::{Purpose, Stream},
};

/// What all chunks of a step have in common.
pub(super) struct Step<'a> {
    pub(super) model: &'a dyn ScoringModel,
    pub(super) embeddings: &'a Embeddings,
    /// Of the whole batch.
    pub(super) queries: &'a [Query],
    pub(super) seed: u64,
    pub(super) draw: Draw,
    pub(super) loss: SampledLoss,
    /// Every query's share of the loss.
    pub(super) share: f32,
}

/// Chunks that follow each other, and the calls of the scoring model that give their query rows.
pub(super) struct Piece<'a> {
    /// The first chunk's number in the batch.
    pub(super) first: usize,
    pub(super) chunks: &'a mut [Chunk],
    pub(super) calls: &'a mut [Call],
    pub(super) outcome: kge_model::Result<()>,
}

/// Queries that share negatives. Their targets, then the negatives are the candidates.
#[derive(Default)]
pub(super) struct Chunk {
    /// The queries' places in the batch.
    pub(super) range: Range<usize>,
    /// The candidates.
    pub(super) ids: Vec<u32>,
    d_entities: Vec<f32>,
    pub(super) d_biases: Vec<f32>,
    /// What the model gives back, if it projects candidates.
    pub(super) d_projection: QueryGradient,
    pub(super) loss: f64,
}

impl Chunk {
    /// The gradients of the candidates' own rows.
    pub(super) fn d_candidates(&self) -> &[f32] {
        let projected = &self.d_projection.anchors;
        if projected.is_empty() { &self.d_entities } else { projected }
    }
}

/// The buffers of a thread.
pub(super) struct Workspace {
    negatives: NegativesStep,
    query_rows: Vec<f32>,
    d_queries: Vec<f32>,
    candidates: Candidates,
}

/// The candidates of a chunk.
#[derive(Default)]
struct Candidates {
    entities: Vec<f32>,
    biases: Vec<f32>,
    /// The negatives with their places, sorted.
    places: Vec<(u32, u32)>,
    /// The negatives that are a query's own target.
    hits: Vec<(u32, u32)>,
    relation_of: Vec<u32>,
    /// Projected by the chunk's relation.
    rows: Vec<f32>,
    d_rows: Vec<f32>,
}

impl Workspace {
    pub(super) fn new(precision: Precision) -> Self {
        Self {
            negatives: NegativesStep::new(precision),
            query_rows: Vec::new(),
            d_queries: Vec::new(),
            candidates: Candidates::default(),
        }
    }
}

impl Step<'_> {
    pub(super) fn run(
        &self,
        piece: &mut Piece<'_>,
        session: &mut dyn Session,
        workspace: &mut Workspace,
    ) -> kge_model::Result<()> {
        let Workspace { negatives, query_rows, d_queries, candidates } = workspace;
        let layout = self.model.layout();
        let (width, start) = (layout.query_width, piece.chunks[0].range.start);
        let floats =
            |range: &Range<usize>| (range.start - start) * width..(range.end - start) * width;
        query_rows.clear();
        for call in &mut *piece.calls {
            let rows = call.forward(session, self.model, self.embeddings, self.queries)?;
            query_rows.extend_from_slice(rows);
        }
        d_queries.resize(query_rows.len(), 0.0);
        for (number, chunk) in (piece.first..).zip(&mut *piece.chunks) {
            let own = floats(&chunk.range);
            let queries = (&query_rows[own.clone()], &mut d_queries[own]);
            candidates.draw(self, number, chunk);
            if layout.projects_candidates {
                self.compare_projected(session, negatives, candidates, chunk, queries)?;
            } else {
                let Candidates { entities, biases, hits, .. } = &*candidates;
                let mut d_entities = std::mem::take(&mut chunk.d_entities);
                self.compare(negatives, (entities, biases, hits), chunk, queries, &mut d_entities);
                chunk.d_entities = d_entities;
            }
        }
        for call in &mut *piece.calls {
            let own = floats(&call.range);
            call.backward(session, &d_queries[own])?;
        }
        Ok(())
    }

    /// As [`compare`](Self::compare), through the scoring model's projection.
    fn compare_projected(
        &self,
        session: &mut dyn Session,
        step: &mut NegativesStep,
        candidates: &mut Candidates,
        chunk: &mut Chunk,
        query_rows: (&[f32], &mut [f32]),
    ) -> kge_model::Result<()> {
        let Candidates { entities, biases, hits, relation_of, rows, d_rows, .. } = candidates;
        let first = self.queries[chunk.range.start];
        relation_of.clear();
        relation_of.resize(chunk.ids.len(), 0);
        let batch = QueryBatch {
            direction: first.direction,
            anchors: entities,
            relations: self.embeddings.relation(first.relation),
            relation_of,
            context: &[],
        };
        session.candidate(&batch, rows)?;
        self.compare(step, (rows, biases, hits), chunk, query_rows, d_rows);
        session.candidate_vjp(&batch, d_rows, &mut chunk.d_projection)
    }

    /// Loss and the gradients of candidates and queries; `queries` are their rows and where their
    /// gradients go.
    fn compare(
        &self,
        step: &mut NegativesStep,
        (rows, biases, hits): (&[f32], &[f32], &[(u32, u32)]),
        chunk: &mut Chunk,
        (query_rows, d_queries): (&[f32], &mut [f32]),
        d_rows: &mut Vec<f32>,
    ) {
        let layout = self.model.layout();
        d_rows.resize(rows.len(), 0.0);
        chunk.d_biases.resize(biases.len(), 0.0);
        let own = query_rows.len();
        let biased = chunk.range.len().min(biases.len());
        let (targets, negatives) = rows.split_at(own);
        let (d_targets, d_negatives) = d_rows.split_at_mut(own);
        let (target_biases, negative_biases) = biases.split_at(biased);
        let (d_target_biases, d_negative_biases) = chunk.d_biases.split_at_mut(biased);
        let problem = Problem {
            queries: query_rows,
            targets,
            negatives,
            width: layout.query_width,
            target_biases,
            negative_biases,
            hits,
            weight: self.share,
        };
        let gradients = Gradients {
            queries: d_queries,
            targets: d_targets,
            negatives: d_negatives,
            target_biases: d_target_biases,
            negative_biases: d_negative_biases,
        };
        chunk.loss = step.run(layout.similarity, self.loss, &problem, gradients);
    }
}

impl Candidates {
    /// Draws a chunk's negatives and collects the rows of all candidates.
    fn draw(&mut self, step: &Step<'_>, number: usize, chunk: &mut Chunk) {
        let (embeddings, draw) = (step.embeddings, step.draw);
        let queries = &step.queries[chunk.range.clone()];
        // A batch has fewer than 2^32 chunks.
        let address = draw.batch << 32 | number as u64;
        let mut stream = Stream::new(step.seed, Purpose::Negatives, draw.epoch, address);
        let count = embeddings.entity_count() as u32;
        chunk.ids.clear();
        chunk.ids.extend(queries.iter().map(|query| query.target));
        chunk.ids.extend((0..draw.negatives).map(|_| stream.below(count)));
        let ids = chunk.ids.iter().copied();
        self.entities.clear();
        gather(&embeddings.entities, embeddings.entity_width, ids.clone(), &mut self.entities);
        self.biases.clear();
        self.biases.extend(ids.filter_map(|id| embeddings.biases.get(id as usize)));
        self.places.clear();
        self.places.extend(chunk.ids[queries.len()..].iter().copied().zip(0..));
        self.places.sort_unstable();
        self.hits.clear();
        for (query, index) in queries.iter().zip(0..) {
            let first = self.places.partition_point(|&(id, _)| id < query.target);
            let own = self.places[first..].iter().take_while(|&&(id, _)| id == query.target);
            self.hits.extend(own.map(|&(_, place)| (index, place)));
        }
    }
}
