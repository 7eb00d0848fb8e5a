//! Negative sampling: a chunk of queries of one direction shares its negatives, drawn uniformly.
//!
//! Scores of a chunk are one small product `[chunk, width] x [width, negatives]`. A negative that
//! is a query's own target does not count for that query.

use kge_kernels::{
    Pool, Similarity,
    math::{exp, ln},
    row,
};
use kge_model::{Embeddings, Layout};

use crate::{
    Algorithm, Loss, Result,
    contributions::Contributions,
    parameters::{Parameters, Penalty},
    queries::{Query, QueryRows},
    random::{Purpose, Stream},
};

/// The buffers of a step.
#[derive(Default)]
pub(crate) struct Sampled {
    query_rows: Vec<f32>,
    d_queries: Vec<f32>,
    chunks: Vec<Chunk>,
    contributions: Contributions,
}

/// Queries that share negatives.
#[derive(Default)]
struct Chunk {
    start: usize,
    length: usize,
    negatives: Vec<u32>,
    candidates: Vec<f32>,
    scores: Vec<f32>,
    d_queries: Vec<f32>,
    d_candidates: Vec<f32>,
    targets: Vec<f32>,
    d_targets: Vec<f32>,
    loss: f64,
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
    /// One step over a batch, all tail queries before all head queries; returns the summed loss.
    pub(crate) fn step(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &mut QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &[Query],
        Draw { negatives, chunk, epoch, batch }: Draw,
    ) -> Result<f64> {
        let width = layout.entity_width;
        let share = 1.0 / queries.len() as f32;
        rows.forward(pool, &parameters.embeddings, queries, &mut self.query_rows)?;
        let used = self.cut(queries.len(), chunk);
        let (query_rows, embeddings) = (&self.query_rows, &parameters.embeddings);
        pool.chunks(&mut self.chunks[..used], 1, |index, chunk, _| {
            let chunk = &mut chunk[0];
            // A batch has fewer than 2^32 chunks.
            let address = batch << 32 | index as u64;
            let mut stream = Stream::new(algorithm.seed, Purpose::Negatives, epoch, address);
            chunk.draw(&mut stream, negatives, embeddings.entity_count() as u32);
            let queries = &queries[chunk.start..][..chunk.length];
            let query_rows = &query_rows[chunk.start * width..][..chunk.length * width];
            chunk.compare(
                layout.similarity,
                algorithm.loss,
                share,
                embeddings,
                queries,
                query_rows,
            );
        });
        let chunks = &self.chunks[..used];
        self.d_queries.clear();
        chunks.iter().for_each(|chunk| self.d_queries.extend_from_slice(&chunk.d_queries));
        rows.backward(pool, &self.d_queries)?;

        // Sources: anchors, then targets, then negatives by chunk.
        let count = queries.len();
        self.contributions.clear();
        for (index, query) in queries.iter().enumerate() {
            self.contributions.push(query.anchor, index as u32);
            self.contributions.push(query.target, (count + index) as u32);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            for (place, &negative) in chunk.negatives.iter().enumerate() {
                self.contributions.push(negative, (2 * count + index * negatives + place) as u32);
            }
        }
        self.contributions.group();

        let penalty = Penalty::new(algorithm, layout, share);
        let mover = parameters.begin_step(algorithm, layout);
        let (contributions, anchors) = (&self.contributions, &*rows);
        let chunk_of = |query: usize| &chunks[chunks.partition_point(|c| c.start <= query) - 1];
        parameters.move_entities(pool, mover, contributions.rows(), |index, entity, gradient| {
            let mut uses = 0;
            for source in contributions.sources(index) {
                uses += u32::from(source < 2 * count);
                let from = if source < count {
                    anchors.anchor_gradient(source)
                } else if source < 2 * count {
                    let chunk = chunk_of(source - count);
                    &chunk.d_targets[(source - count - chunk.start) * width..][..width]
                } else {
                    let source = source - 2 * count;
                    let chunk = &chunks[source / negatives];
                    &chunk.d_candidates[source % negatives * width..][..width]
                };
                row::add(gradient, from);
            }
            penalty.add(gradient, entity, uses);
        });
        parameters.move_relations(pool, mover, layout, penalty, rows, queries);
        Ok(chunks.iter().map(|chunk| chunk.loss).sum())
    }

    /// Cuts both halves of a batch into chunks; returns how many.
    fn cut(&mut self, queries: usize, chunk: usize) -> usize {
        let half = queries / 2;
        let mut used = 0;
        for side in [0, half] {
            for start in (0..half).step_by(chunk) {
                if used == self.chunks.len() {
                    self.chunks.push(Chunk::default());
                }
                self.chunks[used].start = side + start;
                self.chunks[used].length = chunk.min(half - start);
                used += 1;
            }
        }
        used
    }
}

impl Chunk {
    fn draw(&mut self, stream: &mut Stream, negatives: usize, entities: u32) {
        self.negatives.clear();
        self.negatives.extend((0..negatives).map(|_| stream.below(entities)));
    }

