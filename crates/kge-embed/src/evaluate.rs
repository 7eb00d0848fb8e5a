//! Filtered ranking: where the true answer stands among all candidates.
//!
//! A query is answered by scoring every entity; entities that complete a known triple of any split
//! are left out (Bordes et al. 2013). Ties count half (Berrendorf et al. 2020, "realistic" rank).
//! Entities unseen in training are kept.

use std::sync::{Mutex, PoisonError};

use kge_graph::{Answers, Graph, Split, Triple};
use kge_kernels::{Pool, rank::standing};
use kge_model::{Embeddings, ScoringModel};
use serde::{Deserialize, Serialize};

use crate::{
    Control, Error, Result,
    queries::{Given, Query},
    validate::supported,
};

/// Bytes of scores that one thread holds.
const SCORE_BYTES: usize = 32 << 20;

/// Metrics of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The split that was ranked.
    pub split: Split,
    /// Both directions together.
    pub both: Metrics,
    /// Head prediction, `(?, r, t)`.
    pub head: Metrics,
    /// Tail prediction, `(h, r, ?)`.
    pub tail: Metrics,
}

/// Means over queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean reciprocal rank.
    pub mrr: f64,
    /// Mean rank.
    pub mr: f64,
    /// Share of queries with rank 1.
    pub hits_at_1: f64,
    /// Share of queries with rank 3 or better.
    pub hits_at_3: f64,
    /// Share of queries with rank 10 or better.
    pub hits_at_10: f64,
    /// Queries.
    pub queries: usize,
}

impl Metrics {
    fn of(ranks: &[f64]) -> Self {
        let mean = |value: &dyn Fn(f64) -> f64| {
            ranks.iter().map(|&rank| value(rank)).sum::<f64>() / ranks.len() as f64
        };
        let hits = |at: f64| mean(&|rank| f64::from(u8::from(rank <= at)));
        Self {
            mrr: mean(&|rank| 1.0 / rank),
            mr: mean(&|rank| rank),
            hits_at_1: hits(1.0),
            hits_at_3: hits(3.0),
            hits_at_10: hits(10.0),
            queries: ranks.len(),
        }
    }
}

/// Ranks a split's triples in both directions.
///
/// # Errors
/// If the split is empty, the rows belong to another graph, the model fails or somebody cancels.
pub fn evaluate(
    graph: &Graph,
    model: &dyn ScoringModel,
    embeddings: &Embeddings,
    reciprocal: bool,
    split: Split,
    control: &Control<'_>,
) -> Result<Evaluation> {
    supported(model, reciprocal)?;
    let relations = graph.relations().len();
    let expected = if reciprocal { 2 * relations } else { relations };
    for (what, expected, found) in [
        ("entity", graph.entities().len(), embeddings.entity_count()),
        ("relation", expected, embeddings.relation_rows()),
    ] {
        if expected != found {
            return Err(Error::OtherGraph { what, expected, found });
        }
    }
    let reciprocal = reciprocal.then_some(relations as u32);
    evaluate_with(&control.pool(), graph, model, embeddings, reciprocal, split, control)
}

/// As [`evaluate`], on a pool at hand; `reciprocal` is the number of relations, if they are.
pub(crate) fn evaluate_with(
    pool: &Pool,
    graph: &Graph,
    model: &dyn ScoringModel,
    embeddings: &Embeddings,
    reciprocal: Option<u32>,
    split: Split,
    control: &Control<'_>,
) -> Result<Evaluation> {
    let triples = graph.triples(split);
    if triples.is_empty() {
        return Err(Error::NoTriples(split));
    }
    let answers = Answers::of(graph);
    let ranker = Ranker { pool, model, embeddings, control };
    let tail = ranker.ranks(triples, &Query::tail, &|t| answers.tails(t.head, t.relation))?;
    let head = ranker
        .ranks(triples, &|t| Query::head(t, reciprocal), &|t| answers.heads(t.relation, t.tail))?;
    Ok(Evaluation {
        split,
        both: Metrics::of(&[tail.as_slice(), head.as_slice()].concat()),
        head: Metrics::of(&head),
        tail: Metrics::of(&tail),
    })
}

struct Ranker<'a> {
    pool: &'a Pool,
    model: &'a dyn ScoringModel,
    embeddings: &'a Embeddings,
    control: &'a Control<'a>,
}

impl Ranker<'_> {
    /// The rank of each triple's target, all queries of one direction.
    fn ranks<'k>(
        &self,
        triples: &[Triple],
        query: &(dyn Fn(Triple) -> Query + Sync),
        known: &(dyn Fn(Triple) -> &'k [u32] + Sync),
    ) -> Result<Vec<f64>> {
        let entities = self.embeddings.entity_count();
        let block = (SCORE_BYTES / size_of::<f32>() / entities.max(1)).clamp(8, 64);
        let layout = self.model.layout();
        let threads: Vec<_> = (0..self.pool.threads())
            .map(|_| Ok(Mutex::new((self.model.session()?, Block::default()))))
            .collect::<Result<_>>()?;
        let failure = Mutex::new(None);
        let mut ranks = vec![0.0; triples.len()];
        self.pool.chunks(&mut ranks, block, |index, ranks, thread| {
            if self.control.go_on().is_err() {
                return;
            }
            let triples = &triples[index * block..][..ranks.len()];
            let mut own = threads[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let (session, buffers) = &mut *own;
            buffers.queries.clear();
            buffers.queries.extend(triples.iter().map(|&triple| query(triple)));
            buffers.given.gather(self.embeddings, &buffers.queries);
            if let Err(error) = session.query(&buffers.given.batch(), &mut buffers.rows) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            buffers.scores.resize(triples.len() * entities, 0.0);
            layout.similarity.scores(
                &buffers.rows,
                &self.embeddings.entities,
                layout.query_width,
                &mut buffers.scores,
            );
            let scores = buffers.scores.chunks_exact(entities);
            let each = ranks.iter_mut().zip(triples).zip(&buffers.queries).zip(scores);
            for (((rank, &triple), query), scores) in each {
                *rank = standing(scores, query.target as usize, known(triple)).rank();
            }
        });
        self.control.go_on()?;
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.into()),
            None => Ok(ranks),
        }
    }
}

/// One thread's buffers.
#[derive(Default)]
struct Block {
    queries: Vec<Query>,
    given: Given,
    rows: Vec<f32>,
    scores: Vec<f32>,
}
