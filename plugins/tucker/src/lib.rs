//! TuckER (Balažević et al. 2019): `score(h, r, t) = W x_1 h x_2 r x_3 t`.
//!
//! The core `W` is a tensor `[relation-dim, dim, dim]` that all triples share. It is first made a
//! matrix for each distinct relation, `M_r = sum_k r_k W_k`; the tail query is `h M_r`, the head
//! query `M_r t`. Products go to the host.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameter, HyperParameters, Initialiser,
    Layout, Model, Row, SharedTensor, Similarity,
};

/// The model.
pub struct TuckEr {
    dim: usize,
    relation_dim: usize,
}

/// The most values of the core.
const LARGEST: usize = 1 << 25;

impl Model for TuckEr {
    fn describe() -> Description {
        Description::new(
            "tucker",
            env!("CARGO_PKG_VERSION"),
            "Head, relation and tail meet in one core tensor that all share",
        )
        .cite(
            "TuckER: Tensor Factorization for Knowledge Graph Completion",
            "Ivana Balažević, Carl Allen, Timothy Hospedales",
            2019,
            "arXiv:1901.09590",
        )
        .with(HyperParameter::integer(
            "relation-dim",
            "dimension of the relations; 0 for that of the entities",
            [0, 65_536],
            0,
        ))
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let relation_dim = match hyper_parameters.get("relation-dim") {
            Some(&chosen) if chosen >= 1.0 => chosen as usize,
            _ => dim,
        };
        match dim.checked_mul(dim).and_then(|square| square.checked_mul(relation_dim)) {
            Some(1..=LARGEST) => Ok(Self { dim, relation_dim }),
            _ => Err(format!("dim * dim * relation-dim must not be above {LARGEST}")),
        }
    }

    fn layout(&self) -> Layout {
        let core = SharedTensor {
            name: "core",
            shape: vec![self.relation_dim, self.dim, self.dim],
            initialiser: Initialiser::Uniform(-1.0, 1.0),
        };
        let shared = vec![core];
        Layout { shared, ..Layout::of_widths(Similarity::Dot, self.dim, self.relation_dim) }
    }
}

impl Forward for TuckEr {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let core = relation.shared(0, self.relation_dim * self.dim * self.dim);
        let matrix = relation.times_matrix(core);
        match direction {
            Direction::Tail => anchor.times_matrix(matrix),
            _ => anchor.times_transposed(matrix),
        }
    }
}

export_model!(TuckEr);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    fn model(dim: usize, relation_dim: f64) -> TuckEr {
        TuckEr::configure(dim, &[("relation-dim".to_owned(), relation_dim)].into()).unwrap()
    }

    #[test]
    fn both_directions_give_the_papers_score() {
        // 2 (1 2; 3 4) + 10 (5 6; 7 8) = (52 64; 76 88)
        let core = [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]];
        let rows = [&[1.0, 2.0][..], &[2.0, 10.0], &[1.0, 10.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model(2, 0.0), direction, rows, &core), 2604.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&model(3, 0.0));
        check_gradients(&model(3, 2.0));
    }
}
