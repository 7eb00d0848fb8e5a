//! QuatE (Zhang et al. 2019): `score(h, r, t) = (h x r/|r|) . t`, with `x` the Hamilton product.
//!
//! Rows are four quarters: real parts, then those of i, j and k; each quaternion of a relation is
//! divided by its length. Multiplying by a conjugate undoes a turn, so the head query is
//! `t x conj(r/|r|)`.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

/// The model.
pub struct QuatE {
    dim: usize,
}

impl Model for QuatE {
    fn describe() -> Description {
        Description::new(
            "quate",
            env!("CARGO_PKG_VERSION"),
            "A relation turns quaternion entities by unit quaternions",
        )
        .cite(
            "Quaternion Knowledge Graph Embeddings",
            "Shuai Zhang, Yi Tay, Lina Yao, Qi Liu",
            2019,
            "arXiv:1904.10281",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout::of_width(Similarity::Dot, 4 * self.dim)
    }
}

impl Forward for QuatE {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let turn = relation.unit_quaternions();
        match direction {
            Direction::Tail => anchor.times_quaternion(turn),
            _ => anchor.times_quaternion(turn.conjugate_quaternions()),
        }
    }
}

export_model!(QuatE);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        let model = QuatE::configure(1, &HyperParameters::new()).unwrap();
        // (1 + 2i + 3j + 4k)(3k/3) = -4 + 3i - 2j + k
        let rows = [&[1.0, 2.0, 3.0, 4.0][..], &[0.0, 0.0, 0.0, 3.0], &[1.0, 10.0, 100.0, 1000.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model, direction, rows, &[]), 826.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&QuatE::configure(3, &HyperParameters::new()).unwrap());
    }
}
