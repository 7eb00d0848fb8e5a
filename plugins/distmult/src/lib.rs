//! DistMult (Yang et al. 2015): `score(h, r, t) = sum_i h_i r_i t_i`.

use kge_plugin_sdk::{
    export_model, Citation, Description, Direction, HyperParameters, Layout, Model, Similarity,
};

/// The model; both directions are one, for the product commutes.
pub struct DistMult {
    dim: usize,
}

impl Model for DistMult {
    fn describe() -> Description {
        Description {
            citation: Some(Citation {
                title:
                    "Embedding Entities and Relations for Learning and Inference in Knowledge Bases",
                authors: "Bishan Yang, Wen-tau Yih, Xiaodong He, Jianfeng Gao, Li Deng",
                year: 2015,
                identifier: "arXiv:1412.6575",
            }),
            ..Description::new(
                "distmult",
                env!("CARGO_PKG_VERSION"),
                "A relation weighs the product of head and tail; symmetric",
            )
        }
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout::of_width(Similarity::Dot, self.dim)
    }

    fn query(&self, _: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]) {
        for ((q, a), r) in query.iter_mut().zip(anchor).zip(relation) {
            *q = a * r;
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
        for (((d_a, d_q), r), (d_r, a)) in
            d_anchor.iter_mut().zip(d_query).zip(relation).zip(d_relation.iter_mut().zip(anchor))
        {
            *d_a = d_q * r;
            *d_r += d_q * a;
        }
    }
}

export_model!(DistMult);
