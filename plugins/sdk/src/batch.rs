//! What one call asks, and the gradients it gives back.

use crate::Direction;

/// What one call asks: all of one direction. Its lengths have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The direction of every query in the batch.
    pub direction: Direction,
    /// Anchor rows, `[batch, entity_width]`; for `Relation` the heads, then the tails.
    pub anchors: &'a [f32],
    /// Each distinct relation row of the batch once, `[distinct, relation_width]`.
    pub relations: &'a [f32],
    /// Which of `relations` each query uses, `[batch]`.
    pub relation_of: &'a [u32],
    /// Context rows; empty in this version of the contract.
    pub context: &'a [f32],
    pub(crate) entity_width: usize,
    pub(crate) relation_width: usize,
}

impl<'a> Batch<'a> {
    /// Queries in the batch.
    pub fn len(&self) -> usize {
        self.relation_of.len()
    }

    /// Whether it asks nothing.
    pub fn is_empty(&self) -> bool {
        self.relation_of.is_empty()
    }

    /// The anchor row of query `i`; for `Relation` its head.
    ///
    /// # Panics
    /// If there is no such query.
    pub fn anchor(&self, i: usize) -> &'a [f32] {
        &self.anchors[i * self.entity_width..][..self.entity_width]
    }

    /// The second anchor row of query `i`, its tail; only for `Relation`.
    ///
    /// # Panics
    /// If there is no such query, or the direction has one anchor.
    pub fn second_anchor(&self, i: usize) -> &'a [f32] {
        self.anchor(self.len() + i)
    }

    /// The relation row of query `i`; not for `Relation`.
    ///
    /// # Panics
    /// If there is no such query.
    pub fn relation(&self, i: usize) -> &'a [f32] {
        &self.relations[self.relation_of[i] as usize * self.relation_width..][..self.relation_width]
    }
}

/// The gradients a vector-Jacobian product gives, in the lengths of what they are by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// As `anchors`.
    pub anchors: Vec<f32>,
    /// As `relations`: summed over the queries that use a row.
    pub relations: Vec<f32>,
    /// One list a shared tensor.
    pub shared: Vec<Vec<f32>>,
}

impl Gradients {
    /// The gradient rows of query `i`, by its anchor and by its relation; add to them.
    ///
    /// # Panics
    /// If there is no such query.
    pub fn rows(&mut self, batch: &Batch<'_>, i: usize) -> (&mut [f32], &mut [f32]) {
        let relation = batch.relation_of[i] as usize * batch.relation_width;
        (
            &mut self.anchors[i * batch.entity_width..][..batch.entity_width],
            &mut self.relations[relation..][..batch.relation_width],
        )
    }
}
