//! SimplE (Kazemi and Poole 2018):
//! `score(h, r, t) = 1/2 (sum_i u_i(h) r_i v_i(t) + sum_i u_i(t) r'_i v_i(h))`.
//!
//! An entity row is its row `u` as a head, then its row `v` as a tail; a relation row is `r`, then
//! its inverse `r'`. The tail query is `1/2 (v(h) r', u(h) r)`, the head query `1/2 (r v(t), r' u(t))`,
//! the relation query `1/2 (u(h) v(t), u(t) v(h))`.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

/// The model.
pub struct SimplE {
    dim: usize,
}

impl Model for SimplE {
    fn describe() -> Description {
        Description::new(
            "simple",
            env!("CARGO_PKG_VERSION"),
            "CP that learns a relation and its inverse together",
        )
        .cite(
            "SimplE Embedding for Link Prediction in Knowledge Graphs",
            "Seyed Mehran Kazemi, David Poole",
            2018,
            "arXiv:1802.04868",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        let directions = vec![Direction::Tail, Direction::Head, Direction::Relation];
        Layout { directions, ..Layout::of_width(Similarity::Dot, 2 * self.dim) }
    }
}

impl Forward for SimplE {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [as_head, as_tail] = anchor.parts();
        let [forth, back] = relation.parts();
        let query = match direction {
            Direction::Tail => [as_tail * back, as_head * forth],
            _ => [forth * as_tail, back * as_head],
        };
        Row::concat(query).scale(0.5)
    }

    fn relation_query<'g>(&self, head: Row<'g>, tail: Row<'g>) -> Row<'g> {
        let ([head_u, head_v], [tail_u, tail_v]) = (head.parts(), tail.parts());
        Row::concat([head_u * tail_v, tail_u * head_v]).scale(0.5)
    }
}

export_model!(SimplE);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn every_direction_gives_the_papers_score() {
        let model = SimplE::configure(1, &HyperParameters::new()).unwrap();
        // (2 * 5 * 13 + 11 * 7 * 3) / 2
        let rows = [&[2.0, 3.0][..], &[5.0, 7.0], &[11.0, 13.0]];
        for direction in model.layout().directions {
            assert_eq!(score(&model, direction, rows, &[]), 180.5);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&SimplE::configure(5, &HyperParameters::new()).unwrap());
    }
}
