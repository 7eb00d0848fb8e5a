//! DistMult (Yang et al. 2015): `score(h, r, t) = sum_i h_i r_i t_i`.
//!
//! The product commutes: both directions are one, and the relation's query is `h t`.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

/// The model.
pub struct DistMult {
    dim: usize,
}

impl Model for DistMult {
    fn describe() -> Description {
        Description::new(
            "distmult",
            env!("CARGO_PKG_VERSION"),
            "A relation weighs the product of head and tail; symmetric",
        )
        .cite(
            "Embedding Entities and Relations for Learning and Inference in Knowledge Bases",
            "Bishan Yang, Wen-tau Yih, Xiaodong He, Jianfeng Gao, Li Deng",
            2015,
            "arXiv:1412.6575",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        let directions = vec![Direction::Tail, Direction::Head, Direction::Relation];
        Layout { directions, ..Layout::of_width(Similarity::Dot, self.dim) }
    }
}

impl Forward for DistMult {
    fn query<'g>(&self, _: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        anchor * relation
    }

    fn relation_query<'g>(&self, head: Row<'g>, tail: Row<'g>) -> Row<'g> {
        head * tail
    }
}

export_model!(DistMult);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn every_direction_gives_the_papers_score() {
        let model = DistMult::configure(2, &HyperParameters::new()).unwrap();
        for direction in model.layout().directions {
            // 1 * 3 * -7 + 2 * -5 * 11
            let rows = [&[1.0, 2.0][..], &[3.0, -5.0], &[-7.0, 11.0]];
            assert_eq!(score(&model, direction, rows, &[]), -131.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&DistMult::configure(5, &HyperParameters::new()).unwrap());
    }
}
