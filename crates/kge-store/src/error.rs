//! What can go wrong in the artifact store.

use std::path::PathBuf;

/// One error for every object and manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be made or written. One line that ends with the fix.
    #[error("cannot write to the data directory {}: {reason}; {fix}", directory.display())]
    NotWritable {
        /// The directory that was asked for.
        directory: PathBuf,
        /// What is in the way, with the UIDs where they matter.
        reason: String,
        /// What to do about it.
        fix: String,
    },
    /// The location is not one this release can use.
    #[error("cannot keep artifacts in {location}: {reason}")]
    Location {
        /// The location, as it was given.
        location: String,
        /// Why not, and what can be used.
        reason: String,
    },
    /// An object could not be read, written, listed or deleted.
    #[error("cannot {action} {object}: {reason}")]
    Object {
        /// `read`, `write`, `list` or `delete`.
        action: &'static str,
        /// The object's name in the store.
        object: String,
        /// What the store says.
        reason: String,
    },
    /// An object is not what it should be.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// The object's name in the store.
        object: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// An object was written by a newer release.
    #[error("{object} has schema {found}, this release reads up to {supported}: use a newer kge")]
    Newer {
        /// The object's name in the store.
        object: String,
        /// Its schema.
        found: String,
        /// The newest this release knows.
        supported: String,
    },
}
