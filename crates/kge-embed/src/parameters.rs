//! The rows being trained and the optimiser's state beside them.

use kge_kernels::{
    Pool,
    optimise::{self, AdamCorrection},
};
use kge_model::{Constraint, Embeddings, Layout};

use crate::{
    Algorithm, Optimiser, Regulariser,
    contributions::Contributions,
    initial,
    queries::{Query, QueryRows},
    random::Purpose,
};

/// Rows and optimiser state.
pub(crate) struct Parameters {
    pub(crate) embeddings: Embeddings,
    entity_state: Vec<f32>,
    relation_state: Vec<f32>,
    bias_state: Vec<f32>,
    shared_state: Vec<Vec<f32>>,
    steps: u64,
    relations: Contributions,
    places: Vec<(usize, usize)>,
}

/// How one row is moved.
#[derive(Clone, Copy)]
pub(crate) struct Mover {
    optimiser: Optimiser,
    correction: AdamCorrection,
    constraint: Constraint,
}

impl Mover {
    pub(crate) fn apply(&self, row: &mut [f32], gradient: &[f32], state: &mut [f32]) {
        match self.optimiser {
            Optimiser::Sgd { learning_rate } => optimise::sgd(row, gradient, learning_rate),
            Optimiser::RowAdagrad { learning_rate } => {
                optimise::row_adagrad(row, gradient, &mut state[0], learning_rate);
            }
            Optimiser::Adagrad { learning_rate } => {
                optimise::adagrad(row, gradient, state, learning_rate);
            }
            Optimiser::Adam { learning_rate } => {
                optimise::adam(row, gradient, state, learning_rate, self.correction);
            }
        }
        initial::restore(self.constraint, row);
    }
}

impl Parameters {
    /// Fresh rows for so many entities and relation rows.
    pub(crate) fn new(
        pool: &Pool,
        layout: &Layout,
        algorithm: &Algorithm,
        entities: usize,
        relation_rows: usize,
    ) -> Self {
        let rows = |purpose, shape, own, constraint| {
            let initialiser = algorithm.initialiser.unwrap_or(own);
            initial::rows(pool, algorithm.seed, (purpose, 0), shape, initialiser, constraint)
        };
        // An initialiser that is asked for is meant for rows: a network would not start from it.
        let shared = layout.shared.iter().zip(0..).map(|(tensor, table)| {
            let shape = (1, tensor.shape.iter().product());
            let purpose = (Purpose::SharedTensors, table);
            let (initialiser, constraint) = (tensor.initialiser, Constraint::None);
            initial::rows(pool, algorithm.seed, purpose, shape, initialiser, constraint)
        });
        let shared: Vec<_> = shared.collect();
        let embeddings = Embeddings {
            entities: rows(
                Purpose::EntityRows,
                (entities, layout.entity_width),
                layout.entity_initialiser,
                layout.entity_constraint,
            ),
            relations: rows(
                Purpose::RelationRows,
                (relation_rows, layout.relation_width),
                layout.relation_initialiser,
                layout.relation_constraint,
            ),
            biases: vec![0.0; if layout.bias { entities } else { 0 }],
            shared,
            entity_width: layout.entity_width,
            relation_width: layout.relation_width,
        };
        let state = |rows, width| vec![0.0; rows * state_width(algorithm.optimiser, width)];
        Self {
            shared_state: (embeddings.shared.iter()).map(|tensor| state(1, tensor.len())).collect(),
            entity_state: state(entities, layout.entity_width),
            bias_state: state(if layout.bias { entities } else { 0 }, 1),
            relation_state: state(relation_rows, layout.relation_width),
            embeddings,
            steps: 0,
            relations: Contributions::default(),
            places: Vec::new(),
        }
    }

    /// Begins a step: how entity rows move in it.
    pub(crate) fn begin_step(&mut self, algorithm: &Algorithm, layout: &Layout) -> Mover {
        self.steps += 1;
        Mover {
            optimiser: algorithm.optimiser,
            correction: AdamCorrection::after(self.steps),
            constraint: layout.entity_constraint,
        }
    }

    /// Moves every entity row by its gradient, `[entities, width]`.
    pub(crate) fn move_all_entities(&mut self, pool: &Pool, mover: Mover, gradients: &[f32]) {
        const BLOCK: usize = 64;
        let width = self.embeddings.entity_width;
        let state_width = state_width(mover.optimiser, width);
        let rows = (&mut self.embeddings.entities[..], width);
        pool.blocks(rows, (&mut self.entity_state, state_width), BLOCK, |block, rows, states| {
            let gradients = &gradients[block * BLOCK * width..][..rows.len()];
            let rows = rows.chunks_exact_mut(width).zip(gradients.chunks_exact(width));
            for (index, (row, gradient)) in rows.enumerate() {
                let state = &mut states[index * state_width..][..state_width];
                mover.apply(row, gradient, state);
            }
        });
    }

