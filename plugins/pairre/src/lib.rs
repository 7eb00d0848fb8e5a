//! PairRE (Chao et al. 2021): `score(h, r, t) = -|h r_H - t r_T|` in L1, with entities of length 1.
//!
//! A relation row is `r_H`, then `r_T`. Queries and candidates are both weighed by the relation:
//! `h r_H` meets `t r_T`, so the head query is `t r_T` and the candidate head `h r_H`.

use kge_plugin_sdk::{
    export_model, Constraint, Description, Direction, Forward, HyperParameters, Layout, Model, Row,
    Similarity,
};

/// The model.
pub struct PairRe {
    dim: usize,
}

impl Model for PairRe {
    fn describe() -> Description {
        Description::new(
            "pairre",
            env!("CARGO_PKG_VERSION"),
            "A relation weighs heads and tails apart; sub-relations, 1-N",
        )
        .cite(
            "PairRE: Knowledge Graph Embeddings via Paired Relation Vectors",
            "Linlin Chao, Jianshan He, Taifeng Wang, Wei Chu",
            2021,
            "arXiv:2011.03798",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout {
            entity_constraint: Constraint::UnitNorm,
            ..Layout::of_widths(Similarity::L1, self.dim, 2 * self.dim)
        }
    }
}

impl Forward for PairRe {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [of_head, of_tail] = relation.parts();
        anchor * if direction == Direction::Tail { of_head } else { of_tail }
    }

    fn candidate<'g>(&self, direction: Direction, entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [of_head, of_tail] = relation.parts();
        entity * if direction == Direction::Tail { of_tail } else { of_head }
    }
}

export_model!(PairRe, projects candidates);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        let model = PairRe::configure(2, &HyperParameters::new()).unwrap();
        // |1 * 3 - 4 * 2| + |2 * 5 - 6 * 1|
        let rows = [&[1.0, 2.0][..], &[3.0, 5.0, 2.0, 1.0], &[4.0, 6.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model, direction, rows, &[]), -9.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&PairRe::configure(5, &HyperParameters::new()).unwrap());
    }
}
