//! A recorded graph, run over a batch: forwards, and in reverse.

use std::mem::take;
use std::ops::Range;

use super::operation::{Index, Rows, RowsMut};
use super::{Axis, Graph, Kind, Node, Row, View};
use crate::{Batch, Direction, Gradients, Layout};

/// Floats of the widest node in one chunk: a handful of nodes stay in the cache.
const CHUNK: usize = 1 << 12;
/// The same for matrix products, which want many rows at a time: 16 MiB.
const PRODUCT_CHUNK: usize = 1 << 22;
/// The most inputs of an operation.
pub(super) const INPUTS: usize = 4;

/// The values of `output`, one row for each row of the batch.
pub(crate) fn forward(
    graph: &Graph,
    output: Row<'_>,
    layout: &Layout,
    batch: &Batch<'_>,
) -> Vec<f32> {
    let nodes = graph.nodes.borrow();
    let output = output.view;
    let needed = reachable(&nodes, output);
    let mut run = Run::new(&nodes, layout, batch, needed);
    run.forward(Axis::One, 0..1);
    run.forward(Axis::Relation, 0..run.relations());
    let mut rows = vec![0.0; batch.relation_of.len() * output.width];
    for chunk in run.chunks() {
        run.forward(Axis::Batch, chunk.clone());
        let from = run.inputs.rows(&run.values, output, Axis::Batch, &chunk);
        let to = rows[chunk.start * output.width..].chunks_exact_mut(output.width.max(1));
        for (row, to) in (0..chunk.len()).zip(to) {
            to.copy_from_slice(from.row(row));
        }
    }
    rows
}

/// The gradients of the sum of `output * d_output` by everything the batch is made of.
pub(crate) fn reverse(
    graph: &Graph,
    output: Row<'_>,
    layout: &Layout,
    batch: &Batch<'_>,
    d_output: &[f32],
) -> Gradients {
    let nodes = graph.nodes.borrow();
    let output = output.view;
    let reachable = reachable(&nodes, output);
    let needed = read_backwards(&nodes, &reachable);
    let mut run = Run::new(&nodes, layout, batch, needed);
    run.gradients = nodes.iter().map(|node| vec![0.0; run.inputs.length(node)]).collect();
    run.forward(Axis::One, 0..1);
    run.forward(Axis::Relation, 0..run.relations());
    for chunk in run.chunks() {
        run.forward(Axis::Batch, chunk.clone());
        run.seed(output, &chunk, d_output);
        run.backward(Axis::Batch, chunk, &reachable);
    }
    run.backward(Axis::Relation, 0..run.relations(), &reachable);
    run.backward(Axis::One, 0..1, &reachable);
    run.collect()
}

/// Which nodes `output` is made of.
fn reachable(nodes: &[Node], output: View) -> Vec<bool> {
    let mut reached = vec![false; nodes.len()];
    reached[output.node] = true;
    close(nodes, reached)
}

/// Adds whatever the marked nodes are made of.
fn close(nodes: &[Node], mut marked: Vec<bool>) -> Vec<bool> {
    for (at, node) in nodes.iter().enumerate().rev() {
        if let (true, Kind::Computed { inputs, .. }) = (marked[at], &node.kind) {
            inputs.iter().for_each(|input| marked[input.node] = true);
        }
    }
    marked
}

/// Which values the backward pass reads, and what those are made of.
fn read_backwards(nodes: &[Node], reachable: &[bool]) -> Vec<bool> {
    let mut read = vec![false; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if let (true, Kind::Computed { step, inputs }) = (reachable[at], &node.kind) {
            let (reads_inputs, reads_result) = step.reads();
            read[at] |= reads_result;
            if reads_inputs {
                inputs.iter().for_each(|input| read[input.node] = true);
            }
        }
    }
    close(nodes, read)
}

struct Run<'a> {
    inputs: Inputs<'a>,
    /// Whose values are computed.
    needed: Vec<bool>,
    /// Values of computed nodes; those of the batch's axis hold one chunk.
    values: Vec<Vec<f32>>,
    /// Gradients of all nodes, inputs' in full.
    gradients: Vec<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    nodes: &'a [Node],
    layout: &'a Layout,
    batch: &'a Batch<'a>,
}

