//! Filtered ranking: where the true answer stands among all candidates.
//!
//! A query is answered by scoring every entity; entities that complete a known triple of any split
//! are left out (Bordes et al. 2013). Ties count half (Berrendorf et al. 2020, "realistic" rank).
//! Entities unseen in training are kept.

use std::sync::{Mutex, PoisonError};

use kge_graph::{Answers, Graph, Split, Triple};
use kge_kernels::{
    Pool,
    rank::{Ranker, Standing},
};
use kge_model::{Embeddings, ScoringModel, Session, project};
use serde::{Deserialize, Serialize};

use crate::{
    Control, Error, Result,
    queries::{CALL, Given, Query, lock},
    validate::supported,
};

/// Queries that one thread ranks together, so that a tile of entities is packed once for all.
const BLOCK: usize = 960;

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
    let ranker = Ranking { pool, model, embeddings, control };
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

struct Ranking<'a> {
    pool: &'a Pool,
    model: &'a dyn ScoringModel,
    embeddings: &'a Embeddings,
    control: &'a Control<'a>,
}

/// A thread's session and buffers.
type Thread<'a> = Mutex<(Box<dyn Session + 'a>, Block)>;

impl Ranking<'_> {
    /// The rank of each triple's target, all queries of one direction.
    fn ranks<'k>(
        &self,
        triples: &[Triple],
        query: &(dyn Fn(Triple) -> Query + Sync),
        known: &(dyn Fn(Triple) -> &'k [u32] + Sync),
    ) -> Result<Vec<f64>> {
        let layout = self.model.layout();
        let threads: Vec<Thread<'_>> = (0..self.pool.threads())
            .map(|_| Ok(Mutex::new((self.model.session_of(self.embeddings)?, Block::default()))))
            .collect::<Result<_>>()?;
        if !layout.projects_candidates {
            return self.ranks_among(&threads, &self.embeddings.entities, triples, query, known);
        }
        // All entities are projected once a relation, not once a query.
        let relation = |place: &u32| query(triples[*place as usize]).relation;
        let mut order: Vec<u32> = (0..triples.len() as u32).collect();
        order.sort_by_key(relation);
        let (mut ranks, mut candidates) = (vec![0.0; triples.len()], Vec::new());
        for group in order.chunk_by(|a, b| relation(a) == relation(b)) {
            let triples: Vec<_> = group.iter().map(|&place| triples[place as usize]).collect();
            self.project(&threads, query(triples[0]), &mut candidates)?;
            let own = self.ranks_among(&threads, &candidates, &triples, query, known)?;
            for (&place, rank) in group.iter().zip(own) {
                ranks[place as usize] = rank;
            }
        }
        Ok(ranks)
    }

    /// Every entity as a candidate of one query, `[entities, query_width]`.
    fn project(&self, threads: &[Thread<'_>], query: Query, out: &mut Vec<f32>) -> Result<()> {
        let (layout, embeddings) = (self.model.layout(), self.embeddings);
        let (width, failure) = (layout.query_width, Mutex::new(None));
        out.resize(embeddings.entity_count() * width, 0.0);
        self.pool.chunks(out, CALL * width, |index, out, thread| {
            let mut own = lock(&threads[thread]);
            let (session, buffers) = &mut *own;
            let entities = &embeddings.entities[index * CALL * layout.entity_width..];
            let entities = &entities[..out.len() / width * layout.entity_width];
            let relation = embeddings.relation(query.relation);
            let answer = &mut buffers.answer;
            let direction = query.direction;
            match project(&mut **session, layout, direction, relation, entities, answer) {
                Ok(()) => out.copy_from_slice(answer),
                Err(error) => _ = lock(&failure).get_or_insert(error),
            }
        });
        self.control.go_on()?;
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// As [`ranks`](Self::ranks), among these candidate rows.
    fn ranks_among<'k>(
        &self,
        threads: &[Thread<'_>],
        candidates: &[f32],
        triples: &[Triple],
        query: &(dyn Fn(Triple) -> Query + Sync),
        known: &(dyn Fn(Triple) -> &'k [u32] + Sync),
    ) -> Result<Vec<f64>> {
        let layout = self.model.layout();
        let failure = Mutex::new(None);
        let mut ranks = vec![0.0; triples.len()];
        // No more than what keeps every thread busy.
        let block = BLOCK.min(triples.len().div_ceil(threads.len()));
        self.pool.chunks(&mut ranks, block, |index, ranks, thread| {
            if self.control.go_on().is_err() {
                return;
            }
            let triples = &triples[index * block..][..ranks.len()];
            let mut own = lock(&threads[thread]);
            let (session, buffers) = &mut *own;
            buffers.rows.clear();
            for triples in triples.chunks(CALL) {
                buffers.queries.clear();
                buffers.queries.extend(triples.iter().map(|&triple| query(triple)));
                let (given, answer) = (&mut buffers.given, &mut buffers.answer);
                let (model, queries) = (self.model, &buffers.queries);
                if let Err(error) =
                    given.ask(&mut **session, model, self.embeddings, queries, answer)
                {
                    lock(&failure).get_or_insert(error);
                    return;
                }
                buffers.rows.extend_from_slice(&buffers.answer);
            }
            buffers.targets.clear();
            buffers.targets.extend(triples.iter().map(|&triple| query(triple).target));
            let left_out: Vec<&[u32]> = triples.iter().map(|&triple| known(triple)).collect();
            buffers.standings.resize(triples.len(), Standing::default());
            buffers.ranker.standings(
                layout.similarity,
                (&buffers.rows, candidates, layout.query_width),
                &self.embeddings.biases,
                &buffers.targets,
                &left_out,
                &mut buffers.standings,
            );
            for (rank, standing) in ranks.iter_mut().zip(&buffers.standings) {
                *rank = standing.rank();
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
    answer: Vec<f32>,
    rows: Vec<f32>,
    targets: Vec<u32>,
    standings: Vec<Standing>,
    ranker: Ranker,
}
