//! TransR (Lin et al. 2015): `score(h, r, t) = -|M_r h + r - M_r t|`.
//!
//! A relation row is its translation `r`, then its matrix `M_r`, `[relation-dim, dim]` row-major.
//! `M_r h + r` meets `M_r t`, and `M_r t - r` meets `M_r h`. Products go to the host, once for each
//! distinct relation of a batch.

use kge_plugin_sdk::{
    export_model, Constraint, Description, Direction, Forward, HyperParameter, HyperParameters,
    Layout, Model, Row, Similarity,
};

/// The model.
pub struct TransR {
    dim: usize,
    relation_dim: usize,
}

/// The most floats in a relation's matrix.
const LARGEST: usize = (1 << 24) - (1 << 16);

impl Model for TransR {
    fn describe() -> Description {
        Description::new(
            "transr",
            env!("CARGO_PKG_VERSION"),
            "A translation in each relation's own space",
        )
        .cite(
            "Learning Entity and Relation Embeddings for Knowledge Graph Completion",
            "Yankai Lin, Zhiyuan Liu, Maosong Sun, Yang Liu, Xuan Zhu",
            2015,
            "10.1609/aaai.v29i1.9491",
        )
        .with(HyperParameter::integer(
            "relation-dim",
            "dimension of the relations' spaces; 0 for that of the entities",
            [0, 65_536],
            0,
        ))
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let relation_dim = match hyper_parameters.get("relation-dim") {
            Some(&chosen) if chosen >= 1.0 => chosen as usize,
            _ => dim,
        };
        match dim.checked_mul(relation_dim) {
            Some(1..=LARGEST) => Ok(Self { dim, relation_dim }),
            _ => Err(format!("dim times relation-dim must not be above {LARGEST}")),
        }
    }

    fn layout(&self) -> Layout {
        let width = self.relation_dim * (self.dim + 1);
        Layout {
            query_width: self.relation_dim,
            entity_constraint: Constraint::UnitBall,
            ..Layout::of_widths(Similarity::L2, self.dim, width)
        }
    }
}

impl TransR {
    /// The relation's translation, and its matrix.
    fn cut<'g>(&self, relation: Row<'g>) -> [Row<'g>; 2] {
        let of_matrix = self.relation_dim * self.dim;
        [relation.part(0, self.relation_dim), relation.part(self.relation_dim, of_matrix)]
    }
}

impl Forward for TransR {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [translation, matrix] = self.cut(relation);
        let anchor = anchor.times_transposed(matrix);
        match direction {
            Direction::Tail => anchor + translation,
            _ => anchor - translation,
        }
    }

    fn candidate<'g>(&self, _: Direction, entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [_, matrix] = self.cut(relation);
        entity.times_transposed(matrix)
    }
}

export_model!(TransR, projects candidates);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    fn model(dim: usize, relation_dim: f64) -> TransR {
        TransR::configure(dim, &[("relation-dim".to_owned(), relation_dim)].into()).unwrap()
    }

    #[test]
    fn both_directions_give_the_papers_score() {
        // M h = 1 * 3 + 2 * 5, M t = 1 * 4 + 2 * 6
        let rows = [&[3.0, 5.0][..], &[7.0, 1.0, 2.0], &[4.0, 6.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model(2, 1.0), direction, rows, &[]), -4.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&model(3, 0.0));
        check_gradients(&model(3, 5.0));
    }
}
