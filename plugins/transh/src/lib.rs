//! TransH (Wang et al. 2014): `score(h, r, t) = -|(h - w'h w) + d - (t - w't w)|`, in L1 or L2.
//!
//! A relation row is the normal `w` of a hyperplane, of length 1, then the translation `d` on it.
//! Queries and candidates are projected onto the hyperplane: `h_p + d` meets `t_p`, and `t_p - d`
//! meets `h_p`.

use kge_plugin_sdk::{
    export_model, Constraint, Description, Direction, Forward, HyperParameter, HyperParameters,
    Layout, Model, Row, Similarity,
};

/// The model.
pub struct TransH {
    dim: usize,
    similarity: Similarity,
}

impl Model for TransH {
    fn describe() -> Description {
        Description::new(
            "transh",
            env!("CARGO_PKG_VERSION"),
            "A translation on each relation's hyperplane; 1-N, N-1",
        )
        .cite(
            "Knowledge Graph Embedding by Translating on Hyperplanes",
            "Zhen Wang, Jianwen Zhang, Jianlin Feng, Zheng Chen",
            2014,
            "10.1609/aaai.v28i1.8870",
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
        Layout {
            entity_constraint: Constraint::UnitBall,
            ..Layout::of_widths(self.similarity, self.dim, 2 * self.dim)
        }
    }
}

/// The part of an entity that lies on the relation's hyperplane.
fn project<'g>(entity: Row<'g>, normal: Row<'g>) -> Row<'g> {
    let normal = normal.normalise();
    entity - normal.scaled_by(normal.dot(entity))
}

impl Forward for TransH {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [normal, translation] = relation.parts();
        let anchor = project(anchor, normal);
        match direction {
            Direction::Tail => anchor + translation,
            _ => anchor - translation,
        }
    }

    fn candidate<'g>(&self, _: Direction, entity: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [normal, _] = relation.parts();
        project(entity, normal)
    }
}

export_model!(TransH, projects candidates);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    fn model(dim: usize) -> TransH {
        TransH::configure(dim, &[("norm".to_owned(), 2.0)].into()).unwrap()
    }

    #[test]
    fn only_what_lies_on_the_hyperplane_counts() {
        // With the normal along the second axis, only |1 + 3 - 9| is left.
        let rows = [&[1.0, 2.0][..], &[0.0, 4.0, 3.0, 0.0], &[9.0, -6.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model(2), direction, rows, &[]), -5.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&model(5));
    }
}
