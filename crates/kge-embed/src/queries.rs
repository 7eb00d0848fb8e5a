//! Query rows and their gradients, through the scoring model, in calls.
//!
//! A call holds queries of one direction and each of its relation rows once. Batches are cut alike
//! whatever the threads, and any session may answer any call: plugins are pure, so the bytes are the
//! same.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kge_graph::Triple;
use kge_kernels::{Pool, gather};
use kge_model::{Direction, Embeddings, QueryBatch, QueryGradient, ScoringModel, Session};

use crate::Result;

/// Queries that go to the scoring model in one call, at most.
pub(crate) const CALL: usize = 256;

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

/// A thread's own.
type ThreadSession<'m> = Mutex<Box<dyn Session + 'm>>;

/// A scoring model at work for all threads of a pool.
pub(crate) struct QueryRows<'m> {
    model: &'m dyn ScoringModel,
    sessions: Vec<ThreadSession<'m>>,
    calls: Vec<Call>,
    used: usize,
    /// The gradients of the shared tensors, if the model has any.
    d_shared: Vec<Vec<f32>>,
}

/// Queries that go to the scoring model in one call.
pub(crate) struct Call {
    /// Its queries' places in the batch.
    pub(crate) range: Range<usize>,
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
        Ok(Self {
            model,
            sessions: sessions.collect::<Result<_>>()?,
            calls: Vec::new(),
            used: 0,
            d_shared: vec![Vec::new(); model.layout().shared.len()],
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
        self.begin(pool, embeddings, queries, std::iter::once(queries.len()))?;
        let (sessions, model) = (&self.sessions, self.model);
        let width = model.layout().query_width;
        out.resize(queries.len() * width, 0.0);
        let calls = &mut self.calls[..self.used];
        let mut parts = with_parts(calls, out, |call| call.range.len() * width);
        pool.chunks(&mut parts, 1, |_, part, thread| {
            let (call, out) = &mut part[0];
            let mut session = lock(&sessions[thread]);
            call.outcome = call
                .forward(&mut **session, model, embeddings, queries)
                .map(|rows| out.copy_from_slice(rows));
        });
        self.outcome()
    }

    /// Pulls `d_queries`, `[queries, query_width]`, of the batch of the last
    /// [`forward`](Self::forward) back to its anchors and relations.
    pub(crate) fn backward(&mut self, pool: &Pool, d_queries: &[f32]) -> Result<()> {
        let (sessions, width) = (&self.sessions, self.model.layout().query_width);
        pool.chunks(&mut self.calls[..self.used], 1, |_, call, thread| {
            let call = &mut call[0];
            let d_rows = &d_queries[call.range.start * width..][..call.range.len() * width];
            call.outcome = call.backward(&mut **lock(&sessions[thread]), d_rows);
        });
        self.outcome()?;
        self.sum_shared(pool);
        Ok(())
    }

    /// Cuts a batch into calls, which do not reach over these places, and hands the shared tensors
    /// to every session.
    pub(crate) fn begin(
        &mut self,
        pool: &Pool,
        embeddings: &Embeddings,
        queries: &[Query],
        ends: impl Iterator<Item = usize>,
    ) -> Result<()> {
        self.cut(queries, ends);
        self.share(pool, embeddings)
    }

    /// The scoring model, a session a thread, and the calls of the batch that has begun.
    pub(crate) fn at_work(&mut self) -> (&'m dyn ScoringModel, &[ThreadSession<'m>], &mut [Call]) {
        (self.model, &self.sessions, &mut self.calls[..self.used])
    }

    /// Adds up what all calls do to the shared tensors.
    pub(crate) fn sum_shared(&mut self, pool: &Pool) {
        for (tensor, sum) in self.d_shared.iter_mut().enumerate() {
            let calls = &self.calls[..self.used];
            sum.clear();
            sum.resize(calls.first().map_or(0, |c| c.gradient.shared[tensor].len()), 0.0);
            pool.chunks(sum, PART, |index, sum, _| {
                for call in calls {
                    let part = &call.gradient.shared[tensor][index * PART..][..sum.len()];
                    kge_kernels::row::add(sum, part);
                }
            });
        }
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
        let (calls, width) = (&self.calls[..self.used], self.model.layout().entity_width);
        let call = &calls[calls.partition_point(|call| call.range.start <= query) - 1];
        &call.gradient.anchors[(query - call.range.start) * width..][..width]
    }

