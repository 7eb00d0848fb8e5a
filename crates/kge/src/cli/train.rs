//! What `kge train` takes: a recipe, and flags over it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Regime {
    /// All entities, one answer at a time
    #[value(name = "1vsall")]
    OneVsAll,
    /// All entities, all answers of a query at once
    #[value(name = "kvsall")]
    KvsAll,
    /// Some entities, drawn anew for each chunk of triples
    #[value(name = "negative_sampling")]
    NegativeSampling,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Loss {
    Softmax,
    BinaryCrossEntropy,
    MarginRanking,
    Logistic,
    SelfAdversarial,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Precision {
    /// As rows are
    F32,
    /// Factors rounded to bf16; for models that compare by dot products
    Bf16,
    /// The same, summed as AMX's tiles sum
    Bf16Amx,
    /// Factors as two bf16 each, by AMX's tiles
    Bf16x3,
    /// The first of bf16_amx, bf16 and f32 that is fast on this CPU
    Auto,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Optimiser {
    Sgd,
    RowAdagrad,
    Adagrad,
    Adam,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  kge train --dataset umls --model complex --dim 64 --epochs 30
  kge train --dataset fb15k-237 --preset fb15k-237-complex
  kge train --dataset umls --plugin ./my_model.wasm --regime negative_sampling")]
pub(crate) struct Train {
    /// The dataset's name or id
    #[arg(long, value_name = "D")]
    pub dataset: String,
    /// A recipe by name
    #[arg(long, conflicts_with = "algorithm")]
    pub preset: Option<String>,
    /// A recipe as a JSON file
    #[arg(long, value_name = "FILE")]
    pub algorithm: Option<PathBuf>,
    /// The scoring model [default: complex]
    #[arg(long)]
    pub model: Option<String>,
    /// A component that is not in the plugins directory
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// The dimension; complex numbers for models with complex rows
    #[arg(long)]
    pub dim: Option<usize>,
    /// Which candidates a query is trained against
    #[arg(long)]
    pub regime: Option<Regime>,
    /// What is made small
    #[arg(long)]
    pub loss: Option<Loss>,
    /// The margin of margin_ranking or self_adversarial
    #[arg(long)]
    pub margin: Option<f32>,
    /// The precision of a step's products
    #[arg(long)]
    pub precision: Option<Precision>,
    /// How rows follow their gradients
    #[arg(long)]
    pub optimiser: Option<Optimiser>,
    /// Passes over the training split
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Triples a step, each asked in both directions
    #[arg(long)]
    pub batch: Option<usize>,
    /// The learning rate
    #[arg(long)]
    pub lr: Option<f32>,
    /// The weight of the N3 regulariser; 0: none
    #[arg(long, value_name = "WEIGHT")]
    pub n3: Option<f32>,
    /// Everything random comes from here
    #[arg(long)]
    pub seed: Option<u64>,
    /// Rank the validation split every so many epochs
    #[arg(long)]
    pub validate_every: Option<usize>,
    /// Leave the model that answers now in its place
    #[arg(long)]
    pub no_promote: bool,
}
