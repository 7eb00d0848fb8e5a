//! Query rows and their gradients, through the scoring model, in chunks.
//!
//! A chunk holds queries of one direction and each of its relation rows once. Chunks have a fixed
//! size and any thread's session may answer any chunk: plugins are pure, so the bytes are the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kge_graph::Triple;
use kge_kernels::{Pool, gather};
use kge_model::{Direction, Embeddings, QueryBatch, QueryGradient, ScoringModel, Session};

use crate::Result;

/// Queries that go to the scoring model in one call.
pub(crate) const CHUNK: usize = 256;

/// Floats of a shared tensor that are summed at a time.
const PART: usize = 4096;

/// One question, and its true answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) direction: Direction,
    /// The entity that is given.
    pub(crate) anchor: u32,
    /// The relation's row: with reciprocals, a head query has one of its own.
    pub(crate) relation: u32,
    /// The entity that is asked for.
    pub(crate) target: u32,
}

impl Query {
    /// `(h, r, ?)`.
    pub(crate) fn tail(triple: Triple) -> Self {
        Self {
            direction: Direction::Tail,
            anchor: triple.head.0,
            relation: triple.relation.0,
            target: triple.tail.0,
        }
    }

    /// `(?, r, t)`; with reciprocals among `relations` relations it is `(t, r + relations, ?)`.
    pub(crate) fn head(triple: Triple, reciprocal: Option<u32>) -> Self {
        Self {
            direction: if reciprocal.is_some() { Direction::Tail } else { Direction::Head },
            anchor: triple.tail.0,
            relation: triple.relation.0 + reciprocal.unwrap_or(0),
            target: triple.head.0,
        }
    }
}

/// Both ways of each triple: all tail queries, then all head queries.
pub(crate) fn both_ways(
    triples: impl Iterator<Item = Triple> + Clone,
    reciprocal: Option<u32>,
    out: &mut Vec<Query>,
) {
    out.clear();
    out.extend(triples.clone().map(Query::tail));
    out.extend(triples.map(|triple| Query::head(triple, reciprocal)));
}

/// A scoring model at work for all threads of a pool.
pub(crate) struct QueryRows<'m> {
    sessions: Vec<Mutex<Box<dyn Session + 'm>>>,
    chunks: Vec<Chunk>,
    used: usize,
    widths: Widths,
    /// The gradients of the shared tensors, if the model has any.
    d_shared: Vec<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct Widths {
    entity: usize,
    relation: usize,
    query: usize,
}

struct Chunk {
    /// The place of its first query in the batch.
    start: usize,
    length: usize,
    given: Given,
    rows: Vec<f32>,
    gradient: QueryGradient,
    outcome: kge_model::Result<()>,
}

/// The rows that queries of one direction give to the scoring model.
#[derive(Default)]
pub(crate) struct Given {
    /// `None` before the first queries.
    direction: Option<Direction>,
    anchors: Vec<f32>,
    /// The distinct relations, rising.
    relation_ids: Vec<u32>,
    relations: Vec<f32>,
    relation_of: Vec<u32>,
}

impl<'m> QueryRows<'m> {
    /// Sessions for as many threads as the pool has.
    pub(crate) fn new(model: &'m dyn ScoringModel, pool: &Pool) -> Result<Self> {
        let sessions = (0..pool.threads()).map(|_| Ok(Mutex::new(model.session()?)));
        let layout = model.layout();
        Ok(Self {
            sessions: sessions.collect::<Result<_>>()?,
            chunks: Vec::new(),
            used: 0,
            widths: Widths {
                entity: layout.entity_width,
                relation: layout.relation_width,
                query: layout.query_width,
            },
            d_shared: vec![Vec::new(); layout.shared.len()],
        })
    }

    /// Writes the query rows of a batch, `[queries, query_width]`.
    pub(crate) fn forward(
        &mut self,
        pool: &Pool,
        embeddings: &Embeddings,
        queries: &[Query],
        out: &mut Vec<f32>,
    ) -> Result<()> {
        self.cut(queries);
        self.share(pool, embeddings)?;
        let (sessions, width) = (&self.sessions, self.widths.query);
        out.resize(queries.len() * width, 0.0);
        let chunks = &mut self.chunks[..self.used];
        let mut parts = with_parts(chunks, out, |chunk| chunk.length * width);
        pool.chunks(&mut parts, 1, |_, part, thread| {
            let (chunk, out) = &mut part[0];
            chunk.given.gather(embeddings, &queries[chunk.start..][..chunk.length]);
            let mut session = lock(&sessions[thread]);
            chunk.outcome = session.query(&chunk.given.batch(), &mut chunk.rows);
            if chunk.outcome.is_ok() {
                assert_eq!(chunk.rows.len(), out.len(), "query rows are [queries, width]");
                out.copy_from_slice(&chunk.rows);
            }
        });
        self.outcome()
    }

