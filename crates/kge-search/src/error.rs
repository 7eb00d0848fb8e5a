//! What can go wrong when a model is asked.

/// One error for all questions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows do not belong to the graph they came with.
    #[error("model {model} has {found} {what} rows, its graph needs {expected}")]
    OtherGraph {
        /// The model's id.
        model: u64,
        /// `entity` or `relation`.
        what: &'static str,
        /// Rows the graph needs.
        expected: usize,
        /// Rows there are.
        found: usize,
    },
    /// The model cannot answer this direction.
    #[error("{model} cannot predict heads without reciprocal relations")]
    Direction {
        /// The plugin's name.
        model: String,
    },
    /// A vector has another width than the model's rows.
    #[error("the vector has {found} numbers, this model's rows have {expected}")]
    Width {
        /// Numbers a row has.
        expected: usize,
        /// Numbers there are.
        found: usize,
    },
    /// The model has numbers that are none.
    #[error("model {model} has entity rows that are not finite; train it again")]
    NotFinite {
        /// The model's id.
        model: u64,
    },
    /// The scoring model failed.
    #[error(transparent)]
    Model(#[from] kge_model::Error),
}
