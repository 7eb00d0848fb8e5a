//! Refusing, in words, what cannot be trained.

use kge_model::{Direction, Layout, ScoringModel};

use crate::{Algorithm, Error, Loss, Optimiser, Regime, Regulariser, Result};

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
        match (self.regime, self.loss) {
            (Regime::OneVsAll, Loss::MarginRanking { .. }) => {
                return refuse(
                    "loss",
                    "1vsall takes softmax; margin_ranking needs negative_sampling".into(),
                );
            }
            (_, Loss::MarginRanking { margin }) => positive("loss.margin", margin)?,
            _ => {}
        }
        match self.optimiser {
            Optimiser::Adagrad { learning_rate } | Optimiser::Adam { learning_rate } => {
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
    let Layout { bias, projects_candidates, entity_width, query_width, shared, .. } =
        model.layout();
    let refuse = |what| Err(Error::Unsupported { model: model.description().name.clone(), what });
    if *projects_candidates {
        refuse("projecting candidates by the relation")
    } else if *bias {
        refuse("a bias for each entity")
    } else if !shared.is_empty() {
        refuse("a tensor that all triples share")
    } else if entity_width != query_width {
        refuse("a query row of another width than the entity row")
    } else if !reciprocal && !model.layout().answers(Direction::Head) {
        refuse("head prediction without reciprocal relations")
    } else {
        Ok(())
    }
}