    /// Pulls `d_queries`, `[queries, query_width]`, of the batch of the last
    /// [`forward`](Self::forward) back to its anchors and relations.
    pub(crate) fn backward(&mut self, pool: &Pool, d_queries: &[f32]) -> Result<()> {
        let (sessions, width) = (&self.sessions, self.widths.query);
        pool.chunks(&mut self.chunks[..self.used], 1, |_, chunk, thread| {
            let chunk = &mut chunk[0];
            let d_rows = &d_queries[chunk.start * width..][..chunk.length * width];
            let mut session = lock(&sessions[thread]);
            let given = chunk.given.batch();
            chunk.outcome = session.query_vjp(&given, d_rows, &mut chunk.gradient);
        });
        self.outcome()?;
        for (tensor, sum) in self.d_shared.iter_mut().enumerate() {
            let chunks = &self.chunks[..self.used];
            sum.clear();
            sum.resize(chunks.first().map_or(0, |c| c.gradient.shared[tensor].len()), 0.0);
            pool.chunks(sum, PART, |index, sum, _| {
                for chunk in chunks {
                    let part = &chunk.gradient.shared[tensor][index * PART..][..sum.len()];
                    kge_kernels::row::add(sum, part);
                }
            });
        }
        Ok(())
    }

    /// The session of one thread.
    pub(crate) fn session(&self, thread: usize) -> MutexGuard<'_, Box<dyn Session + 'm>> {
        lock(&self.sessions[thread])
    }

    /// The gradients of the shared tensors.
    pub(crate) fn shared_gradients(&self) -> &[Vec<f32>] {
        &self.d_shared
    }

    /// Hands the shared tensors to every session.
    fn share(&self, pool: &Pool, embeddings: &Embeddings) -> Result<()> {
        if embeddings.shared.is_empty() {
            return Ok(());
        }
        let failure = Mutex::new(None);
        pool.run(self.sessions.len(), &|session, _| {
            let mut session = lock(&self.sessions[session]);
            if let Err(error) = session.set_shared(&embeddings.shared) {
                lock(&failure).get_or_insert(error);
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// The gradient of one query's anchor row.
    pub(crate) fn anchor_gradient(&self, query: usize) -> &[f32] {
        let chunks = &self.chunks[..self.used];
        let chunk = &chunks[chunks.partition_point(|chunk| chunk.start <= query) - 1];
        &chunk.gradient.anchors[(query - chunk.start) * self.widths.entity..][..self.widths.entity]
    }

    /// The distinct relation rows of each chunk: relation, chunk, place in the chunk.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (u32, usize, usize)> {
        self.chunks[..self.used].iter().enumerate().flat_map(|(index, chunk)| {
            let ids = chunk.given.relation_ids.iter().enumerate();
            ids.map(move |(place, &relation)| (relation, index, place))
        })
    }

    /// The gradient of a relation row from one chunk.
    pub(crate) fn relation_gradient(&self, chunk: usize, place: usize) -> &[f32] {
        let width = self.widths.relation;
        &self.chunks[chunk].gradient.relations[place * width..][..width]
    }

    fn cut(&mut self, queries: &[Query]) {
        self.used = 0;
        let mut start = 0;
        while start < queries.len() {
            let direction = queries[start].direction;
            let length = queries[start..]
                .iter()
                .take(CHUNK)
                .take_while(|query| query.direction == direction)
                .count();
            if self.used == self.chunks.len() {
                self.chunks.push(Chunk::empty());
            }
            let chunk = &mut self.chunks[self.used];
            (chunk.start, chunk.length) = (start, length);
            self.used += 1;
            start += length;
        }
    }

    fn outcome(&mut self) -> Result<()> {
        for chunk in &mut self.chunks[..self.used] {
            std::mem::replace(&mut chunk.outcome, Ok(()))?;
        }
        Ok(())
    }
}

/// Each item with its own part of `floats`, one after the other, so long as `length` says.
pub(crate) fn with_parts<'a, T>(
    items: &'a mut [T],
    mut floats: &'a mut [f32],
    length: impl Fn(&T) -> usize,
) -> Vec<(&'a mut T, &'a mut [f32])> {
    let part = |item: &'a mut T| {
        let (own, later) = std::mem::take(&mut floats).split_at_mut(length(item));
        floats = later;
        (item, own)
    };
    items.iter_mut().map(part).collect()
}

/// A panic in a block is carried to the caller by the pool; what is locked stays whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chunk {
    fn empty() -> Self {
        Self {
            start: 0,
            length: 0,
            given: Given::default(),
            rows: Vec::new(),
            gradient: QueryGradient::default(),
            outcome: Ok(()),
        }
    }
}

impl Given {
    /// Collects the rows of some queries, all of one direction.
    pub(crate) fn gather(&mut self, embeddings: &Embeddings, queries: &[Query]) {
        self.direction = queries.first().map(|query| query.direction);
        self.relation_ids.clear();
        self.relation_ids.extend(queries.iter().map(|query| query.relation));
        self.relation_ids.sort_unstable();
        self.relation_ids.dedup();
        let anchors = queries.iter().map(|query| query.anchor);
        self.anchors.clear();
        gather(&embeddings.entities, embeddings.entity_width, anchors, &mut self.anchors);
        self.relation_of.clear();
        for query in queries {
            let place = self.relation_ids.partition_point(|&id| id < query.relation);
            self.relation_of.push(place as u32);
        }
        self.relations.clear();
        for &id in &self.relation_ids {
            self.relations.extend_from_slice(embeddings.relation(id));
        }
    }

    /// As the scoring model takes them.
    pub(crate) fn batch(&self) -> QueryBatch<'_> {
        QueryBatch {
            direction: self.direction.unwrap_or(Direction::Tail),
            anchors: &self.anchors,
            relations: &self.relations,
            relation_of: &self.relation_of,
            context: &[],
        }
    }
}
