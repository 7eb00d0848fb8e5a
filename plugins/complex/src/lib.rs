//! ComplEx (Trouillon et al. 2016): `score(h, r, t) = Re(sum_i h_i r_i conj(t_i))`.
//!
//! Rows are a real half, then an imaginary half. The real part of `x conj(t)` is the dot product
//! of the halves, so the tail query is the complex product `h r`, and the head query is
//! `t conj(r)`.

use kge_plugin_sdk::{
    export_model, ByHand, Citation, Description, Direction, HyperParameters, Layout, Model,
    Similarity,
};

/// The model.
pub struct ComplEx {
    dim: usize,
}

impl Model for ComplEx {
    fn describe() -> Description {
        Description {
            citation: Some(Citation {
                title: "Complex Embeddings for Simple Link Prediction",
                authors: "Théo Trouillon, Johannes Welbl, Sebastian Riedel, Éric Gaussier, Guillaume Bouchard",
                year: 2016,
                identifier: "arXiv:1606.06357",
            }),
            ..Description::new(
                "complex",
                env!("CARGO_PKG_VERSION"),
                "Complex rows: symmetric and antisymmetric relations alike",
            )
        }
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout { complex: true, ..Layout::of_width(Similarity::Dot, 2 * self.dim) }
    }
}

impl ByHand for ComplEx {
    fn query(&self, direction: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]) {
        let sign = sign(direction);
        let (q_re, q_im) = query.split_at_mut(self.dim);
        let ((a_re, a_im), (r_re, r_im)) = (anchor.split_at(self.dim), relation.split_at(self.dim));
        let rows = q_re.iter_mut().zip(q_im).zip(a_re.iter().zip(a_im)).zip(r_re.iter().zip(r_im));
        for (((q_re, q_im), (a_re, a_im)), (r_re, r_im)) in rows {
            let r_im = sign * r_im;
            *q_re = a_re * r_re - a_im * r_im;
            *q_im = a_re * r_im + a_im * r_re;
        }
    }

    fn query_vjp(
        &self,
        direction: Direction,
        anchor: &[f32],
        relation: &[f32],
        d_query: &[f32],
        d_anchor: &mut [f32],
        d_relation: &mut [f32],
    ) {
        let (sign, dim) = (sign(direction), self.dim);
        let ((a_re, a_im), (r_re, r_im)) = (anchor.split_at(dim), relation.split_at(dim));
        let ((q_re, q_im), (d_a_re, d_a_im)) = (d_query.split_at(dim), d_anchor.split_at_mut(dim));
        let (d_r_re, d_r_im) = d_relation.split_at_mut(dim);
        for i in 0..dim {
            let r_im = sign * r_im[i];
            d_a_re[i] = q_re[i] * r_re[i] + q_im[i] * r_im;
            d_a_im[i] = q_im[i] * r_re[i] - q_re[i] * r_im;
            d_r_re[i] += q_re[i] * a_re[i] + q_im[i] * a_im[i];
            d_r_im[i] += sign * (q_im[i] * a_re[i] - q_re[i] * a_im[i]);
        }
    }
}

/// The sign of the relation's imaginary half: conjugated for heads.
fn sign(direction: Direction) -> f32 {
    match direction {
        Direction::Tail => 1.0,
        _ => -1.0,
    }
}

export_model!(ComplEx, by hand);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        // (1 + 2i)(3 - 5i) = 13 + i; its product with conj(-7 + 11i) has the real part -91 + 11
        let rows = [&[1.0, 2.0][..], &[3.0, -5.0], &[-7.0, 11.0]];
        let model = ComplEx::configure(1, &HyperParameters::new()).unwrap();
        for direction in model.layout().directions {
            assert_eq!(score(&model, direction, rows, &[]), -80.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&ComplEx::configure(5, &HyperParameters::new()).unwrap());
    }
}
