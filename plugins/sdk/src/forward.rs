//! Models whose forward function is written once, over rows; its vector-Jacobian product is
//! derived.

use crate::graph::{self, Graph, Row};
use crate::{Batch, Direction, Gradients, Layout, Model};

/// The forward function of a model, over whole rows.
pub trait Forward: Model {
    /// The query row: of `query_width`, from an anchor and a relation row.
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g>;

    /// The query row of direction `Relation`, of `relation_width`; for models whose layout lists
    /// that direction.
    ///
    /// # Panics
    /// If the model does not answer that direction, as by default.
    fn relation_query<'g>(&self, head: Row<'g>, tail: Row<'g>) -> Row<'g> {
        let _ = (head, tail);
        panic!("this model does not answer direction relation")
    }

    /// The candidate row, of `query_width`; the entity itself, unless the model projects its
    /// candidates by the relation.
    fn candidate<'g>(&self, direction: Direction, entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let _ = (direction, relation);
        entity
    }
}

fn query<'g, M: Forward>(model: &M, layout: &Layout, way: Direction, graph: &'g Graph) -> Row<'g> {
    let anchor = graph.entities(layout.entity_width, false);
    let query = match way {
        Direction::Relation => {
            model.relation_query(anchor, graph.entities(layout.entity_width, true))
        }
        _ => model.query(way, anchor, graph.relations(layout.relation_width)),
    };
    assert_eq!(query.width(), layout.query_width, "a query row has the layout's query width");
    query
}

fn candidate<'g, M: Forward>(
    model: &M,
    layout: &Layout,
    way: Direction,
    graph: &'g Graph,
) -> Row<'g> {
    let entity = graph.entities(layout.entity_width, false);
    let candidate = model.candidate(way, entity, graph.relations(layout.relation_width));
    assert_eq!(candidate.width(), layout.query_width, "a candidate row is as wide as a query row");
    candidate
}

#[doc(hidden)]
pub fn queries<M: Forward>(model: &M, layout: &Layout, batch: &Batch<'_>) -> Vec<f32> {
    let graph = Graph::default();
    graph::forward(&graph, query(model, layout, batch.direction, &graph), layout, batch)
}

#[doc(hidden)]
pub fn queries_vjp<M: Forward>(
    model: &M,
    layout: &Layout,
    batch: &Batch<'_>,
    d_queries: &[f32],
) -> Gradients {
    let graph = Graph::default();
    graph::reverse(&graph, query(model, layout, batch.direction, &graph), layout, batch, d_queries)
}

#[doc(hidden)]
pub fn candidates<M: Forward>(model: &M, layout: &Layout, batch: &Batch<'_>) -> Vec<f32> {
    let graph = Graph::default();
    graph::forward(&graph, candidate(model, layout, batch.direction, &graph), layout, batch)
}

#[doc(hidden)]
pub fn candidates_vjp<M: Forward>(
    model: &M,
    layout: &Layout,
    batch: &Batch<'_>,
    d_candidates: &[f32],
) -> Gradients {
    let graph = Graph::default();
    let output = candidate(model, layout, batch.direction, &graph);
    graph::reverse(&graph, output, layout, batch, d_candidates)
}
