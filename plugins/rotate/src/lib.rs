//! RotatE (Sun et al. 2019): `score(h, r, t) = -sum_i |h_i e^(i r_i) - t_i|`.
//!
//! A relation turns each complex component of the head by a phase. The tail query is `h e^(i r)`; a
//! turn keeps moduli, so the head query is `t e^(-i r)`.

use kge_plugin_sdk::{
    export_model, Constraint, Description, Direction, Forward, HyperParameters, Initialiser,
    Layout, Model, Row, Similarity,
};

/// The model.
pub struct RotatE {
    dim: usize,
}

impl Model for RotatE {
    fn describe() -> Description {
        Description::new(
            "rotate",
            env!("CARGO_PKG_VERSION"),
            "A relation turns complex entities by phases; composes, inverts",
        )
        .cite(
            "RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space",
            "Zhiqing Sun, Zhi-Hong Deng, Jian-Yun Nie, Jian Tang",
            2019,
            "arXiv:1902.10197",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        let pi = std::f32::consts::PI;
        Layout {
            complex: false,
            relation_initialiser: Initialiser::Uniform(-pi, pi),
            relation_constraint: Constraint::Phase,
            ..Layout::of_widths(Similarity::Modulus, 2 * self.dim, self.dim)
        }
    }
}

impl Forward for RotatE {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        match direction {
            Direction::Tail => anchor.times_complex(relation.phasors()),
            _ => anchor.times_conjugate(relation.phasors()),
        }
    }
}

export_model!(RotatE);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn a_quarter_turn_makes_one_of_i() {
        let model = RotatE::configure(1, &HyperParameters::new()).unwrap();
        // 3 + i, turned, is -1 + 3 i; that is 5 away from 2 + 7 i.
        let rows = [&[3.0, 1.0][..], &[std::f32::consts::FRAC_PI_2], &[2.0, 7.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert!((score(&model, direction, rows, &[]) + 5.0).abs() < 1e-5);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&RotatE::configure(5, &HyperParameters::new()).unwrap());
    }
}
