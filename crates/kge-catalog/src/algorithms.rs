//! Stored algorithms: JSON that kge-embed understands, under an id.

use bytes::Bytes;
use kge_store::{layout, read_document, write_document};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{ATTEMPTS, now};
use crate::nearest::unknown;
use crate::{AlgorithmId, Catalog, Error, Result};

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

/// What the object says; a deleted algorithm leaves a tombstone.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    record: AlgorithmRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted: Option<String>,
}

impl Catalog {
    /// Stores an algorithm. It was checked before: the catalogue does not look inside.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn create_algorithm(&self, algorithm: Value) -> Result<AlgorithmId> {
        for _ in 0..ATTEMPTS {
            let id = AlgorithmId(self.algorithm_ids().await?.last().map_or(1, |last| last.0 + 1));
            let object = layout::algorithm(id.0);
            let record = AlgorithmRecord {
                schema: AlgorithmRecord::SCHEMA.into(),
                id,
                algorithm: algorithm.clone(),
                created: now(),
            };
            let bytes = write_document(&object, &Stored { record, deleted: None })?;
            if self.store.put_if_absent(&object, Bytes::from(bytes)).await? {
                return Ok(id);
            }
        }
        Err(Error::Contended { what: layout::algorithms().into() })
    }

    /// One algorithm.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub async fn algorithm(&self, id: AlgorithmId) -> Result<AlgorithmRecord> {
        let object = layout::algorithm(id.0);
        let stored = match self.store.get(&object).await? {
            Some(bytes) => Some(read_document(&object, AlgorithmRecord::SCHEMA, &bytes)?),
            None => None,
        };
        match stored {
            Some(Stored { record, deleted: None }) => Ok(record),
            _ => Err(unknown("algorithm", &id.to_string(), [])),
        }
    }

    /// All algorithms by id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn algorithms(&self) -> Result<Vec<AlgorithmRecord>> {
        let mut records = Vec::new();
        for id in self.algorithm_ids().await? {
            match self.algorithm(id).await {
                Ok(record) => records.push(record),
                Err(Error::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Deletes an algorithm. Its id is never used again.
    ///
    /// # Errors
    /// If there is no such algorithm.
    pub async fn delete_algorithm(&self, id: AlgorithmId) -> Result<()> {
        let record = self.algorithm(id).await?;
        let object = layout::algorithm(id.0);
        let bytes = write_document(&object, &Stored { record, deleted: Some(now()) })?;
        Ok(self.store.put(&object, Bytes::from(bytes)).await?)
    }

    /// Every id that was ever used, rising.
    async fn algorithm_ids(&self) -> Result<Vec<AlgorithmId>> {
        let objects = self.store.list(layout::algorithms()).await?;
        let mut ids: Vec<_> =
            objects.iter().filter_map(|object| layout::id_of(object)).map(AlgorithmId).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use kge_store::Store;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn ids_count_from_one_and_never_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(Store::open(directory.path().to_str().unwrap()).unwrap());
        for id in 1..=3 {
            let made = catalog.create_algorithm(json!({"dim": id})).await.unwrap();
            assert_eq!(made, AlgorithmId(id));
        }
        catalog.delete_algorithm(AlgorithmId(3)).await.unwrap();
        assert_eq!(
            catalog.algorithm(AlgorithmId(3)).await.unwrap_err().to_string(),
            "there is no algorithm \"3\""
        );
        assert!(catalog.delete_algorithm(AlgorithmId(3)).await.is_err());
        let made = catalog.create_algorithm(json!({"dim": 4})).await.unwrap();
        assert_eq!(made, AlgorithmId(4));
        let left: Vec<_> = catalog.algorithms().await.unwrap();
        let left: Vec<_> = left.iter().map(|a| (a.id.0, a.algorithm["dim"].as_u64())).collect();
        assert_eq!(left, [(1, Some(1)), (2, Some(2)), (4, Some(4))]);
    }
}
