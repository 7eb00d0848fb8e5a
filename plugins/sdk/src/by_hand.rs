//! Models whose vector-Jacobian product is written by hand, row by row.

use crate::{Batch, Direction, Gradients, Layout, Model};

/// Queries and their vector-Jacobian product, one row at a time.
///
/// For models of one anchor that neither share tensors nor answer direction `Relation`.
pub trait ByHand: Model {
    /// One query row of `query_width` from one anchor row and one relation row.
    fn query(&self, direction: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]);

    /// The vector-Jacobian product of [`query`](Self::query): writes `d_anchor` whole and **adds**
    /// to `d_relation`, which other queries of the batch share.
    fn query_vjp(
        &self,
        direction: Direction,
        anchor: &[f32],
        relation: &[f32],
        d_query: &[f32],
        d_anchor: &mut [f32],
        d_relation: &mut [f32],
    );
}

#[doc(hidden)]
pub fn queries<M: ByHand>(model: &M, layout: &Layout, batch: &Batch<'_>) -> Vec<f32> {
    let (entity, relation) = (layout.entity_width, layout.relation_width);
    let mut queries = vec![0.0; batch.relation_of.len() * layout.query_width];
    let rows = batch.entities.chunks_exact(entity);
    let rows = rows.zip(queries.chunks_exact_mut(layout.query_width)).zip(batch.relation_of);
    for ((anchor, query), &of) in rows {
        let row = &batch.relations[of as usize * relation..][..relation];
        model.query(batch.direction, anchor, row, query);
    }
    queries
}

#[doc(hidden)]
pub fn queries_vjp<M: ByHand>(
    model: &M,
    layout: &Layout,
    batch: &Batch<'_>,
    d_queries: &[f32],
) -> Gradients {
    let (entity, relation) = (layout.entity_width, layout.relation_width);
    let mut gradients = Gradients::zeros(batch);
    let rows = batch.entities.chunks_exact(entity).zip(d_queries.chunks_exact(layout.query_width));
    let rows = rows.zip(gradients.entities.chunks_exact_mut(entity)).zip(batch.relation_of);
    for (((anchor, d_query), d_anchor), &of) in rows {
        let row = of as usize * relation..(of as usize + 1) * relation;
        let d_row = &mut gradients.relations[row.clone()];
        model.query_vjp(batch.direction, anchor, &batch.relations[row], d_query, d_anchor, d_row);
    }
    gradients
}

// A model written by hand does not project its candidates.
#[doc(hidden)]
pub fn candidates<M: ByHand>(_: &M, _: &Layout, batch: &Batch<'_>) -> Vec<f32> {
    batch.entities.to_vec()
}

#[doc(hidden)]
pub fn candidates_vjp<M: ByHand>(
    _: &M,
    _: &Layout,
    batch: &Batch<'_>,
    d_candidates: &[f32],
) -> Gradients {
    Gradients { entities: d_candidates.to_vec(), ..Gradients::zeros(batch) }
}