    /// Scores, loss and the gradients of queries, targets and negatives.
    fn compare(
        &mut self,
        similarity: Similarity,
        loss: Loss,
        share: f32,
        embeddings: &Embeddings,
        queries: &[Query],
        query_rows: &[f32],
    ) {
        let width = embeddings.entity_width;
        let gather = |out: &mut Vec<f32>, ids: &mut dyn Iterator<Item = u32>| {
            out.clear();
            ids.for_each(|id| out.extend_from_slice(embeddings.entity(id)));
        };
        gather(&mut self.candidates, &mut self.negatives.iter().copied());
        gather(&mut self.targets, &mut queries.iter().map(|query| query.target));
        let zero = |out: &mut Vec<f32>, length| {
            out.clear();
            out.resize(length, 0.0);
        };
        zero(&mut self.scores, queries.len() * self.negatives.len());
        zero(&mut self.d_queries, query_rows.len());
        zero(&mut self.d_targets, query_rows.len());
        zero(&mut self.d_candidates, self.candidates.len());
        similarity.scores(query_rows, &self.candidates, width, &mut self.scores);
        self.loss = 0.0;
        for (index, query) in queries.iter().enumerate() {
            let own = |rows: &'_ [f32]| index * width..(index * width + width).min(rows.len());
            let query_row = &query_rows[own(query_rows)];
            let target = &self.targets[own(query_rows)];
            let positive = similarity.score(query_row, target);
            let scores = &mut self.scores[index * self.negatives.len()..][..self.negatives.len()];
            for (score, &negative) in scores.iter_mut().zip(&self.negatives) {
                if negative == query.target {
                    *score = f32::NEG_INFINITY;
                }
            }
            let (value, d_positive) = loss.derive(positive, scores);
            self.loss += value;
            scores.iter_mut().for_each(|d| *d *= share);
            let weight = [d_positive * share];
            let (d_query, d_target) =
                (&mut self.d_queries[own(query_rows)], &mut self.d_targets[own(query_rows)]);
            similarity.add_query_gradient(&weight, query_row, target, width, d_query);
            similarity.add_candidate_gradient(&weight, query_row, target, width, d_target);
        }
        let (scores, candidates) = (&self.scores, &self.candidates);
        similarity.add_query_gradient(scores, query_rows, candidates, width, &mut self.d_queries);
        similarity.add_candidate_gradient(
            scores,
            query_rows,
            candidates,
            width,
            &mut self.d_candidates,
        );
    }
}

impl Loss {
    /// One query's loss; its derivatives by the negatives' scores replace those, and the one by
    /// the positive score is returned. A score of minus infinity does not count.
    fn derive(self, positive: f32, scores: &mut [f32]) -> (f64, f32) {
        match self {
            Self::Softmax => {
                let maximum = scores.iter().copied().fold(positive, f32::max);
                let mut sum = 0.0_f64;
                for score in scores.iter_mut() {
                    *score = exp(*score - maximum);
                    sum += f64::from(*score);
                }
                let own = f64::from(exp(positive - maximum));
                let normaliser = sum + own;
                scores.iter_mut().for_each(|p| *p = (f64::from(*p) / normaliser) as f32);
                let loss = f64::from(maximum) + ln(normaliser) - f64::from(positive);
                (loss, (own / normaliser - 1.0) as f32)
            }
            Self::MarginRanking { margin } => {
                let each = 1.0 / scores.len() as f32;
                let (mut loss, mut violations) = (0.0_f64, 0_u32);
                for score in scores {
                    let violation = margin - positive + *score;
                    let counts = violation > 0.0;
                    loss += if counts { f64::from(violation * each) } else { 0.0 };
                    violations += u32::from(counts);
                    *score = if counts { each } else { 0.0 };
                }
                (loss, -each * violations as f32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_match_differences_and_masked_negatives_do_not_count() {
        let scores = [0.3, -1.2, f32::NEG_INFINITY, 0.9];
        for loss in [Loss::Softmax, Loss::MarginRanking { margin: 0.8 }] {
            let value = |positive: f32, scores: [f32; 4]| loss.derive(positive, &mut { scores }).0;
            let mut d_scores = scores;
            let (_, d_positive) = loss.derive(0.4, &mut d_scores);
            let step = 1e-2;
            let span = f64::from(2.0 * step);
            let expected = (value(0.4 + step, scores) - value(0.4 - step, scores)) / span;
            assert!((f64::from(d_positive) - expected).abs() < 1e-3, "{loss:?}");
            for index in [0, 1, 3] {
                let moved = |by: f32| {
                    let mut scores = scores;
                    scores[index] += by;
                    value(0.4, scores)
                };
                let expected = (moved(step) - moved(-step)) / span;
                assert!((f64::from(d_scores[index]) - expected).abs() < 1e-3, "{loss:?} {index}");
            }
            assert_eq!(d_scores[2], 0.0);
        }
    }
}