impl<'a> Inputs<'a> {
    /// The rows that a loop over `chunk` of `axis` reads of a view.
    fn rows<'b>(
        &self,
        values: &'b [Vec<f32>],
        view: View,
        axis: Axis,
        chunk: &Range<usize>,
    ) -> Rows<'b>
    where
        'a: 'b,
    {
        let node = &self.nodes[view.node];
        let values = match node.kind {
            Kind::Entities { tails } => {
                let first = if tails { self.batch.relation_of.len() } else { 0 };
                &self.batch.entities[(first + chunk.start) * node.width..]
            }
            Kind::Relations => self.batch.relations,
            Kind::Shared(tensor) => &self.batch.shared[tensor][..],
            Kind::Computed { .. } => &values[view.node][..],
        };
        let View { offset, width, .. } = view;
        Rows { values, index: self.index(node, axis, chunk), stride: node.width, offset, width }
    }

    fn rows_mut<'b>(
        &self,
        gradient: &'b mut [f32],
        view: View,
        axis: Axis,
        chunk: &Range<usize>,
    ) -> RowsMut<'b>
    where
        'a: 'b,
    {
        let node = &self.nodes[view.node];
        let values = match node.kind {
            Kind::Entities { .. } => &mut gradient[chunk.start * node.width..],
            _ => gradient,
        };
        let View { offset, width, .. } = view;
        RowsMut { values, index: self.index(node, axis, chunk), stride: node.width, offset, width }
    }

    fn index(&self, node: &Node, axis: Axis, chunk: &Range<usize>) -> Index<'a> {
        match (node.axis, axis) {
            (Axis::One, _) => Index::One,
            (Axis::Relation, Axis::Batch) => Index::Of(&self.batch.relation_of[chunk.clone()]),
            _ => Index::Each,
        }
    }

    /// Floats of a node's gradient; what lives a chunk long is made by the chunk.
    fn length(&self, node: &Node) -> usize {
        match (&node.kind, node.axis) {
            (Kind::Entities { .. }, _) => self.batch.relation_of.len() * node.width,
            (_, Axis::One) => node.width,
            (_, Axis::Relation) => self.relations() * node.width,
            (Kind::Computed { .. }, Axis::Batch) => 0,
            (_, Axis::Batch) => unreachable!("the entities are the only input of the batch's axis"),
        }
    }

    fn relations(&self) -> usize {
        self.batch.relations.len() / self.layout.relation_width
    }
}

impl<'a> Run<'a> {
    fn new(nodes: &'a [Node], layout: &'a Layout, batch: &'a Batch<'a>, needed: Vec<bool>) -> Self {
        let inputs = Inputs { nodes, layout, batch };
        Self { inputs, needed, values: vec![Vec::new(); nodes.len()], gradients: Vec::new() }
    }

    fn relations(&self) -> usize {
        self.inputs.relations()
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.inputs.batch.relation_of.len();
        let of_batch = self.inputs.nodes.iter().filter(|node| node.axis == Axis::Batch);
        let wants_many = |node: &Node| match &node.kind {
            Kind::Computed { step, .. } => step.wants_many(),
            _ => false,
        };
        let floats = if of_batch.clone().any(wants_many) { PRODUCT_CHUNK } else { CHUNK };
        let widest = of_batch.map(|node| node.width).max().unwrap_or(1);
        let chunk = (floats / widest.max(1)).max(1);
        (0..rows).step_by(chunk).map(move |start| start..rows.min(start + chunk))
    }

    fn forward(&mut self, axis: Axis, chunk: Range<usize>) {
        let all = self.inputs.nodes;
        for (at, node) in all.iter().enumerate() {
            let Kind::Computed { step, inputs } = &node.kind else { continue };
            if node.axis != axis || !self.needed[at] {
                continue;
            }
            let mut result = take(&mut self.values[at]);
            result.resize(chunk.len() * node.width, 0.0);
            let rows = self.operands(inputs, axis, &chunk);
            step.forward(&rows[..inputs.len()], chunk.len(), &mut result);
            self.values[at] = result;
        }
    }