    /// Moves the entity rows `ids`; `gradient(index, row, out)` writes the gradient of the row
    /// `ids[index]` into `out`, which is zero before.
    pub(crate) fn move_entities(
        &mut self,
        pool: &Pool,
        mover: Mover,
        ids: &[u32],
        gradient: impl Fn(usize, &[f32], &mut [f32]) + Sync,
    ) {
        let width = self.embeddings.entity_width;
        let state_width = state_width(mover.optimiser, width);
        pool.rows(
            ids,
            (&mut self.embeddings.entities, width),
            (&mut self.entity_state, state_width),
            |index, row, state, _| {
                with_scratch(width, |scratch| {
                    gradient(index, row, scratch);
                    mover.apply(row, scratch, state);
                });
            },
        );
    }

    /// Moves the biases of the entities `ids`; `gradient(index)` is that of `ids[index]`. Nothing
    /// happens where the model has none.
    pub(crate) fn move_biases(
        &mut self,
        pool: &Pool,
        mover: Mover,
        ids: &[u32],
        gradient: impl Fn(usize) -> f32 + Sync,
    ) {
        if self.embeddings.biases.is_empty() {
            return;
        }
        let mover = Mover { constraint: Constraint::None, ..mover };
        let state_width = state_width(mover.optimiser, 1);
        pool.rows(
            ids,
            (&mut self.embeddings.biases, 1),
            (&mut self.bias_state, state_width),
            |index, bias, state, _| mover.apply(bias, &[gradient(index)], state),
        );
    }

    /// Moves the shared tensors by their gradients.
    pub(crate) fn move_shared(&mut self, mover: Mover, gradients: &[Vec<f32>]) {
        let mover = Mover { constraint: Constraint::None, ..mover };
        let tensors = self.embeddings.shared.iter_mut().zip(&mut self.shared_state);
        for ((tensor, state), gradient) in tensors.zip(gradients) {
            mover.apply(tensor, gradient, state);
        }
    }

    /// Moves the relation rows of a batch by what the scoring model gave back, for queries and for
    /// `projections`, and the penalty.
    pub(crate) fn move_relations(
        &mut self,
        pool: &Pool,
        mover: Mover,
        layout: &Layout,
        penalty: Penalty,
        (rows, queries): (&QueryRows<'_>, &[Query]),
        projections: &[(u32, &[f32])],
    ) {
        self.places.clear();
        self.relations.clear();
        let mut uses = vec![0_u32; self.embeddings.relation_rows()];
        queries.iter().for_each(|query| uses[query.relation as usize] += 1);
        for (relation, call, place) in rows.relations() {
            self.relations.push(relation, self.places.len() as u32);
            self.places.push((call, place));
        }
        for (index, &(relation, _)) in projections.iter().enumerate() {
            self.relations.push(relation, (self.places.len() + index) as u32);
        }
        self.relations.group();
        let width = self.embeddings.relation_width;
        let mover = Mover { constraint: layout.relation_constraint, ..mover };
        let (relations, places) = (&self.relations, &self.places);
        pool.rows(
            relations.rows(),
            (&mut self.embeddings.relations, width),
            (&mut self.relation_state, state_width(mover.optimiser, width)),
            |index, row, state, _| {
                with_scratch(width, |gradient| {
                    for source in relations.sources(index) {
                        let own = match places.get(source) {
                            Some(&(call, place)) => rows.relation_gradient(call, place),
                            None => projections[source - places.len()].1,
                        };
                        kge_kernels::row::add(gradient, own);
                    }
                    penalty.add(gradient, row, uses[relations.rows()[index] as usize]);
                    mover.apply(row, gradient, state);
                });
            },
        );
    }
}

/// The penalty on a row for each query it has part in.
#[derive(Clone, Copy)]
pub(crate) struct Penalty {
    regulariser: Option<Regulariser>,
    complex: bool,
    share: f32,
}

impl Penalty {
    /// `share` is one query's share of the loss.
    pub(crate) fn new(algorithm: &Algorithm, layout: &Layout, share: f32) -> Self {
        Self { regulariser: algorithm.regulariser, complex: layout.complex, share }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.regulariser.is_none()
    }

    /// Adds its gradient for a row that has part in so many queries.
    pub(crate) fn add(&self, gradient: &mut [f32], row: &[f32], queries: u32) {
        let times = self.share * queries as f32;
        match self.regulariser {
            _ if queries == 0 => {}
            None => {}
            Some(Regulariser::N3 { weight }) => {
                optimise::add_n3_gradient(gradient, row, weight * times, self.complex);
            }
            Some(Regulariser::L2 { weight }) => {
                optimise::add_l2_gradient(gradient, row, weight * times);
            }
        }
    }
}

/// Floats of optimiser state beside a row.
fn state_width(optimiser: Optimiser, width: usize) -> usize {
    match optimiser {
        Optimiser::Sgd { .. } => 0,
        Optimiser::RowAdagrad { .. } => 1,
        Optimiser::Adagrad { .. } => width,
        Optimiser::Adam { .. } => 2 * width,
    }
}

/// Lends a row of zeros that belongs to the thread.
fn with_scratch(width: usize, work: impl FnOnce(&mut [f32])) {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Vec<f32>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.resize(width, 0.0);
        work(scratch);
    });
}
