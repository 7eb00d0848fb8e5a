//! Stored algorithms: JSON that kge-embed understands, under an id.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AlgorithmId, Catalog, Result};

/// A stored algorithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlgorithmRecord {
    /// `kge.algorithm/1`.
    pub schema: String,
    /// Its id.
    pub id: AlgorithmId,
    /// The algorithm, as it was given to [`Catalog::create_algorithm`].
    pub algorithm: Value,
    /// When it was made, RFC 3339.
    pub created: String,
}

impl AlgorithmRecord {
    /// The schema this release writes and reads.
    pub const SCHEMA: &'static str = "kge.algorithm/1";
}

impl Catalog {
    /// Stores an algorithm. It was checked before: the catalogue does not look inside.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn create_algorithm(&self, algorithm: Value) -> Result<AlgorithmId> {
        let _ = algorithm;
        todo!()
    }

    /// One algorithm.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub async fn algorithm(&self, id: AlgorithmId) -> Result<AlgorithmRecord> {
        let _ = id;
        todo!()
    }

    /// All algorithms by id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn algorithms(&self) -> Result<Vec<AlgorithmRecord>> {
        todo!()
    }

    /// Deletes an algorithm. Its id is never used again.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub async fn delete_algorithm(&self, id: AlgorithmId) -> Result<()> {
        let _ = id;
        todo!()
    }
}
