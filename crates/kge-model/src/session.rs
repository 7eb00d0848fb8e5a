//! The trait that trainer, evaluator and server call: rows in, rows out.

use crate::{Description, Direction, Embeddings, Error, Layout, Result};

/// A configured scoring model: shared by all threads, it hands each one a session.
pub trait ScoringModel: Send + Sync {
    /// What the model says of itself.
    fn description(&self) -> &Description;

    /// The shape of its rows.
    fn layout(&self) -> &Layout;

    /// A session for one thread.
    ///
    /// # Errors
    /// If the model cannot be instantiated (limits, traps).
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// A session that has the shared tensors of these rows, where the model has any.
    ///
    /// # Errors
    /// As for [`session`](Self::session) and [`Session::set_shared`].
    fn session_of(&self, embeddings: &Embeddings) -> Result<Box<dyn Session + '_>> {
        let mut session = self.session()?;
        if !embeddings.shared.is_empty() {
            session.set_shared(&embeddings.shared)?;
        }
        Ok(session)
    }
}

/// One thread's use of a scoring model.
pub trait Session: Send {
    /// Query rows of a batch, `[batch, query_width]` row-major, written into `out` whole.
    ///
    /// # Errors
    /// If the model traps, runs out of its limits or answers with a wrong length.
    fn query(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()>;

    /// The vector-Jacobian product of [`query`](Self::query) for `d_query`,
    /// `[batch, query_width]`, written into `out` whole.
    ///
    /// # Errors
    /// As for `query`.
    fn query_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()>;

    /// Candidate rows, `[batch, query_width]` row-major, written into `out` whole: for models
    /// whose layout says `projects_candidates`. `batch.anchors` are the candidate entities' rows,
    /// tails for direction `Tail` and heads for `Head`.
    ///
    /// # Errors
    /// As for `query`; [`Error::Unsupported`] if the model does not project its candidates, as by
    /// default.
    fn candidate(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        let _ = (batch, out);
        Err(not_projecting())
    }

    /// The vector-Jacobian product of [`candidate`](Self::candidate) for `d_candidate`,
    /// `[batch, query_width]`, written into `out` whole; `out.anchors` is by the entities.
    ///
    /// # Errors
    /// As for `candidate`.
    fn candidate_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        let _ = (batch, d_candidate, out);
        Err(not_projecting())
    }

    /// Hands over the shared tensors, in the layout's order; once a step, before its queries.
    ///
    /// # Errors
    /// As for `query`.
    fn set_shared(&mut self, tensors: &[Vec<f32>]) -> Result<()>;
}

fn not_projecting() -> Error {
    Error::Unsupported { model: "this model".into(), what: "projecting candidates".into() }
}

/// Candidate rows of some entities, `[entities, entity_width]`, projected by one relation row:
/// `[entities, query_width]`, written into `out` whole.
///
/// # Errors
/// As for [`Session::candidate`].
pub fn project(
    session: &mut dyn Session,
    layout: &Layout,
    direction: Direction,
    relation: &[f32],
    entities: &[f32],
    out: &mut Vec<f32>,
) -> Result<()> {
    let relation_of = vec![0; entities.len() / layout.entity_width];
    let batch = QueryBatch {
        direction,
        anchors: entities,
        relations: relation,
        relation_of: &relation_of,
        context: &[],
    };
    session.candidate(&batch, out)
}

/// What one call asks: all of one direction.
#[derive(Clone, Copy, Debug)]
pub struct QueryBatch<'a> {
    /// The direction of every query in the batch.
    pub direction: Direction,
    /// Anchor rows, `[batch, entity_width]`; for `Direction::Relation` the heads' rows, then the
    /// tails'.
    pub anchors: &'a [f32],
    /// Each distinct relation row of the batch once, `[distinct, relation_width]`.
    pub relations: &'a [f32],
    /// Which of `relations` each query uses, `[batch]`.
    pub relation_of: &'a [u32],
    /// Context rows (time stamps, qualifiers, literals), `[batch, …]`; empty today.
    pub context: &'a [f32],
}

/// The gradients a vector-Jacobian product gives.
#[derive(Clone, Debug, Default)]
pub struct QueryGradient {
    /// `[batch, entity_width]`, as `anchors`.
    pub anchors: Vec<f32>,
    /// `[distinct, relation_width]`, summed by distinct relation.
    pub relations: Vec<f32>,
    /// One list a shared tensor.
    pub shared: Vec<Vec<f32>>,
}

impl QueryBatch<'_> {
    /// Queries in the batch.
    pub fn len(&self) -> usize {
        self.relation_of.len()
    }

    /// Whether it asks nothing.
    pub fn is_empty(&self) -> bool {
        self.relation_of.is_empty()
    }

    /// Checks every length and index against the layout, in debug builds and at the sandbox's
    /// door.
    ///
    /// # Errors
    /// Names the list and the length it should have.
    pub fn verify(&self, model: &str, layout: &Layout) -> Result<()> {
        let length = |what, expected, found| match expected == found {
            true => Ok(()),
            false => {
                Err(Error::Length { model: model.into(), function: "query", what, expected, found })
            }
        };
        let lists = if self.direction == Direction::Relation { 2 } else { 1 };
        length("anchors", lists * self.len() * layout.entity_width, self.anchors.len())?;
        let distinct = self.relations.len() / layout.relation_width.max(1);
        length("relations", distinct * layout.relation_width, self.relations.len())?;
        let largest = self.relation_of.iter().max().map_or(0, |&r| r as usize + 1);
        if self.direction != Direction::Relation && largest > distinct {
            return length("relations", largest * layout.relation_width, self.relations.len());
        }
        Ok(())
    }
}