    /// The distinct relation rows of each call: relation, call, place in the call.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (u32, usize, usize)> {
        self.calls[..self.used].iter().enumerate().flat_map(|(index, call)| {
            let ids = call.given.relation_ids.iter().enumerate();
            ids.map(move |(place, &relation)| (relation, index, place))
        })
    }

    /// The gradient of a relation row from one call.
    pub(crate) fn relation_gradient(&self, call: usize, place: usize) -> &[f32] {
        let width = self.model.layout().relation_width;
        &self.calls[call].gradient.relations[place * width..][..width]
    }

    fn cut(&mut self, queries: &[Query], ends: impl Iterator<Item = usize>) {
        self.used = 0;
        let mut start = 0;
        for end in ends {
            while start < end {
                let direction = queries[start].direction;
                let length = queries[start..end]
                    .iter()
                    .take(CALL)
                    .take_while(|query| query.direction == direction)
                    .count();
                if self.used == self.calls.len() {
                    self.calls.push(Call::new());
                }
                self.calls[self.used].range = start..start + length;
                self.used += 1;
                start += length;
            }
        }
    }

    fn outcome(&mut self) -> Result<()> {
        for call in &mut self.calls[..self.used] {
            std::mem::replace(&mut call.outcome, Ok(()))?;
        }
        Ok(())
    }
}

/// Each item with its own part of `floats`, one after the other, so long as `length` says.
fn with_parts<'a, T>(
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

impl Call {
    fn new() -> Self {
        Self {
            range: 0..0,
            given: Given::default(),
            rows: Vec::new(),
            gradient: QueryGradient::default(),
            outcome: Ok(()),
        }
    }

    /// Its query rows, `[queries, query_width]`; `queries` are those of the whole batch.
    pub(crate) fn forward(
        &mut self,
        session: &mut dyn Session,
        model: &dyn ScoringModel,
        embeddings: &Embeddings,
        queries: &[Query],
    ) -> kge_model::Result<&[f32]> {
        let queries = &queries[self.range.clone()];
        self.given.ask(session, model, embeddings, queries, &mut self.rows)?;
        Ok(&self.rows)
    }

    /// Pulls the gradients of its query rows back.
    pub(crate) fn backward(
        &mut self,
        session: &mut dyn Session,
        d_rows: &[f32],
    ) -> kge_model::Result<()> {
        session.query_vjp(&self.given.batch(), d_rows, &mut self.gradient)
    }
}

impl Given {
    /// Writes the query rows of some queries, all of one direction, `[queries, query_width]`.
    pub(crate) fn ask(
        &mut self,
        session: &mut dyn Session,
        model: &dyn ScoringModel,
        embeddings: &Embeddings,
        queries: &[Query],
        out: &mut Vec<f32>,
    ) -> kge_model::Result<()> {
        self.gather(embeddings, queries);
        session.query(&self.batch(), out)?;
        let (expected, found) = (queries.len() * model.layout().query_width, out.len());
        if found == expected {
            return Ok(());
        }
        let model = model.description().name.clone();
        let (function, what) = ("query", "query rows");
        Err(kge_model::Error::Length { model, function, what, expected, found })
    }

    /// Collects the rows of some queries, all of one direction.
    fn gather(&mut self, embeddings: &Embeddings, queries: &[Query]) {
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
    fn batch(&self) -> QueryBatch<'_> {
        QueryBatch {
            direction: self.direction.unwrap_or(Direction::Tail),
            anchors: &self.anchors,
            relations: &self.relations,
            relation_of: &self.relation_of,
            context: &[],
        }
    }
}
