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
            initial::rows(pool, algorithm.seed, purpose, shape, initialiser, constraint)
        };
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
            shared: Vec::new(),
            entity_width: layout.entity_width,
            relation_width: layout.relation_width,
        };
        let floats = state_floats(algorithm.optimiser);
        Self {
            entity_state: vec![0.0; embeddings.entities.len() * floats],
            relation_state: vec![0.0; embeddings.relations.len() * floats],
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
        let state_width = width * state_floats(mover.optimiser);
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

    /// Moves the relation rows of a batch by what the scoring model gave back and the penalty.
    pub(crate) fn move_relations(
        &mut self,
        pool: &Pool,
        mover: Mover,
        layout: &Layout,
        penalty: Penalty,
        rows: &QueryRows<'_>,
        queries: &[Query],
    ) {
        self.places.clear();
        self.relations.clear();
        let mut uses = vec![0_u32; self.embeddings.relation_rows()];
        queries.iter().for_each(|query| uses[query.relation as usize] += 1);
        for (relation, chunk, place) in rows.relations() {
            self.relations.push(relation, self.places.len() as u32);
            self.places.push((chunk, place));
        }
        self.relations.group();
        let width = self.embeddings.relation_width;
        let mover = Mover { constraint: layout.relation_constraint, ..mover };
        let (relations, places) = (&self.relations, &self.places);
        pool.rows(
            relations.rows(),
            (&mut self.embeddings.relations, width),
            (&mut self.relation_state, width * state_floats(mover.optimiser)),
            |index, row, state, _| {
                with_scratch(width, |gradient| {
                    for source in relations.sources(index) {
                        let (chunk, place) = places[source];
                        kge_kernels::row::add(gradient, rows.relation_gradient(chunk, place));
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

fn state_floats(optimiser: Optimiser) -> usize {
    match optimiser {
        Optimiser::Adagrad { .. } => 1,
        Optimiser::Adam { .. } => 2,
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