    /// Gradients of the chunk: that of the output, and zeros for what it is made of.
    fn seed(&mut self, output: View, chunk: &Range<usize>, d_output: &[f32]) {
        let d_output = &d_output[chunk.start * output.width..chunk.end * output.width];
        let is_of_chunk =
            |node: &Node| node.axis == Axis::Batch && matches!(node.kind, Kind::Computed { .. });
        let whole = &self.inputs.nodes[output.node];
        let is_whole = is_of_chunk(whole) && whole.width == output.width;
        for (at, node) in self.inputs.nodes.iter().enumerate() {
            if is_of_chunk(node) && !(is_whole && at == output.node) {
                self.gradients[at].clear();
                self.gradients[at].resize(chunk.len() * node.width, 0.0);
            }
        }
        let mut gradient = take(&mut self.gradients[output.node]);
        if is_whole {
            gradient.clear();
            gradient.extend_from_slice(d_output);
        } else {
            let mut seed = self.inputs.rows_mut(&mut gradient, output, Axis::Batch, chunk);
            let rows = d_output.chunks_exact(output.width.max(1));
            for (row, from) in (0..chunk.len()).zip(rows) {
                seed.row(row).iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
        self.gradients[output.node] = gradient;
    }

    fn backward(&mut self, axis: Axis, chunk: Range<usize>, reachable: &[bool]) {
        let all = self.inputs.nodes;
        for (at, node) in all.iter().enumerate().rev() {
            let Kind::Computed { step, inputs } = &node.kind else { continue };
            if node.axis != axis || !reachable[at] {
                continue;
            }
            let d_result = take(&mut self.gradients[at]);
            for (which, &input) in inputs.iter().enumerate() {
                let mut gradient = take(&mut self.gradients[input.node]);
                let mut d_input = self.inputs.rows_mut(&mut gradient, input, axis, &chunk);
                let rows = self.operands(inputs, axis, &chunk);
                let (rows, result) = (&rows[..inputs.len()], &self.values[at]);
                step.backward(which, rows, chunk.len(), result, &d_result, &mut d_input);
                self.gradients[input.node] = gradient;
            }
            self.gradients[at] = d_result;
        }
    }

    fn operands(&self, views: &[View], axis: Axis, chunk: &Range<usize>) -> [Rows<'_>; INPUTS] {
        let mut rows = [Rows::NONE; INPUTS];
        for (row, &view) in rows.iter_mut().zip(views) {
            *row = self.inputs.rows(&self.values, view, axis, chunk);
        }
        rows
    }

    /// The inputs' gradients in the order of the batch's lists.
    fn collect(self) -> Gradients {
        let Inputs { nodes, batch, .. } = self.inputs;
        let shared = batch.shared.iter().map(|_| Vec::new()).collect();
        let mut all = Gradients { shared, ..Gradients::default() };
        let add = |sum: &mut Vec<f32>, gradient: Vec<f32>| match sum.is_empty() {
            true => *sum = gradient,
            false => sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value),
        };
        let mut tails = Vec::new();
        for (node, gradient) in nodes.iter().zip(self.gradients) {
            match node.kind {
                Kind::Entities { tails: false } => add(&mut all.entities, gradient),
                Kind::Entities { tails: true } => add(&mut tails, gradient),
                Kind::Relations => add(&mut all.relations, gradient),
                Kind::Shared(tensor) => add(&mut all.shared[tensor], gradient),
                Kind::Computed { .. } => {}
            }
        }
        if batch.direction == Direction::Relation {
            all.entities.extend(tails);
        }
        // What the function did not touch.
        all.entities.resize(batch.entities.len(), 0.0);
        all.relations.resize(batch.relations.len(), 0.0);
        for (gradient, tensor) in all.shared.iter_mut().zip(batch.shared) {
            gradient.resize(tensor.len(), 0.0);
        }
        all
    }
}
