//! Refusing, in words, what cannot be trained.

use kge_model::{Direction, Layout, ScoringModel, Similarity};

use crate::{Algorithm, Error, Loss, Optimiser, Precision, Regime, Regulariser, Result};

impl Algorithm {
    /// Checks every field that does not need the scoring model.
    ///
    /// # Errors
    /// [`Error::Algorithm`] names the field and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, reason: String| Err(Error::Algorithm { field, reason });
        let between = |field, value: usize, low: usize, high: usize| match value {
            v if (low..=high).contains(&v) => Ok(()),
            v => refuse(field, format!("{v} is not allowed; it lies between {low} and {high}")),
        };
        let positive = |field, value: f32| match value {
            v if v > 0.0 && v.is_finite() => Ok(()),
            v => refuse(field, format!("{v} is not allowed; it is a finite number above 0")),
        };
        between("dim", self.dim, 1, 65_536)?;
        between("batch", self.batch, 1, 1 << 20)?;
        between("epochs", self.epochs, 1, 1_000_000)?;
        if let Regime::NegativeSampling { negatives, chunk } = self.regime {
            between("regime.negatives", negatives, 1, 1 << 20)?;
            between("regime.chunk", chunk, 1, 1 << 20)?;
        }
        let sampled = matches!(self.regime, Regime::NegativeSampling { .. });
        match self.loss {
            Loss::Softmax => {}
            Loss::BinaryCrossEntropy if sampled => {
                return refuse(
                    "loss",
                    "negative_sampling takes softmax, margin_ranking, logistic or \
                     self_adversarial; binary_cross_entropy needs 1vsall or kvsall"
                        .into(),
                );
            }
            Loss::MarginRanking { .. } | Loss::Logistic | Loss::SelfAdversarial { .. }
                if !sampled =>
            {
                return refuse(
                    "loss",
                    "1vsall and kvsall take softmax or binary_cross_entropy; this one needs \
                     negative_sampling"
                        .into(),
                );
            }
            Loss::BinaryCrossEntropy | Loss::Logistic => {}
            Loss::MarginRanking { margin } => positive("loss.margin", margin)?,
            Loss::SelfAdversarial { margin, temperature } => {
                positive("loss.margin", margin)?;
                if !(temperature >= 0.0 && temperature.is_finite()) {
                    return refuse(
                        "loss.temperature",
                        format!("{temperature} is not allowed; it is 0 or more"),
                    );
                }
            }
        }
        match self.label_smoothing {
            0.0 => {}
            _ if sampled => {
                return refuse("label_smoothing", "needs 1vsall or kvsall".into());
            }
            share if share > 0.0 && share < 1.0 => {}
            share => {
                return refuse(
                    "label_smoothing",
                    format!("{share} is not allowed; it is 0 or more, and below 1"),
                );
            }
        }
        match self.optimiser {
            Optimiser::Sgd { learning_rate }
            | Optimiser::RowAdagrad { learning_rate }
            | Optimiser::Adagrad { learning_rate }
            | Optimiser::Adam { learning_rate } => {
                positive("optimiser.learning_rate", learning_rate)?;
            }
        }
        if let Some(Regulariser::N3 { weight } | Regulariser::L2 { weight }) = self.regulariser {
            positive("regulariser.weight", weight)?;
        }
        Ok(())
    }
}

/// Checks that this release can train and rank the model.
pub(crate) fn supported(model: &dyn ScoringModel, reciprocal: bool) -> Result<()> {
    let layout = model.layout();
    let refuse = |what| Err(Error::Unsupported { model: model.description().name.clone(), what });
    if !layout.projects_candidates && layout.entity_width != layout.query_width {
        refuse("a query row of another width than the entity row")
    } else if layout.projects_candidates && !layout.shared.is_empty() {
        refuse("shared tensors together with projected candidates")
    } else if !reciprocal && !layout.answers(Direction::Head) {
        refuse("head prediction without reciprocal relations")
    } else {
        Ok(())
    }
}

/// Checks that the model can be trained by the algorithm's regime.
pub(crate) fn trainable(model: &dyn ScoringModel, algorithm: &Algorithm) -> Result<()> {
    supported(model, algorithm.reciprocal)?;
    let sampled = matches!(algorithm.regime, Regime::NegativeSampling { .. });
    let (layout, name) = (model.layout(), &model.description().name);
    let refuse = |field, reason| Err(Error::Algorithm { field, reason });
    if layout.projects_candidates && !sampled {
        let reason = "projects each candidate by the relation, so it takes negative_sampling";
        return refuse("regime", format!("{name} {reason}"));
    }
    if algorithm.precision.rounds() && layout.similarity != Similarity::Dot {
        return refuse("precision", format!("{name} compares by distances, which take f32"));
    }
    Ok(())
}

/// What the precision stands for, for such a model on this CPU.
pub(crate) fn settled(algorithm: &Algorithm, layout: &Layout) -> kge_kernels::Precision {
    use kge_kernels::Precision::{Bf16, Bf16Amx, Bf16x3, F32};
    match algorithm.precision {
        Precision::F32 => F32,
        Precision::Bf16 => Bf16,
        Precision::Bf16Amx => Bf16Amx,
        Precision::Bf16x3 => Bf16x3,
        Precision::Auto if layout.similarity != Similarity::Dot => F32,
        Precision::Auto => {
            [Bf16Amx, Bf16].into_iter().find(|precision| precision.is_fast()).unwrap_or(F32)
        }
    }
}
