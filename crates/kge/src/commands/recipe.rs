//! What `kge train` trains by: a preset, a file or what suits the model, and flags over it.

use kge_embed::{Algorithm, Loss, Optimiser, Precision, Regime, Regulariser};
use kge_model::{Direction, Initialiser, Layout, Similarity};

use super::{Failure, Result};
use crate::cli;

/// Numbers a row where nothing says otherwise.
pub(super) const DIM: usize = 128;

/// The preset or the file that was named.
pub(super) fn named(args: &cli::Train) -> Result<Option<Algorithm>> {
    if let Some(name) = &args.preset {
        let preset = kge_embed::preset(name).ok_or_else(|| {
            let known = kge_embed::preset_names().join(", ");
            Failure::usage(format!("there is no preset \"{name}\"; known: {known}"))
        })?;
        return Ok(Some(preset));
    }
    let Some(file) = &args.algorithm else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let algorithm = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok(Some(algorithm))
}

/// What is known to work for a model of this shape. Dot products: full softmax with N3 and
/// reciprocal relations (Lacroix et al. 2018). Distances: sampled negatives, of which hard ones
/// weigh more (Sun et al. 2019); TransE's margin ranking is older (Bordes et al. 2013).
pub(super) fn usual(model: &str, layout: &Layout) -> Algorithm {
    let distance = layout.similarity != Similarity::Dot;
    Algorithm {
        plugin: model.into(),
        dim: DIM,
        hyper_parameters: Default::default(),
        reciprocal: !distance || !layout.answers(Direction::Head),
        regime: if distance { sampling() } else { Regime::OneVsAll },
        loss: if distance { Loss::MarginRanking { margin: 2.0 } } else { Loss::Softmax },
        label_smoothing: 0.0,
        precision: Precision::F32,
        optimiser: Optimiser::Adagrad { learning_rate: 0.1 },
        regulariser: (!distance).then_some(Regulariser::N3 { weight: 0.05 }),
        initialiser: (!distance).then_some(Initialiser::Normal { deviation: 0.001 }),
        batch: 512,
        epochs: 20,
        seed: 1,
        validate_every: 0,
    }
}

fn sampling() -> Regime {
    Regime::NegativeSampling { negatives: 100, chunk: 64 }
}

/// Puts the flags over a recipe.
pub(super) fn apply(args: &cli::Train, algorithm: &mut Algorithm) -> Result<()> {
    match args.regime {
        None => {}
        Some(cli::Regime::OneVsAll) => algorithm.regime = Regime::OneVsAll,
        Some(cli::Regime::KvsAll) => algorithm.regime = Regime::KvsAll,
        Some(cli::Regime::NegativeSampling) => algorithm.regime = sampling(),
    }
    let margin = args.margin.unwrap_or(match algorithm.loss {
        Loss::MarginRanking { margin } | Loss::SelfAdversarial { margin, .. } => margin,
        Loss::Softmax | Loss::BinaryCrossEntropy | Loss::Logistic => 2.0,
    });
    match args.loss {
        None => {}
        Some(cli::Loss::Softmax) => algorithm.loss = Loss::Softmax,
        Some(cli::Loss::BinaryCrossEntropy) => algorithm.loss = Loss::BinaryCrossEntropy,
        Some(cli::Loss::MarginRanking) => algorithm.loss = Loss::MarginRanking { margin },
        Some(cli::Loss::Logistic) => algorithm.loss = Loss::Logistic,
        Some(cli::Loss::SelfAdversarial) => {
            algorithm.loss = Loss::SelfAdversarial { margin, temperature: 1.0 };
        }
    }
    match (&mut algorithm.loss, args.margin) {
        (_, None) => {}
        (Loss::MarginRanking { margin } | Loss::SelfAdversarial { margin, .. }, Some(wanted)) => {
            *margin = wanted;
        }
        (_, Some(_)) => {
            return Err(Failure::usage(
                "--margin: only margin_ranking and self_adversarial have one; add --loss",
            ));
        }
    }
    match args.precision {
        None => {}
        Some(cli::Precision::F32) => algorithm.precision = Precision::F32,
        Some(cli::Precision::Bf16) => algorithm.precision = Precision::Bf16,
        Some(cli::Precision::Bf16Amx) => algorithm.precision = Precision::Bf16Amx,
        Some(cli::Precision::Bf16x3) => algorithm.precision = Precision::Bf16x3,
        Some(cli::Precision::Auto) => algorithm.precision = Precision::Auto,
    }
    optimise(args, algorithm);
    if let Some(weight) = args.n3 {
        algorithm.regulariser = (weight > 0.0).then_some(Regulariser::N3 { weight });
    }
    algorithm.dim = args.dim.unwrap_or(algorithm.dim);
    algorithm.epochs = args.epochs.unwrap_or(algorithm.epochs);
    algorithm.batch = args.batch.unwrap_or(algorithm.batch);
    algorithm.seed = args.seed.unwrap_or(algorithm.seed);
    algorithm.validate_every = args.validate_every.unwrap_or(algorithm.validate_every);
    Ok(())
}

fn optimise(args: &cli::Train, algorithm: &mut Algorithm) {
    let (Optimiser::Sgd { learning_rate }
    | Optimiser::RowAdagrad { learning_rate }
    | Optimiser::Adagrad { learning_rate }
    | Optimiser::Adam { learning_rate }) = &mut algorithm.optimiser;
    if let Some(wanted) = args.lr {
        *learning_rate = wanted;
    }
    let learning_rate = *learning_rate;
    match args.optimiser {
        None => {}
        Some(cli::Optimiser::Sgd) => algorithm.optimiser = Optimiser::Sgd { learning_rate },
        Some(cli::Optimiser::RowAdagrad) => {
            algorithm.optimiser = Optimiser::RowAdagrad { learning_rate };
        }
        Some(cli::Optimiser::Adagrad) => algorithm.optimiser = Optimiser::Adagrad { learning_rate },
        Some(cli::Optimiser::Adam) => algorithm.optimiser = Optimiser::Adam { learning_rate },
    }
}
