//! What can go wrong while training or evaluating.

/// One error for training and evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the algorithm has a value that is not allowed.
    #[error("{field}: {reason}")]
    Algorithm {
        /// The field's name.
        field: &'static str,
        /// What was wrong and what is allowed.
        reason: String,
    },
    /// This release cannot train or rank such a model yet.
    #[error("{model}: {what} is not supported yet")]
    Unsupported {
        /// The model's name.
        model: String,
        /// What it would need.
        what: &'static str,
    },
    /// There is nothing to train on or to rank.
    #[error("the {0} split has no triples")]
    NoTriples(kge_graph::Split),
    /// The rows do not belong to this graph.
    #[error("the model has {found} {what} rows, this graph needs {expected}")]
    OtherGraph {
        /// `entity` or `relation`.
        what: &'static str,
        /// Rows the graph needs.
        expected: usize,
        /// Rows there are.
        found: usize,
    },
    /// The loss is no longer a number.
    #[error("training diverged in epoch {epoch}: the loss is {loss}; try a smaller learning rate")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The scoring model failed.
    #[error(transparent)]
    Model(#[from] kge_model::Error),
}
