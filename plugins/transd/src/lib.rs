//! TransD (Ji et al. 2015): `score(h, r, t) = -|h_p + r - t_p|`, in L1 or L2, with
//! `e_p = e + (m_e . e) m_r`.
//!
//! Each entity and each relation has a second vector `m`, which together make the projection. Rows
//! are the vector, then `m`. Entities and relations have one dimension, so the paper's identity matrix
//! is square. `h_p + r` meets `t_p`, and `t_p - r` meets `h_p`.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameter, HyperParameters, Layout, Model,
    Row, Similarity,
};

/// The model.
pub struct TransD {
    dim: usize,
    similarity: Similarity,
}

impl Model for TransD {
    fn describe() -> Description {
        Description::new(
            "transd",
            env!("CARGO_PKG_VERSION"),
            "A translation after a projection made of the entity and the relation",
        )
        .cite(
            "Knowledge Graph Embedding via Dynamic Mapping Matrix",
            "Guoliang Ji, Shizhu He, Liheng Xu, Kang Liu, Jun Zhao",
            2015,
            "10.3115/v1/P15-1067",
        )
        .with(HyperParameter::integer(
            "norm",
            "1 for sums of differences, 2 for the Euclidean distance",
            [1, 2],
            2,
        ))
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let euclidean = hyper_parameters.get("norm") == Some(&2.0);
        Ok(Self { dim, similarity: if euclidean { Similarity::L2 } else { Similarity::L1 } })
    }

    fn layout(&self) -> Layout {
        Layout { query_width: self.dim, ..Layout::of_width(self.similarity, 2 * self.dim) }
    }
}

/// The entity as the relation sees it.
fn project<'g>(entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
    let ([entity, of_entity], [_, of_relation]) = (entity.parts(), relation.parts());
    entity + of_relation.scaled_by(of_entity.dot(entity))
}

impl Forward for TransD {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [translation, _] = relation.parts();
        let anchor = project(anchor, relation);
        match direction {
            Direction::Tail => anchor + translation,
            _ => anchor - translation,
        }
    }

    fn candidate<'g>(&self, _: Direction, entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
        project(entity, relation)
    }
}

export_model!(TransD, projects candidates);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    fn model(dim: usize) -> TransD {
        TransD::configure(dim, &[("norm".to_owned(), 1.0)].into()).unwrap()
    }

    #[test]
    fn both_directions_give_the_papers_score() {
        // h_p = 2 + (3 * 2) * 7, t_p = 5 + (1 * 5) * 7
        let rows = [&[2.0, 3.0][..], &[11.0, 7.0], &[5.0, 1.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model(1), direction, rows, &[]), -15.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&model(5));
    }
}
