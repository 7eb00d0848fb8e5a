//! An algorithm: the scoring model, and the recipe it is trained by. Plain data.

use std::collections::BTreeMap;

use kge_model::Initialiser;
use serde::{Deserialize, Serialize};

/// What is trained, and how. Together with a revision of a dataset, a plugin and the seed it
/// fixes every byte of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Algorithm {
    /// The scoring model's name: `complex`.
    pub plugin: String,
    /// The model's dimension; complex numbers for models with complex rows.
    pub dim: usize,
    /// The model's own hyper-parameters, completed by its defaults.
    #[serde(default)]
    pub hyper_parameters: BTreeMap<String, f64>,
    /// Whether `(?, r, t)` is asked as `(t, r', ?)` with a relation row of its own
    /// (Lacroix et al. 2018).
    #[serde(default)]
    pub reciprocal: bool,
    /// What a triple is trained against.
    pub regime: Regime,
    /// The loss.
    pub loss: Loss,
    /// The share of a query's label that is spread over all entities; only where every entity is
    /// a candidate.
    #[serde(default)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Regime {
    /// Every entity is a candidate (Lacroix et al. 2018).
    #[serde(rename = "1vsall")]
    OneVsAll,
    /// Every entity is a candidate, and each distinct question is asked once with all its answers
    /// (Dettmers et al. 2018).
    #[serde(rename = "kvsall")]
    KvsAll,
    /// Candidates are drawn uniformly; a chunk of triples shares them.
    NegativeSampling {
        /// Negatives a side.
        negatives: usize,
        /// Triples that share them.
        chunk: usize,
    },
}

/// The precision of the factors of a step's products; everything else is `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
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

impl Precision {
    /// Whether factors lose digits, for certain.
    pub(crate) fn rounds(self) -> bool {
        !matches!(self, Self::F32 | Self::Auto)
    }
}

/// The loss of a triple against its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy of the softmax over the candidates.
    Softmax,
    /// Binary cross-entropy of each candidate by itself, summed (Dettmers et al. 2018).
    BinaryCrossEntropy,
    /// `max(0, margin - positive + negative)`, averaged over negatives (Bordes et al. 2013).
    MarginRanking {
        /// The margin.
        margin: f32,
    },
    /// `softplus(-positive)`, and `softplus(negative)` averaged over negatives
    /// (Trouillon et al. 2016).
    Logistic,
    /// As logistic with a margin on both, where harder negatives weigh more: by a softmax of their
    /// scores (Sun et al. 2019, RotatE).
    SelfAdversarial {
        /// The margin.
        margin: f32,
        /// How much more; 0 is the plain mean.
        temperature: f32,
    },
}

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Plain gradient descent.
    Sgd {
        /// The step's length.
        learning_rate: f32,
    },
    /// Adagrad with one sum of squares a row: less memory, for very large graphs
    /// (Lerer et al. 2019).
    RowAdagrad {
        /// The step's length.
        learning_rate: f32,
    },
    /// Duchi et al. 2011.
    Adagrad {
        /// The step's length.
        learning_rate: f32,
    },
    /// Kingma and Ba 2015, with the usual decay rates 0.9 and 0.999. Rows without a gradient
    /// keep their moments.
    Adam {
        /// The step's length.
        learning_rate: f32,
    },
}

/// A penalty on the head, relation and tail rows of each query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Regulariser {
    /// `weight * sum |x|^3`; complex rows count moduli (Lacroix et al. 2018).
    N3 {
        /// Its weight.
        weight: f32,
    },
    /// `weight * sum x^2`.
    L2 {
        /// Its weight.
        weight: f32,
    },
}
