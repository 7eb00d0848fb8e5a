//! What a component asks of a model: whole batches, whichever way the model computes them.

use crate::{Direction, Layout, Model};

/// A batch of queries, or of candidates.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The direction of all of them.
    pub direction: Direction,
    /// `[batch, entity_width]`: the anchors of queries, or the candidate entities. For direction
    /// `Relation` the heads' rows, then the tails'.
    pub entities: &'a [f32],
    /// Each distinct relation row once, `[distinct, relation_width]`.
    pub relations: &'a [f32],
    /// Which of `relations` each row of the batch uses, `[batch]`.
    pub relation_of: &'a [u32],
    /// The shared tensors, in the order of the layout.
    pub shared: &'a [Vec<f32>],
}

/// Gradients by everything a batch is made of, each as long as its list of [`Batch`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// By the entity rows.
    pub entities: Vec<f32>,
    /// By the relation rows, summed over the rows of the batch that use one.
    pub relations: Vec<f32>,
    /// By the shared tensors, summed over the batch.
    pub shared: Vec<Vec<f32>>,
}

/// A model that computes batches; [`export_model!`](crate::export_model) implements it.
pub trait Scoring: Model {
    /// Whether [`candidates`](Self::candidates) are other rows than the entities.
    const PROJECTS_CANDIDATES: bool;

    /// Query rows, `[batch, query_width]`.
    ///
    /// # Panics
    /// If a list has another length than [`Batch`] says.
    fn queries(&self, layout: &Layout, batch: &Batch<'_>) -> Vec<f32>;

    /// The vector-Jacobian product of [`queries`](Self::queries) for `d_queries`.
    ///
    /// # Panics
    /// As `queries`.
    fn queries_vjp(&self, layout: &Layout, batch: &Batch<'_>, d_queries: &[f32]) -> Gradients;

    /// Candidate rows, `[batch, query_width]`.
    ///
    /// # Panics
    /// As `queries`.
    fn candidates(&self, layout: &Layout, batch: &Batch<'_>) -> Vec<f32>;

    /// The vector-Jacobian product of [`candidates`](Self::candidates) for `d_candidates`.
    ///
    /// # Panics
    /// As `queries`.
    fn candidates_vjp(&self, layout: &Layout, batch: &Batch<'_>, d_candidates: &[f32])
        -> Gradients;
}

impl Gradients {
    /// All zero, of the lengths of a batch.
    pub(crate) fn zeros(batch: &Batch<'_>) -> Self {
        Self {
            entities: vec![0.0; batch.entities.len()],
            relations: vec![0.0; batch.relations.len()],
            shared: batch.shared.iter().map(|tensor| vec![0.0; tensor.len()]).collect(),
        }
    }
}
