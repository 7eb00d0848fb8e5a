//! TransE (Bordes et al. 2013): `score(h, r, t) = -|h + r - t|`, in L1 or L2.
//!
//! The tail query is `h + r`, the head query `t - r`. Entities have Euclidean length 1 after each
//! step, as in the paper.

use kge_plugin_sdk::{
    export_model, ByHand, Citation, Constraint, Description, Direction, HyperParameter,
    HyperParameterKind, HyperParameters, Initialiser, Layout, Model, Similarity,
};

/// The model.
pub struct TransE {
    dim: usize,
    similarity: Similarity,
    constraint: Constraint,
}

impl Model for TransE {
    fn describe() -> Description {
        Description {
            citation: Some(Citation {
                title: "Translating Embeddings for Modeling Multi-relational Data",
                authors: "Antoine Bordes, Nicolas Usunier, Alberto Garcia-Durán, Jason Weston, Oksana Yakhnenko",
                year: 2013,
                identifier: "",
            }),
            hyper_parameters: vec![
                HyperParameter {
                    name: "norm",
                    summary: "1 for sums of differences, 2 for the Euclidean distance",
                    kind: HyperParameterKind::Integer,
                    minimum: 1.0,
                    maximum: 2.0,
                    default: 1.0,
                },
                HyperParameter {
                    name: "unit-norm",
                    summary: "whether entities keep the Euclidean length 1",
                    kind: HyperParameterKind::Boolean,
                    minimum: 0.0,
                    maximum: 1.0,
                    default: 1.0,
                },
            ],
            ..Description::new(
                "transe",
                env!("CARGO_PKG_VERSION"),
                "A relation is a translation from head to tail",
            )
        }
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let is = |name: &str, value| hyper_parameters.get(name) == Some(&value);
        Ok(Self {
            dim,
            similarity: if is("norm", 2.0) { Similarity::L2 } else { Similarity::L1 },
            constraint: if is("unit-norm", 0.0) { Constraint::None } else { Constraint::UnitNorm },
        })
    }

    fn layout(&self) -> Layout {
        let bound = 6.0 / (self.dim as f32).sqrt();
        Layout {
            entity_initialiser: Initialiser::Uniform(-bound, bound),
            relation_initialiser: Initialiser::Uniform(-bound, bound),
            entity_constraint: self.constraint,
            ..Layout::of_width(self.similarity, self.dim)
        }
    }
}

impl ByHand for TransE {
    fn query(&self, direction: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]) {
        let sign = sign(direction);
        for ((q, a), r) in query.iter_mut().zip(anchor).zip(relation) {
            *q = a + sign * r;
        }
    }

    fn query_vjp(
        &self,
        direction: Direction,
        _: &[f32],
        _: &[f32],
        d_query: &[f32],
        d_anchor: &mut [f32],
        d_relation: &mut [f32],
    ) {
        let sign = sign(direction);
        d_anchor.copy_from_slice(d_query);
        for (d_r, d_q) in d_relation.iter_mut().zip(d_query) {
            *d_r += sign * d_q;
        }
    }
}

/// Which way the translation goes.
fn sign(direction: Direction) -> f32 {
    match direction {
        Direction::Tail => 1.0,
        _ => -1.0,
    }
}

export_model!(TransE, by hand);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        // -|1 + 3 + 7| - |2 - 5 - 11|
        let rows = [&[1.0, 2.0][..], &[3.0, -5.0], &[-7.0, 11.0]];
        let model = TransE::configure(2, &HyperParameters::new()).unwrap();
        for direction in model.layout().directions {
            assert_eq!(score(&model, direction, rows, &[]), -25.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&TransE::configure(5, &HyperParameters::new()).unwrap());
    }
}
