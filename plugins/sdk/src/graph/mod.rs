//! Reverse mode over whole rows: the forward function is recorded once a call, as a graph of a
//! handful of nodes, and then run forwards and backwards over all rows of the batch.
//!
//! A node lives on an [`Axis`]: it has one row for each row of the batch, one for each distinct
//! relation, or one in all, whichever is the least its inputs allow. So the sines of RotatE's
//! phases are taken once a relation, not once a query, without the author's doing anything.
//! Nodes of the batch are computed in chunks that stay in the cache; values that no gradient reads
//! are not computed again in the backward pass.

mod complex;
mod elementwise;
mod network;
mod operation;
mod product;
mod quaternion;
mod run;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

pub use operation::Operation;
pub(crate) use run::{forward, reverse};

use operation::{PerRow, Step};

/// The recorded forward function.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: RefCell<Vec<Node>>,
}

/// How many rows a node has; the join of two axes is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Axis {
    /// One for all: shared tensors and what is made of them alone.
    One,
    /// One for each distinct relation of the batch.
    Relation,
    /// One for each row of the batch.
    Batch,
}

#[derive(Clone)]
struct Node {
    width: usize,
    axis: Axis,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// The batch's entities; the second list of direction `Relation`, if `tails`.
    Entities { tails: bool },
    /// The batch's distinct relations.
    Relations,
    /// One shared tensor.
    Shared(usize),
    /// A result.
    Computed { step: Rc<dyn Step>, inputs: Vec<View> },
}

/// Some columns of a node.
#[derive(Clone, Copy, Debug)]
struct View {
    node: usize,
    offset: usize,
    width: usize,
}

/// A row of floats in a forward function: of the input, or computed from other rows.
///
/// Cutting one into parts copies nothing. Two rows of one width add, subtract and multiply
/// component by component.
#[derive(Clone, Copy)]
pub struct Row<'g> {
    graph: &'g Graph,
    view: View,
}

impl Graph {
    fn push(&self, width: usize, axis: Axis, kind: Kind) -> Row<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { width, axis, kind });
        Row { graph: self, view: View { node: nodes.len() - 1, offset: 0, width } }
    }

    pub(crate) fn entities(&self, width: usize, tails: bool) -> Row<'_> {
        self.push(width, Axis::Batch, Kind::Entities { tails })
    }

    pub(crate) fn relations(&self, width: usize) -> Row<'_> {
        self.push(width, Axis::Relation, Kind::Relations)
    }

    fn record(&self, step: Rc<dyn Step>, inputs: Vec<View>, width: usize) -> Row<'_> {
        let nodes = self.nodes.borrow();
        let axis = inputs.iter().map(|view| nodes[view.node].axis).max().unwrap_or(Axis::One);
        drop(nodes);
        self.push(width, axis, Kind::Computed { step, inputs })
    }
}

impl<'g> Row<'g> {
    /// Floats in the row.
    pub fn width(self) -> usize {
        self.view.width
    }

    /// Columns `start..start + width`.
    ///
    /// # Panics
    /// If the row is shorter.
    #[must_use]
    pub fn part(self, start: usize, width: usize) -> Self {
        assert!(start + width <= self.view.width, "columns {start}..{} of a row", start + width);
        let view = View { node: self.view.node, offset: self.view.offset + start, width };
        Self { graph: self.graph, view }
    }

    /// Cut into `N` parts of one width.
    ///
    /// # Panics
    /// If the width is no multiple of `N`.
    #[must_use]
    pub fn parts<const N: usize>(self) -> [Self; N] {
        let width = self.width() / N;
        assert_eq!(width * N, self.width(), "a row that falls into {N} parts");
        std::array::from_fn(|part| self.part(part * width, width))
    }

    /// The shared tensor `index` of the layout, of `width` values, as one row that all rows share.
    #[must_use]
    pub fn shared(self, index: usize, width: usize) -> Self {
        self.graph.push(width, Axis::One, Kind::Shared(index))
    }

    /// The result of an operation of your own, a row of `width`, on these rows.
    ///
    /// # Panics
    /// If there is no input, or more than four.
    #[must_use]
    pub fn computed<O: Operation<N>, const N: usize>(
        operation: O,
        inputs: [Self; N],
        width: usize,
    ) -> Self {
        assert!((1..=run::INPUTS).contains(&N), "one to {} inputs", run::INPUTS);
        let views = inputs.iter().map(|row| row.view).collect();
        inputs[0].graph.record(Rc::new(PerRow(operation)), views, width)
    }
}
