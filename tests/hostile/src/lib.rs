//! A plugin that misbehaves on request: hyper-parameter `mode` says how.

use std::hint::black_box;

use kge_plugin_sdk::{
    export_model, linalg, Batch, Description, Direction, Gradients, HyperParameter,
    HyperParameters, Initialiser, Layout, Model, Scoring, SharedTensor, Similarity,
};

/// DistMult, or worse.
pub struct Hostile {
    dim: usize,
    mode: u32,
}

const LOOPS: u32 = 1;
const TRAPS: u32 = 2;
const HOARDS: u32 = 3;
const RECURSES: u32 = 4;
const NOT_A_NUMBER: u32 = 5;
const WRONG_GRADIENT: u32 = 6;
const WIDE: u32 = 7;
const LOOPS_IN_CONFIGURE: u32 = 8;
const ABSURD_PRODUCT: u32 = 9;
const PRODUCTS_FOREVER: u32 = 10;
const WRONG_FACTOR: u32 = 11;
const SHORT_ANSWER: u32 = 12;
const LONG_GRADIENT: u32 = 13;
const INFINITE_GRADIENT: u32 = 14;
const NO_WIDTH: u32 = 15;
const OVERFLOWING_TENSOR: u32 = 16;
const TWICE_THE_DIRECTION: u32 = 17;
const NAN_INITIALISER: u32 = 18;
const QUERY_WIDTH: u32 = 19;
const LAST: u32 = 19;

impl Model for Hostile {
    fn describe() -> Description {
        Description::new("hostile", "0.1.0", "misbehaves on request").with(HyperParameter::integer(
            "mode",
            "how to misbehave",
            [0, LAST],
            WRONG_GRADIENT,
        ))
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let mode = hyper_parameters.get("mode").map_or(0, |&mode| mode as u32);
        if mode == LOOPS_IN_CONFIGURE {
            spin();
        }
        Ok(Self { dim, mode })
    }

    fn layout(&self) -> Layout {
        let honest = Layout::of_width(Similarity::Dot, self.dim);
        match self.mode {
            WIDE => Layout { entity_width: u32::MAX as usize, ..honest },
            NO_WIDTH => Layout { relation_width: 0, ..honest },
            QUERY_WIDTH => Layout { query_width: self.dim + 1, ..honest },
            TWICE_THE_DIRECTION => Layout { directions: vec![Direction::Tail; 2], ..honest },
            NAN_INITIALISER => {
                Layout { entity_initialiser: Initialiser::Normal(f32::NAN), ..honest }
            }
            OVERFLOWING_TENSOR => {
                let (name, shape) = ("core", vec![u32::MAX as usize; 8]);
                let shared = vec![SharedTensor { name, shape, initialiser: Initialiser::Zeros }];
                Layout { shared, ..honest }
            }
            _ => honest,
        }
    }
}

impl Scoring for Hostile {
    const PROJECTS_CANDIDATES: bool = false;

    fn queries(&self, _: &Layout, batch: &Batch<'_>) -> Vec<f32> {
        let relations = batch.relations.chunks_exact(self.dim);
        let relations: Vec<_> = relations.collect();
        let anchors = batch.entities.chunks_exact(self.dim).zip(batch.relation_of);
        let product = |(anchor, &of): (&[f32], &u32)| -> Vec<f32> {
            anchor.iter().zip(relations[of as usize]).map(|(a, r)| a * r).collect()
        };
        let mut queries: Vec<f32> = anchors.flat_map(product).collect();
        match self.mode {
            LOOPS => spin(),
            TRAPS => panic!("on request"),
            HOARDS => hoard(),
            RECURSES => queries[0] = recurse(queries[0]),
            NOT_A_NUMBER => queries[0] = f32::NAN,
            ABSURD_PRODUCT => {
                let extent = u32::MAX as usize;
                queries = linalg::product(&[], &[], [extent, 0, extent], [false; 2]);
            }
            PRODUCTS_FOREVER => {
                let square = vec![1.0; 1 << 18];
                loop {
                    black_box(linalg::product(&square, &square, [1 << 9; 3], [false; 2]));
                }
            }
            WRONG_FACTOR => queries = linalg::product(&[1.0], &[1.0], [1, 2, 1], [false; 2]),
            SHORT_ANSWER => queries.truncate(1),
            _ => {}
        }
        queries
    }

    fn queries_vjp(&self, _: &Layout, batch: &Batch<'_>, d_queries: &[f32]) -> Gradients {
        let factor = if self.mode == WRONG_GRADIENT { 1.1 } else { 1.0 };
        let mut entities = vec![0.0; batch.entities.len()];
        let mut relations = vec![0.0; batch.relations.len()];
        for (at, d_query) in d_queries.iter().enumerate() {
            let of = batch.relation_of[at / self.dim] as usize * self.dim + at % self.dim;
            entities[at] = factor * d_query * batch.relations[of];
            relations[of] += d_query * batch.entities[at];
        }
        match self.mode {
            LONG_GRADIENT => entities.push(0.0),
            INFINITE_GRADIENT => relations[0] = f32::INFINITY,
            _ => {}
        }
        Gradients { entities, relations, shared: Vec::new() }
    }

    fn candidates(&self, _: &Layout, batch: &Batch<'_>) -> Vec<f32> {
        batch.entities.to_vec()
    }

    fn candidates_vjp(&self, _: &Layout, _: &Batch<'_>, _: &[f32]) -> Gradients {
        Gradients::default()
    }
}

fn spin() {
    let mut turns = 0_u64;
    while black_box(turns) != u64::MAX {
        turns += 1;
    }
}

fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 16 << 20]));
    }
}

#[allow(unconditional_recursion)]
fn recurse(value: f32) -> f32 {
    black_box(recurse(black_box(value) + 1.0)) + 1.0
}

export_model!(@component Hostile, model);
