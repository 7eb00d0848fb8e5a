//! CP (Hitchcock 1927; Lacroix et al. 2018): `score(h, r, t) = sum_i u_i(h) r_i v_i(t)`.
//!
//! The canonical polyadic decomposition of the graph's tensor. An entity row is its row `u` as a
//! head, then its row `v` as a tail. A query lies in the half of the entities it is compared with:
//! `(0, u(h) r)` for tails, `(r v(t), 0)` for heads.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

/// The model.
pub struct Cp {
    dim: usize,
}

impl Model for Cp {
    fn describe() -> Description {
        Description::new(
            "cp",
            env!("CARGO_PKG_VERSION"),
            "The canonical decomposition: entities have one row as heads, one as tails",
        )
        .cite(
            "Canonical Tensor Decomposition for Knowledge Base Completion",
            "Timothée Lacroix, Nicolas Usunier, Guillaume Obozinski",
            2018,
            "arXiv:1806.07297",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout::of_widths(Similarity::Dot, 2 * self.dim, self.dim)
    }
}

impl Forward for Cp {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [as_head, as_tail] = anchor.parts();
        match direction {
            Direction::Tail => Row::concat([relation.zeros(), as_head * relation]),
            _ => Row::concat([relation * as_tail, relation.zeros()]),
        }
    }
}

export_model!(Cp);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        let model = Cp::configure(2, &HyperParameters::new()).unwrap();
        // 1 * 3 * 13 + 2 * -5 * 17
        let rows = [&[1.0, 2.0, 90.0, 91.0][..], &[3.0, -5.0], &[92.0, 93.0, 13.0, 17.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model, direction, rows, &[]), -131.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&Cp::configure(5, &HyperParameters::new()).unwrap());
    }
}
