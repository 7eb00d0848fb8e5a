//! Three models with gradients derived and by hand, in one component, so that the two are
//! measured alike: hyper-parameter `model` says which (0 TransE, 1 DistMult, 2 ComplEx), `derived`
//! which way.

use kge_plugin_sdk::{
    by_hand, export_model, forward, Batch, ByHand, Description, Direction, Forward, Gradients,
    HyperParameter, HyperParameters, Layout, Model, Row, Scoring, Similarity,
};

/// One of the models, in one of the ways.
pub struct TwoWays {
    width: usize,
    model: u32,
    derived: bool,
}

const TRANSE: u32 = 0;
const DISTMULT: u32 = 1;

impl Model for TwoWays {
    fn describe() -> Description {
        Description::new("two-ways", "0.1.0", "gradients derived and by hand")
            .with(HyperParameter::integer("model", "TransE, DistMult, ComplEx", [0, 2], 0))
            .with(HyperParameter::boolean("derived", "whether gradients are derived", true))
    }

    fn configure(width: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let given = |name: &str| hyper_parameters.get(name).map_or(0, |&value| value as u32);
        if width % 2 == 1 {
            return Err("dim must be even: rows may be halves".into());
        }
        Ok(Self { width, model: given("model"), derived: given("derived") == 1 })
    }

    fn layout(&self) -> Layout {
        Layout {
            directions: vec![Direction::Tail],
            ..Layout::of_width(Similarity::Dot, self.width)
        }
    }
}

impl Forward for TwoWays {
    fn query<'g>(&self, _: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        match self.model {
            TRANSE => anchor + relation,
            DISTMULT => anchor * relation,
            _ => anchor.times_complex(relation),
        }
    }
}

impl ByHand for TwoWays {
    fn query(&self, _: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]) {
        let rows = query.iter_mut().zip(anchor).zip(relation);
        match self.model {
            TRANSE => rows.for_each(|((q, a), r)| *q = a + r),
            DISTMULT => rows.for_each(|((q, a), r)| *q = a * r),
            _ => {
                let half = self.width / 2;
                let ((a_re, a_im), (r_re, r_im)) = (anchor.split_at(half), relation.split_at(half));
                let (q_re, q_im) = query.split_at_mut(half);
                for i in 0..half {
                    q_re[i] = a_re[i] * r_re[i] - a_im[i] * r_im[i];
                    q_im[i] = a_re[i] * r_im[i] + a_im[i] * r_re[i];
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
        match self.model {
            TRANSE => {
                d_anchor.copy_from_slice(d_query);
                d_relation.iter_mut().zip(d_query).for_each(|(d_r, d_q)| *d_r += d_q);
            }
            DISTMULT => {
                let by_anchor = d_anchor.iter_mut().zip(relation);
                let by_relation = d_relation.iter_mut().zip(anchor);
                for (d_q, ((d_a, r), (d_r, a))) in d_query.iter().zip(by_anchor.zip(by_relation)) {
                    *d_a = d_q * r;
                    *d_r += d_q * a;
                }
            }
            _ => {
                let half = self.width / 2;
                let ((a_re, a_im), (r_re, r_im)) = (anchor.split_at(half), relation.split_at(half));
                let (q_re, q_im) = d_query.split_at(half);
                let (d_a_re, d_a_im) = d_anchor.split_at_mut(half);
                let (d_r_re, d_r_im) = d_relation.split_at_mut(half);
                for i in 0..half {
                    d_a_re[i] = q_re[i] * r_re[i] + q_im[i] * r_im[i];
                    d_a_im[i] = q_im[i] * r_re[i] - q_re[i] * r_im[i];
                    d_r_re[i] += q_re[i] * a_re[i] + q_im[i] * a_im[i];
                    d_r_im[i] += q_im[i] * a_re[i] - q_re[i] * a_im[i];
                }
            }
        }
    }
}

impl Scoring for TwoWays {
    const PROJECTS_CANDIDATES: bool = false;

    fn queries(&self, layout: &Layout, batch: &Batch<'_>) -> Vec<f32> {
        match self.derived {
            true => forward::queries(self, layout, batch),
            false => by_hand::queries(self, layout, batch),
        }
    }

    fn queries_vjp(&self, layout: &Layout, batch: &Batch<'_>, d_queries: &[f32]) -> Gradients {
        match self.derived {
            true => forward::queries_vjp(self, layout, batch, d_queries),
            false => by_hand::queries_vjp(self, layout, batch, d_queries),
        }
    }

    fn candidates(&self, layout: &Layout, batch: &Batch<'_>) -> Vec<f32> {
        forward::candidates(self, layout, batch)
    }

    fn candidates_vjp(&self, layout: &Layout, batch: &Batch<'_>, d_rows: &[f32]) -> Gradients {
        forward::candidates_vjp(self, layout, batch, d_rows)
    }
}

export_model!(@component TwoWays, model);
