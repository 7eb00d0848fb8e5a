//! Algorithms: the old form of three numbers, and the full one.
//!
//! The full form's schema stands here, because the core knows none; a test holds it against
//! kge-embed's own type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// An algorithm to store, wrapped.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"algorithm": {"embedding_size": 50, "margin": 2, "max_epochs": 80}}))]
pub(crate) struct NewAlgorithm {
    /// The old or the full form.
    #[schema(value_type = AlgorithmForm)]
    pub algorithm: Value,
}

/// An algorithm, in either form.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(
    dead_code,
    reason = "only its schema is used: bodies are read form by form, for better errors"
)]
pub(crate) enum AlgorithmForm {
    /// Everything about it.
    Full(Box<FullAlgorithm>),
    /// TransE, by three numbers.
    Old(OldAlgorithm),
}

/// Which algorithm to train by.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum AlgorithmChoice {
    /// A stored algorithm's number.
    Number(u64),
    /// A preset's name.
    Preset(String),
    /// A whole algorithm.
    Form(AlgorithmForm),
}

/// TransE (L1, unit-length entities), margin ranking, Adagrad 0.1; at least two members.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"embedding_size": 50, "margin": 2, "max_epochs": 80}))]
pub(crate) struct OldAlgorithm {
    /// Numbers a row.
    #[serde(default = "fifty")]
    #[schema(default = 50)]
    pub embedding_size: usize,
    /// The margin of the ranking loss.
    #[serde(default = "two")]
    #[schema(default = 2)]
    pub margin: f64,
    /// Passes over the triples.
    #[serde(default = "eighty")]
    #[schema(default = 80)]
    pub max_epochs: usize,
}

fn fifty() -> usize {
    50
}

fn two() -> f64 {
    2.0
}

fn eighty() -> usize {
    80
}

/// A scoring model and the recipe it is trained by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Algorithm, example = json!({
    "plugin": "complex", "dim": 64, "reciprocal": true, "regime": "1vsall", "loss": "softmax",
    "optimiser": {"adagrad": {"learning_rate": 0.1}}, "regulariser": {"n3": {"weight": 0.01}},
    "initialiser": {"normal": {"deviation": 0.001}}, "batch": 128, "epochs": 50, "seed": 1
}))]
pub(crate) struct FullAlgorithm {
    /// The scoring model's name.
    pub plugin: String,
    /// The model's dimension; complex numbers for models with complex rows.
    #[schema(minimum = 1)]
    pub dim: usize,
    /// The model's own hyper-parameters, completed by its defaults.
    #[serde(default)]
    pub hyper_parameters: BTreeMap<String, f64>,
    /// Whether heads are predicted by relation rows of their own.
    #[serde(default)]
    pub reciprocal: bool,
    /// What a triple is trained against.
    pub regime: Regime,
    /// The loss.
    pub loss: Loss,
    /// The share of a query's label that is spread over all entities; only where every entity is
    /// a candidate.
    #[serde(default)]
    #[schema(minimum = 0, exclusive_maximum = 1)]
    pub label_smoothing: f32,
    /// The precision of a step's products.
    #[serde(default)]
    pub precision: Precision,
    /// How gradients become steps.
    pub optimiser: Optimiser,
    /// A penalty on the rows of each query.
    #[serde(default)]
    pub regulariser: Option<Regulariser>,
    /// How rows start, where the model's own way is not wanted.
    #[serde(default)]
    pub initialiser: Option<Initialiser>,
    /// Triples a step; each is asked in both directions. With `kvsall` a step holds twice as many
    /// distinct questions.
    #[schema(minimum = 1)]
    pub batch: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// Everything random comes from here.
    #[serde(default)]
    pub seed: u64,
    /// Rank the validation split every so many epochs; 0 never does.
    #[serde(default)]
    pub validate_every: usize,
}

/// What a triple is trained against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Regime {
    /// Every entity is a candidate.
    #[serde(rename = "1vsall")]
    OneVsAll,
    /// Every entity is a candidate; a distinct question is asked once with all its answers.
    #[serde(rename = "kvsall")]
    KvsAll,
    /// Candidates are drawn; a chunk of triples shares them.
    NegativeSampling {
        /// Negatives a side.
        negatives: usize,
        /// Triples that share them.
        chunk: usize,
    },
}

/// The precision of the factors of a step's products; everything else is `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Precision {
    /// As the rows are.
    #[default]
    F32,
    /// Rounded to bf16, for models that compare by dot products: fast where the CPU has AVX-512
    /// BF16 and is not Intel's, the same bytes elsewhere.
    Bf16,
    /// Rounded to bf16 and summed in another order, that of AMX's tiles: for CPUs that have them,
    /// the same bytes elsewhere, slowly.
    Bf16Amx,
    /// Each factor as the sum of two bf16, by AMX's tiles: errors near to those of `f32`.
    Bf16x3,
    /// The first of `bf16_amx`, `bf16` and `f32` that is fast on this CPU. A model's record says
    /// which.
    Auto,
}

