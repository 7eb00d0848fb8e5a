//! Negative sampling: a chunk of queries of one direction shares its negatives, drawn uniformly.
//!
//! Scores of a chunk are one small block. A negative that is a query's own target does not count
//! for that query. Where a model projects candidates by the relation, a chunk holds queries of one
//! relation, so that its candidates are projected once.

use std::sync::Mutex;

use kge_kernels::{
    Pool, Precision, gather,
    loss::SampledLoss,
    negatives::{Gradients, NegativesStep, Problem},
    row,
};
use kge_model::{Embeddings, Layout, QueryBatch, QueryGradient, Session};

use crate::{
    Algorithm, Loss, Result,
    contributions::Contributions,
    parameters::{Parameters, Penalty},
    queries::{Query, QueryRows, lock, with_parts},
    random::{Purpose, Stream},
};

/// The buffers of a step.
pub(crate) struct Sampled {
    /// A thread's own.
    steps: Vec<Mutex<NegativesStep>>,
    query_rows: Vec<f32>,
    d_queries: Vec<f32>,
    chunks: Vec<Chunk>,
    contributions: Contributions,
}

/// Queries that share negatives.
struct Chunk {
    start: usize,
    length: usize,
    /// The targets of its queries, then its negatives: the candidates.
    ids: Vec<u32>,
    /// The negatives with their places, sorted.
    places: Vec<(u32, u32)>,
    hits: Vec<(u32, u32)>,
    entities: Vec<f32>,
    biases: Vec<f32>,
    d_entities: Vec<f32>,
    d_biases: Vec<f32>,
    projection: Projection,
    loss: f64,
    outcome: kge_model::Result<()>,
}

/// How a chunk's queries are compared with its candidates.
struct Comparison<'a> {
    step: &'a mut NegativesStep,
    layout: &'a Layout,
    loss: SampledLoss,
    /// Every query's share of the loss.
    share: f32,
}

/// Candidates projected by a chunk's relation.
#[derive(Default)]
struct Projection {
    relation_of: Vec<u32>,
    rows: Vec<f32>,
    d_rows: Vec<f32>,
    gradient: QueryGradient,
}

/// What a step draws, and where in the run it stands: that addresses the random stream.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    /// Negatives a side.
    pub(crate) negatives: usize,
    /// Queries that share them.
    pub(crate) chunk: usize,
    pub(crate) epoch: u64,
    pub(crate) batch: u64,
}

impl Sampled {
    pub(crate) fn new(precision: Precision, pool: &Pool) -> Self {
        let step = |_| Mutex::new(NegativesStep::new(precision));
        Self {
            steps: (0..pool.threads()).map(step).collect(),
            query_rows: Vec::new(),
            d_queries: Vec::new(),
            chunks: Vec::new(),
            contributions: Contributions::default(),
        }
    }

    /// One step over a batch, all tail queries before all head queries; returns the summed loss.
    /// For a model that projects candidates the queries are sorted first.
    pub(crate) fn step(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &mut QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &mut [Query],
        draw: Draw,
    ) -> Result<f64> {
        let share = 1.0 / queries.len() as f32;
        let used = self.cut(queries, draw.chunk, layout.projects_candidates);
        let queries = &*queries;
        rows.forward(pool, &parameters.embeddings, queries, &mut self.query_rows)?;
        let (query_rows, embeddings, sessions) = (&self.query_rows, &parameters.embeddings, &*rows);
        let (steps, width) = (&self.steps, layout.query_width);
        self.d_queries.resize(queries.len() * width, 0.0);
        let chunks = &mut self.chunks[..used];
        let mut parts = with_parts(chunks, &mut self.d_queries, |chunk| chunk.length * width);
        pool.chunks(&mut parts, 1, |index, part, thread| {
            let (chunk, d_queries) = &mut part[0];
            // A batch has fewer than 2^32 chunks.
            let address = draw.batch << 32 | index as u64;
            let mut stream = Stream::new(algorithm.seed, Purpose::Negatives, draw.epoch, address);
            let query_rows = &query_rows[chunk.start * width..][..chunk.length * width];
            let queries = &queries[chunk.start..][..chunk.length];
            chunk.gather(&mut stream, draw.negatives, embeddings, queries);
            let mut step = lock(&steps[thread]);
            let mut comparison =
                Comparison { step: &mut step, layout, loss: sampled_loss(algorithm.loss), share };
            if layout.projects_candidates {
                let mut session = sessions.session(thread);
                let relation = embeddings.relation(queries[0].relation);
                chunk.outcome = chunk.compare_projected(
                    &mut **session,
                    &mut comparison,
                    relation,
                    queries,
                    (query_rows, d_queries),
                );
            } else {
                chunk.compare(&mut comparison, (query_rows, d_queries));
            }
        });
        for chunk in &mut self.chunks[..used] {
            std::mem::replace(&mut chunk.outcome, Ok(()))?;
        }
        rows.backward(pool, &self.d_queries)?;
        self.move_rows(pool, (algorithm, layout), rows, parameters, queries, used);
        Ok(self.chunks[..used].iter().map(|chunk| chunk.loss).sum())
    }

