//! What can go wrong between the host, a scoring model and its files.

/// One error for scoring models, their sessions and their rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model answered with rows of the wrong length.
    #[error("{model}: {function} returned {found} floats in {what}, expected {expected}")]
    Length {
        /// The model's name.
        model: String,
        /// The function of the contract that was called.
        function: &'static str,
        /// The list whose length is wrong.
        what: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// The model answered with NaN or an infinity.
    #[error("{model}: {function} returned {value} in row {row}")]
    NotFinite {
        /// The model's name.
        model: String,
        /// The function of the contract that was called.
        function: &'static str,
        /// The first row that holds such a value.
        row: usize,
        /// The value.
        value: f32,
    },
    /// The model trapped, ran out of time or out of its limits.
    #[error("{model}: {reason} in {function}")]
    Failed {
        /// The model's name.
        model: String,
        /// The function of the contract that was called.
        function: &'static str,
        /// What happened, in words.
        reason: String,
    },
    /// The model refused its configuration.
    #[error("{model}: {reason}")]
    Configuration {
        /// The model's name.
        model: String,
        /// What it, or the host, says about it.
        reason: String,
    },
    /// The model, or this release of the host, cannot do what was asked.
    #[error("{model} does not support {what}")]
    Unsupported {
        /// The model's name.
        model: String,
        /// The thing that is not supported.
        what: String,
    },
    /// An embeddings or `model.json` file is not what it should be.
    #[error("{file}: {reason}")]
    File {
        /// The file's name in the model's folder.
        file: &'static str,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// Reading or writing failed below us.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
