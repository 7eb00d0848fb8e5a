//! RESCAL (Nickel et al. 2011): `score(h, r, t) = h' R t`, with a full matrix `R` for each relation.
//!
//! A relation row is its matrix, `[dim, dim]` row-major. The tail query is `R' h`, the head query
//! `R t`. Products go to the host, once for each distinct relation of a batch.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameters, Layout, Model, Row, Similarity,
};

/// The model.
pub struct Rescal {
    dim: usize,
}

/// The largest dimension: a relation row is its square.
const LARGEST: usize = 4096;

impl Model for Rescal {
    fn describe() -> Description {
        Description::new(
            "rescal",
            env!("CARGO_PKG_VERSION"),
            "A relation is a matrix between head and tail",
        )
        .cite(
            "A Three-Way Model for Collective Learning on Multi-Relational Data",
            "Maximilian Nickel, Volker Tresp, Hans-Peter Kriegel",
            2011,
            "",
        )
    }

    fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
        match dim {
            1..=LARGEST => Ok(Self { dim }),
            _ => Err(format!("dim must not be above {LARGEST}: a relation is a matrix")),
        }
    }

    fn layout(&self) -> Layout {
        Layout::of_widths(Similarity::Dot, self.dim, self.dim * self.dim)
    }
}

impl Forward for Rescal {
    fn query<'g>(&self, direction: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        match direction {
            Direction::Tail => anchor.times_matrix(relation),
            _ => anchor.times_transposed(relation),
        }
    }
}

export_model!(Rescal);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    #[test]
    fn both_directions_give_the_papers_score() {
        let model = Rescal::configure(2, &HyperParameters::new()).unwrap();
        // (1 2) (3 5; 7 11) = (17 27)
        let rows = [&[1.0, 2.0][..], &[3.0, 5.0, 7.0, 11.0], &[1.0, 10.0]];
        for direction in [Direction::Tail, Direction::Head] {
            assert_eq!(score(&model, direction, rows, &[]), 287.0);
        }
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&Rescal::configure(3, &HyperParameters::new()).unwrap());
    }
}
