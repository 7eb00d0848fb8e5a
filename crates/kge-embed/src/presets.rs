//! Named recipes, and the algorithms of the service that this one succeeds.

use std::collections::BTreeMap;

use kge_model::Initialiser;

use crate::{Algorithm, Loss, Optimiser, Precision, Regime, Regulariser};

/// The names that [`preset`] knows.
pub fn preset_names() -> &'static [&'static str] {
    &["complex", "distmult", "fb15k-237-complex", "transe"]
}

/// A recipe by name.
///
/// `fb15k-237-complex` reaches LibKGE's best ComplEx within minutes (Lacroix et al. 2018: 1vsAll,
/// reciprocal relations, N3, Adagrad); `complex` and `distmult` are the same for smaller graphs.
pub fn preset(name: &str) -> Option<Algorithm> {
    let factorisation = |plugin: &str, dim, batch, epochs, weight| Algorithm {
        plugin: plugin.into(),
        dim,
        hyper_parameters: BTreeMap::new(),
        reciprocal: true,
        regime: Regime::OneVsAll,
        loss: Loss::Softmax,
        label_smoothing: 0.0,
        precision: Precision::F32,
        optimiser: Optimiser::Adagrad { learning_rate: 0.1 },
        regulariser: Some(Regulariser::N3 { weight }),
        initialiser: Some(Initialiser::Normal { deviation: 1e-3 }),
        batch,
        epochs,
        seed: 1,
        validate_every: 0,
    };
    Some(match name {
        "fb15k-237-complex" => factorisation("complex", 128, 512, 15, 0.05),
        "complex" => factorisation("complex", 64, 128, 50, 0.01),
        "distmult" => factorisation("distmult", 128, 128, 50, 0.01),
        "transe" => Algorithm::from_old_form(100, 2.0, 100),
        _ => return None,
    })
}

impl Algorithm {
    /// The algorithm that `{"embedding_size", "margin", "max_epochs"}` stands for: TransE, L1,
    /// entities of unit length, margin ranking, Adagrad 0.1 (Bordes et al. 2013).
    pub fn from_old_form(embedding_size: usize, margin: f32, max_epochs: usize) -> Self {
        Self {
            plugin: "transe".into(),
            dim: embedding_size,
            hyper_parameters: BTreeMap::new(),
            reciprocal: false,
            regime: Regime::NegativeSampling { negatives: 64, chunk: 64 },
            loss: Loss::MarginRanking { margin },
            label_smoothing: 0.0,
            precision: Precision::F32,
            optimiser: Optimiser::Adagrad { learning_rate: 0.1 },
            regulariser: None,
            initialiser: None,
            batch: 256,
            epochs: max_epochs,
            seed: 0,
            validate_every: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid() {
        for name in preset_names() {
            preset(name).unwrap().validate().unwrap();
        }
        assert_eq!(preset("nonsense"), None);
    }

    #[test]
    fn fields_are_refused_in_words() {
        let transe = preset("transe").unwrap();
        for (algorithm, expected) in [
            (
                Algorithm { dim: 0, ..transe.clone() },
                "dim: 0 is not allowed; it lies between 1 and 65536",
            ),
            (
                Algorithm { regime: Regime::OneVsAll, ..transe.clone() },
                "loss: 1vsall and kvsall take softmax or binary_cross_entropy; this one needs \
                 negative_sampling",
            ),
            (
                Algorithm { label_smoothing: 0.1, ..transe.clone() },
                "label_smoothing: needs 1vsall or kvsall",
            ),
            (
                Algorithm { loss: Loss::BinaryCrossEntropy, ..transe.clone() },
                "loss: negative_sampling takes softmax, margin_ranking, logistic or \
                 self_adversarial; binary_cross_entropy needs 1vsall or kvsall",
            ),
            (
                Algorithm { optimiser: Optimiser::Adam { learning_rate: -1.0 }, ..transe },
                "optimiser.learning_rate: -1 is not allowed; it is a finite number above 0",
            ),
        ] {
            assert_eq!(algorithm.validate().unwrap_err().to_string(), expected);
        }
    }
}