/// The loss of a triple against its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Loss {
    /// Cross-entropy of the softmax over the candidates.
    Softmax,
    /// Binary cross-entropy of each candidate by itself, summed.
    BinaryCrossEntropy,
    /// `max(0, margin - positive + negative)`.
    MarginRanking {
        /// The margin.
        margin: f32,
    },
    /// `softplus(-positive)`, and `softplus(negative)` averaged over negatives.
    Logistic,
    /// As logistic with a margin on both, where harder negatives weigh more.
    SelfAdversarial {
        /// The margin.
        margin: f32,
        /// How much more; 0 is the plain mean.
        temperature: f32,
    },
}

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Optimiser {
    /// Plain gradient descent.
    Sgd {
        /// The step's length.
        learning_rate: f32,
    },
    /// Adagrad with one sum of squares a row.
    RowAdagrad {
        /// The step's length.
        learning_rate: f32,
    },
    /// Duchi et al. 2011.
    Adagrad {
        /// The step's length.
        learning_rate: f32,
    },
    /// Kingma and Ba 2015.
    Adam {
        /// The step's length.
        learning_rate: f32,
    },
}

/// A penalty on the rows of each query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Regulariser {
    /// The sum of cubed moduli (Lacroix et al. 2018).
    N3 {
        /// Its weight.
        weight: f32,
    },
    /// The sum of squares.
    L2 {
        /// Its weight.
        weight: f32,
    },
}

/// How rows start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Initialiser {
    /// All zero.
    Zeros,
    /// Independent normal values with mean 0.
    Normal {
        /// Their standard deviation.
        deviation: f32,
    },
    /// Independent uniform values.
    Uniform {
        /// The lower bound, included.
        low: f32,
        /// The upper bound, excluded.
        high: f32,
    },
}

/// A stored algorithm.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlgorithmView {
    /// Its number, from 1.
    pub id: u64,
    /// Numbers a row, as the old form calls it.
    pub embedding_size: usize,
    /// The margin, if the loss has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub margin: Option<f64>,
    /// Passes over the triples, as the old form calls it.
    pub max_epochs: usize,
    /// The whole of it.
    #[serde(flatten)]
    #[schema(inline)]
    pub full: FullAlgorithm,
}

/// A recipe that comes with this release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresetView {
    /// The name that `?algorithm=` takes.
    pub preset: &'static str,
    /// The recipe.
    pub algorithm: FullAlgorithm,
}

/// What POST /algorithms answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlgorithmCreated {
    /// 202, as the old service had it.
    pub status: u16,
    /// In words.
    pub message: String,
    /// The number.
    pub algorithm: AlgorithmId,
}

/// An algorithm's number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlgorithmId {
    /// From 1.
    pub id: u64,
}

/// The algorithm of a dataset's last training, `{}` before the first.
pub(super) fn of_dataset(chosen: Option<&kge_catalog::ChosenAlgorithm>) -> Value {
    let Some(chosen) = chosen else { return json!({}) };
    let mut whole = with_old_names(chosen.algorithm.clone());
    if let (Some(members), Some(id)) = (whole.as_object_mut(), chosen.id) {
        members.insert("id".to_owned(), id.0.into());
    }
    whole
}

/// An algorithm's JSON with the members the old form has.
pub(crate) fn with_old_names(mut algorithm: Value) -> Value {
    if let Some(members) = algorithm.as_object_mut() {
        for (old, new) in [("embedding_size", "/dim"), ("max_epochs", "/epochs")] {
            if let Some(value) = members.get(&new[1..]).cloned() {
                members.insert(old.to_owned(), value);
            }
        }
        let margin = members.get("loss").and_then(|l| l.pointer("/margin_ranking/margin")).cloned();
        if let Some(margin) = margin {
            members.insert("margin".to_owned(), margin);
        }
    }
    algorithm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_that_of_the_core() {
        for name in kge_embed::preset_names() {
            let core = serde_json::to_value(kge_embed::preset(name).unwrap()).unwrap();
            let mut ours: FullAlgorithm = serde_json::from_value(core.clone()).unwrap();
            assert_eq!(serde_json::to_value(&ours).unwrap(), core, "{name}");
            let learning_rate = 0.5;
            let losses = [
                Loss::BinaryCrossEntropy,
                Loss::Logistic,
                Loss::SelfAdversarial { margin: 9.0, temperature: 0.5 },
                Loss::MarginRanking { margin: 2.0 },
            ];
            let optimisers = [
                Optimiser::Adam { learning_rate },
                Optimiser::Sgd { learning_rate },
                Optimiser::RowAdagrad { learning_rate },
                Optimiser::Adagrad { learning_rate },
            ];
            let sampling = Regime::NegativeSampling { negatives: 4, chunk: 8 };
            let regimes = [Regime::OneVsAll, Regime::KvsAll, sampling, sampling];
            let precisions =
                [Precision::Bf16, Precision::Bf16Amx, Precision::Bf16x3, Precision::Auto];
            let all = losses.into_iter().zip(optimisers).zip(regimes).zip(precisions);
            for (((loss, optimiser), regime), precision) in all {
                (ours.loss, ours.optimiser, ours.regime) = (loss, optimiser, regime);
                ours.label_smoothing = 0.25;
                ours.precision = precision;
                ours.regulariser = Some(Regulariser::L2 { weight: 0.5 });
                ours.initialiser = Some(Initialiser::Uniform { low: -0.5, high: 0.5 });
                let text = serde_json::to_value(&ours).unwrap();
                let core: kge_embed::Algorithm = serde_json::from_value(text.clone()).unwrap();
                assert_eq!(serde_json::to_value(core).unwrap(), text);
            }
        }
    }
}