    /// Sums what belongs to one row, in a fixed order, and moves it.
    fn move_rows(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &[Query],
        used: usize,
    ) {
        let (width, count) = (layout.entity_width, queries.len());
        let chunks = &self.chunks[..used];
        // Sources: anchors, then the candidates of each chunk.
        let stride = chunks.iter().map(|chunk| chunk.ids.len()).max().unwrap_or(0);
        self.contributions.clear();
        for (index, query) in queries.iter().enumerate() {
            self.contributions.push(query.anchor, index as u32);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            for (place, &id) in chunk.ids.iter().enumerate() {
                self.contributions.push(id, (count + index * stride + place) as u32);
            }
        }
        self.contributions.group();
        let contributions = &self.contributions;
        let candidate = |source: usize| {
            let source = source - count;
            (&chunks[source / stride], source % stride)
        };

        let penalty = Penalty::new(algorithm, layout, 1.0 / count as f32);
        let mover = parameters.begin_step(algorithm, layout);
        parameters.move_entities(pool, mover, contributions.rows(), |index, entity, gradient| {
            let mut uses = 0;
            for source in contributions.sources(index) {
                if source < count {
                    uses += 1;
                    row::add(gradient, rows.anchor_gradient(source));
                } else {
                    let (chunk, place) = candidate(source);
                    uses += u32::from(place < chunk.length);
                    row::add(gradient, &chunk.d_candidates()[place * width..][..width]);
                }
            }
            penalty.add(gradient, entity, uses);
        });
        parameters.move_biases(pool, mover, contributions.rows(), |index| {
            let candidates = contributions.sources(index).filter(|&source| source >= count);
            candidates.map(candidate).map(|(chunk, place)| chunk.d_biases[place]).sum()
        });
        parameters.move_shared(mover, rows.shared_gradients());
        let projections: Vec<(u32, &[f32])> =
            (chunks.iter().filter(|_| layout.projects_candidates))
                .map(|chunk| {
                    let gradient = chunk.projection.gradient.relations.as_slice();
                    (queries[chunk.start].relation, gradient)
                })
                .collect();
        parameters.move_relations(pool, mover, layout, penalty, (rows, queries), &projections);
    }

    /// Cuts both halves of a batch into chunks, by relation if asked; returns how many.
    fn cut(&mut self, queries: &mut [Query], chunk: usize, by_relation: bool) -> usize {
        let half = queries.len() / 2;
        if by_relation {
            queries[..half].sort_by_key(|query| query.relation);
            queries[half..].sort_by_key(|query| query.relation);
        }
        let mut used = 0;
        let mut start = 0;
        while start < queries.len() {
            let end = if start < half { half } else { queries.len() };
            let together =
                |query: &&Query| !by_relation || query.relation == queries[start].relation;
            let length = queries[start..end].iter().take(chunk).take_while(together).count();
            if used == self.chunks.len() {
                self.chunks.push(Chunk::new());
            }
            (self.chunks[used].start, self.chunks[used].length) = (start, length);
            used += 1;
            start += length;
        }
        used
    }
}

impl Chunk {
    fn new() -> Self {
        Self {
            start: 0,
            length: 0,
            ids: Vec::new(),
            places: Vec::new(),
            hits: Vec::new(),
            entities: Vec::new(),
            biases: Vec::new(),
            d_entities: Vec::new(),
            d_biases: Vec::new(),
            projection: Projection::default(),
            loss: 0.0,
            outcome: Ok(()),
        }
    }

