//! ConvE (Dettmers et al. 2018): `score(h, r, t) = relu(vec(relu([h; r] * f)) W) . t + b_t`.
//!
//! Head and relation are laid side by side as one image of width `width`, filtered by 3 x 3 filters
//! `f`, and brought back to `dim` by one shared matrix `W`. Rows are normalised by layer, not by
//! batch, so that a query does not depend on the others of its batch; dropout is the host's. The
//! product with `W` goes to the host. Heads are asked by reciprocal relations.

use kge_plugin_sdk::{
    export_model, Description, Direction, Forward, HyperParameter, HyperParameters, Initialiser,
    Layout, Model, Row, SharedTensor, Similarity,
};

/// The model.
pub struct ConvE {
    dim: usize,
    width: usize,
    channels: usize,
}

/// The side of a filter.
const SIDE: usize = 3;
/// The most values of the shared matrix.
const LARGEST: usize = 1 << 24;

impl Model for ConvE {
    fn describe() -> Description {
        Description::new(
            "conve",
            env!("CARGO_PKG_VERSION"),
            "A convolution over head and relation as one image",
        )
        .cite(
            "Convolutional 2D Knowledge Graph Embeddings",
            "Tim Dettmers, Pasquale Minervini, Pontus Stenetorp, Sebastian Riedel",
            2018,
            "arXiv:1707.01476",
        )
        .with(HyperParameter::integer(
            "width",
            "width of the image; 0 for the divisor of dim nearest to its root",
            [0, 65_536],
            0,
        ))
        .with(HyperParameter::integer("channels", "number of filters", [1, 256], 32))
    }

    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String> {
        let given = |name: &str| hyper_parameters.get(name).map_or(0, |&value| value as usize);
        let root = (1..=dim).take_while(|side| side * side <= dim).last().unwrap_or(1);
        let nearest = (1..=root).rev().find(|side| dim % side == 0).unwrap_or(1);
        let width = if given("width") == 0 { dim / nearest } else { given("width") };
        if dim % width != 0 {
            return Err(format!("width {width} does not divide dim {dim}"));
        }
        let model = Self { dim, width, channels: given("channels").max(1) };
        if width < SIDE || 2 * (dim / width) < SIDE {
            return Err(format!(
                "an image of {} x {width} is smaller than a filter of {SIDE} x {SIDE}; \
                 choose another dim or width",
                2 * (dim / width)
            ));
        }
        match model.features().checked_mul(dim) {
            Some(1..=LARGEST) => Ok(model),
            _ => Err(format!("the shared matrix must not have more than {LARGEST} values")),
        }
    }

    fn layout(&self) -> Layout {
        let bound = 1.0 / (self.features() as f32).sqrt();
        Layout {
            directions: vec![Direction::Tail],
            bias: true,
            shared: vec![
                SharedTensor {
                    name: "filters",
                    shape: vec![SIDE * SIDE, self.channels],
                    initialiser: Initialiser::Uniform(-1.0 / 3.0, 1.0 / 3.0),
                },
                SharedTensor {
                    name: "matrix",
                    shape: vec![self.features(), self.dim],
                    initialiser: Initialiser::Uniform(-bound, bound),
                },
            ],
            ..Layout::of_width(Similarity::Dot, self.dim)
        }
    }
}

impl ConvE {
    /// Values that the filters leave of the image.
    fn features(&self) -> usize {
        let height = 2 * (self.dim / self.width);
        (height + 1 - SIDE) * (self.width + 1 - SIDE) * self.channels
    }
}

impl Forward for ConvE {
    fn query<'g>(&self, _: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
        let filters = anchor.shared(0, SIDE * SIDE * self.channels);
        let matrix = anchor.shared(1, self.features() * self.dim);
        let image = Row::concat([anchor, relation]).layer_normalise();
        let features = image.convolve(self.width, filters, SIDE).layer_normalise().relu();
        features.times_matrix(matrix).layer_normalise().relu()
    }
}

export_model!(ConvE);

#[cfg(test)]
mod tests {
    use kge_plugin_sdk::trial::{check_gradients, score};

    use super::*;

    fn model(dim: usize, width: f64, channels: f64) -> Result<ConvE, String> {
        let given = [("width".to_owned(), width), ("channels".to_owned(), channels)];
        ConvE::configure(dim, &given.into())
    }

    #[test]
    fn the_image_is_as_square_as_dim_allows() {
        assert_eq!(model(200, 0.0, 32.0).unwrap().width, 20);
        assert_eq!(model(200, 20.0, 32.0).unwrap().features(), 10_368);
        assert_eq!(model(8, 3.0, 1.0).err().unwrap(), "width 3 does not divide dim 8");
        assert!(model(1, 0.0, 1.0).err().unwrap().contains("smaller than a filter"));
    }

    #[test]
    fn gradients_match_differences() {
        check_gradients(&model(12, 4.0, 2.0).unwrap());
    }

    #[test]
    fn the_score_is_the_query_with_the_tail() {
        let model = model(12, 4.0, 2.0).unwrap();
        let shared = kge_plugin_sdk::trial::tensors(&model.layout());
        let [h, r, t] = [1, 2, 3].map(|salt| kge_plugin_sdk::trial::values(12, salt));
        let once = score(&model, Direction::Tail, [&h, &r, &t], &shared);
        let twice: Vec<f32> = t.iter().map(|value| 2.0 * value).collect();
        let doubled = score(&model, Direction::Tail, [&h, &r, &twice], &shared);
        assert!((doubled - 2.0 * once).abs() < 1e-4);
    }
}
