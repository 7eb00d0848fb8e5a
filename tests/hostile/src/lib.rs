//! A plugin that misbehaves on request: hyper-parameter `mode` says how.

use std::hint::black_box;

use kge_plugin_sdk::{
    export_model, Description, Direction, HyperParameter, HyperParameterKind, HyperParameters,
    Layout, Model, Similarity,
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
const LIES: u32 = 7;
const LOOPS_IN_CONFIGURE: u32 = 8;

impl Model for Hostile {
    fn describe() -> Description {
        let mode = HyperParameter {
            name: "mode",
            summary: "how to misbehave",
            kind: HyperParameterKind::Integer,
            minimum: 0.0,
            maximum: 8.0,
            default: WRONG_GRADIENT.into(),
        };
        Description {
            hyper_parameters: vec![mode],
            ..Description::new("hostile", "0.1.0", "misbehaves on request")
        }
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let mode = hyper_parameters.get("mode").map_or(0, |&mode| mode as u32);
        if mode == LOOPS_IN_CONFIGURE {
            spin();
        }
        Ok(Self { dim, mode })
    }

    fn layout(&self) -> Layout {
        let width = if self.mode == LIES { u32::MAX as usize } else { self.dim };
        Layout::of_width(Similarity::Dot, width)
    }

    fn query(&self, _: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]) {
        match self.mode {
            LOOPS => spin(),
            TRAPS => panic!("on request"),
            HOARDS => hoard(),
            RECURSES => query[0] = recurse(query[0]),
            NOT_A_NUMBER => query[0] = f32::NAN,
            _ => {
                for ((q, a), r) in query.iter_mut().zip(anchor).zip(relation) {
                    *q = a * r;
                }
            }
        }
    }

    fn query_vjp(
        &self,
        _: Direction,
        anchor: &[f32],
        relation: &[f32],
        d_query: &[f32],
        d_anchor: &mut [f32],
        d_relation: &mut [f32],
    ) {
        let factor = if self.mode == WRONG_GRADIENT { 1.1 } else { 1.0 };
        for (i, d_q) in d_query.iter().enumerate() {
            d_anchor[i] = factor * d_q * relation[i];
            d_relation[i] += d_q * anchor[i];
        }
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

export_model!(Hostile);