    /// Draws the negatives and collects the rows of all candidates.
    fn gather(
        &mut self,
        stream: &mut Stream,
        negatives: usize,
        embeddings: &Embeddings,
        queries: &[Query],
    ) {
        let entities = embeddings.entity_count() as u32;
        self.ids.clear();
        self.ids.extend(queries.iter().map(|query| query.target));
        self.ids.extend((0..negatives).map(|_| stream.below(entities)));
        let ids = self.ids.iter().copied();
        self.entities.clear();
        gather(&embeddings.entities, embeddings.entity_width, ids.clone(), &mut self.entities);
        self.biases.clear();
        self.biases.extend(ids.filter_map(|id| embeddings.biases.get(id as usize)));
        // The negatives that are a query's own target.
        self.places.clear();
        self.places.extend(self.ids[queries.len()..].iter().copied().zip(0..));
        self.places.sort_unstable();
        self.hits.clear();
        for (query, index) in queries.iter().zip(0..) {
            let first = self.places.partition_point(|&(id, _)| id < query.target);
            let own = self.places[first..].iter().take_while(|&&(id, _)| id == query.target);
            self.hits.extend(own.map(|&(_, place)| (index, place)));
        }
    }

    /// Loss and the gradients of candidates and queries; `queries` are their rows and where their
    /// gradients go.
    fn compare(&mut self, comparison: &mut Comparison<'_>, queries: (&[f32], &mut [f32])) {
        let rows = std::mem::take(&mut self.entities);
        let mut d_rows = std::mem::take(&mut self.d_entities);
        self.run(comparison, queries, &rows, &mut d_rows);
        (self.entities, self.d_entities) = (rows, d_rows);
    }

    /// As [`compare`](Self::compare), through the scoring model's projection.
    fn compare_projected(
        &mut self,
        session: &mut dyn Session,
        comparison: &mut Comparison<'_>,
        relation: &[f32],
        queries: &[Query],
        query_rows: (&[f32], &mut [f32]),
    ) -> kge_model::Result<()> {
        // Out of the chunk, which the comparison needs whole.
        let entities = std::mem::take(&mut self.entities);
        let mut projection = std::mem::take(&mut self.projection);
        let Projection { relation_of, rows, d_rows, gradient } = &mut projection;
        relation_of.clear();
        relation_of.resize(self.ids.len(), 0);
        let batch = QueryBatch {
            direction: queries[0].direction,
            anchors: &entities,
            relations: relation,
            relation_of,
            context: &[],
        };
        session.candidate(&batch, rows)?;
        self.run(comparison, query_rows, rows, d_rows);
        session.candidate_vjp(&batch, d_rows, gradient)?;
        (self.entities, self.projection) = (entities, projection);
        Ok(())
    }

    fn run(
        &mut self,
        comparison: &mut Comparison<'_>,
        (query_rows, d_queries): (&[f32], &mut [f32]),
        rows: &[f32],
        d_rows: &mut Vec<f32>,
    ) {
        let Comparison { step, layout, loss, share } = comparison;
        let width = layout.query_width;
        d_rows.resize(rows.len(), 0.0);
        self.d_biases.resize(self.biases.len(), 0.0);
        let own = query_rows.len();
        let biased = self.length.min(self.biases.len());
        let (targets, negatives) = rows.split_at(own);
        let (d_targets, d_negatives) = d_rows.split_at_mut(own);
        let (target_biases, negative_biases) = self.biases.split_at(biased);
        let (d_target_biases, d_negative_biases) = self.d_biases.split_at_mut(biased);
        let problem = Problem {
            queries: query_rows,
            targets,
            negatives,
            width,
            target_biases,
            negative_biases,
            hits: &self.hits,
            weight: *share,
        };
        let gradients = Gradients {
            queries: d_queries,
            targets: d_targets,
            negatives: d_negatives,
            target_biases: d_target_biases,
            negative_biases: d_negative_biases,
        };
        self.loss = step.run(layout.similarity, *loss, &problem, gradients);
    }

    /// The gradients of the candidates' own rows.
    fn d_candidates(&self) -> &[f32] {
        let projected = &self.projection.gradient.anchors;
        if projected.is_empty() { &self.d_entities } else { projected }
    }
}

/// The loss as kernels know it.
fn sampled_loss(loss: Loss) -> SampledLoss {
    match loss {
        Loss::MarginRanking { margin } => SampledLoss::Margin { margin },
        Loss::Logistic => SampledLoss::SelfAdversarial { margin: 0.0, temperature: 0.0 },
        Loss::SelfAdversarial { margin, temperature } => {
            SampledLoss::SelfAdversarial { margin, temperature }
        }
        // Binary cross-entropy over all entities is refused before training.
        Loss::Softmax | Loss::BinaryCrossEntropy => SampledLoss::Softmax,
    }
}
