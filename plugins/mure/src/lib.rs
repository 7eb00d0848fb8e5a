//! MuRE (Balažević et al. 2019): `score(h, r, t) = -|R h - t - r|^2 + b_h + b_t`, with a diagonal `R`.
//!
//! A relation row is the diagonal, then the translation. The tail query is `R h - r`; the bias of
//! the candidate is the host's, and the anchor's does not change a ranking. Heads are asked by
//! reciprocal relations: `R` weighs the head, so no query row meets all heads alike.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Initialiser, Layout, Model,
    Row, Similarity,
};

/// The model.
pub struct MuRe {
    dim: usize,
}

impl Model for MuRe {
    fn describe() -> Description {
        Description::new(
            "mure",
            env!("CARGO_PKG_VERSION"),
            "A relation stretches heads and moves tails; biases for entities",
        )
        .cite(
            "Multi-relational Poincaré Graph Embeddings",
            "Ivana Balažević, Carl Allen, Timothy Hospedales",
            2019,
            "arXiv:1905.09791",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { dim })
    }

    fn layout(&self) -> Layout {
        Layout {
            directions: vec![Direction::Tail],
            bias: true,
            relation_initialiser: Initialiser::Uniform(-1.0, 1.0),
            ..Layout::of_widths(Similarity::SquaredL2, self.dim, 2 * self.dim)
        }
    }
}

impl Forward for MuRe {
    fn query<'g>(&self, _: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let [stretch, translation] = relation.parts();
        anchor * stretch - translation
    }
}

export_model!(MuRe);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn the_query_gives_the_papers_score() {
        let model = MuRe::configure(2, &HyperParameters::new()).unwrap();
        // (1 * 3 - 4 - 2)^2 + (2 * 5 - 6 - 1)^2
        let rows = [&[1.0, 2.0][..], &[3.0, 5.0, 2.0, 1.0], &[4.0, 6.0]];
        assert_eq!(score(&model, Direction::Tail, rows, &[]), -18.0);
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&MuRe::configure(5, &HyperParameters::new()).unwrap());
    }
}
