//! What can go wrong in the catalogue.

/// One error for datasets, models, plugins and algorithms.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing; the nearest known name is given where one is near.
    #[error("there is no {what} \"{name}\"{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// `dataset`, `model`, `plugin`, `algorithm`, …
        what: &'static str,
        /// The name or id that was asked for.
        name: String,
        /// A known name that is near.
        nearest: Option<String>,
    },
    /// Another dataset has this name.
    #[error("there is already a dataset named \"{name}\"")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Something else needs it.
    #[error("{what} \"{name}\" is in use: {by} needs it; delete that first")]
    InUse {
        /// `plugin`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What needs it: `model 7`.
        by: String,
    },
    /// What was given does not fit.
    #[error("{what}: {reason}")]
    Invalid {
        /// The member that does not fit: `name`, `dataset_type`, …
        what: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The dataset is no longer the one the caller has seen.
    #[error("dataset {dataset} was changed meanwhile: it is at {found}, not at {expected}")]
    Changed {
        /// The dataset.
        dataset: crate::DatasetId,
        /// The caller's ETag.
        expected: String,
        /// Its ETag now.
        found: String,
    },
    /// An object that a manifest names is missing or is not what it should be.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// The object's name in the store.
        object: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// Others changed the same thing so often that we gave up.
    #[error("{what} is being changed by too many others at once; try again")]
    Contended {
        /// The object everybody writes.
        what: String,
    },
    /// A blocking task died; a defect of ours.
    #[error("internal: {0}")]
    Internal(String),
    /// The store's own words.
    #[error(transparent)]
    Store(#[from] kge_store::Error),
    /// The graph's own words.
    #[error(transparent)]
    Graph(#[from] kge_graph::Error),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}
