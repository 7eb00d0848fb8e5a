//! HolE (Nickel et al. 2016): `score(h, r, t) = r . (h * t)`, with `*` the circular correlation
//! `(h * t)_k = sum_i h_i t_(i+k mod d)`.
//!
//! Moved to the tail, the correlation is the circular convolution of `r` and `h`; moved to the head,
//! it is the correlation of `r` and `t`. All three are products of spectra, so a query costs
//! `d log d`.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

mod spectrum;

use spectrum::Transform;

/// The model.
pub struct HolE {
    transform: Transform,
}

impl Model for HolE {
    fn describe() -> Description {
        Description::new(
            "hole",
            env!("CARGO_PKG_VERSION"),
            "Circular correlation of head and tail; compact, asymmetric",
        )
        .cite(
            "Holographic Embeddings of Knowledge Graphs",
            "Maximilian Nickel, Lorenzo Rosasco, Tomaso Poggio",
            2016,
            "arXiv:1510.04935",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        Ok(Self { transform: Transform::new(dim) })
    }

    fn layout(&self) -> Layout {
        let directions = vec![Direction::Tail, Direction::Head, Direction::Relation];
        Layout { directions, ..Layout::of_width(Similarity::Dot, self.transform.length()) }
    }
}

impl Forward for HolE {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let (anchor, relation) = (self.transform.of(anchor), self.transform.of(relation));
        self.transform.back(match direction {
            Direction::Tail => anchor.times_complex(relation),
            _ => anchor.times_conjugate(relation),
        })
    }

    fn relation_query<'g>(&self, head: Row<'g>, tail: Row<'g>) -> Row<'g> {
        let (head, tail) = (self.transform.of(head), self.transform.of(tail));
        self.transform.back(tail.times_conjugate(head))
    }
}

export_model!(HolE);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn every_direction_gives_the_papers_score() {
        let rows = [1, 2, 3].map(|salt| kge_plugin_sdk::trial::values(12, salt));
        for dim in [1, 2, 3, 7, 8, 12] {
            let model = HolE::configure(dim, &HyperParameters::new()).unwrap();
            let [h, r, t] = [0, 1, 2].map(|row| &rows[row][..dim]);
            let correlation = |k: usize| -> f32 { (0..dim).map(|i| h[i] * t[(i + k) % dim]).sum() };
            let expected: f32 = (0..dim).map(|k| r[k] * correlation(k)).sum();
            for direction in model.layout().directions {
                let found = score(&model, direction, [h, r, t], &[]);
                assert!((found - expected).abs() < 1e-5, "{dim}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn gradients_match_differences() {
        for dim in [1, 6, 7, 8] {
            check_gradients(&HolE::configure(dim, &HyperParameters::new()).unwrap());
        }
    }
}
