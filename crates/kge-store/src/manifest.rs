//! Numbered manifests: what changes is a folder of immutable documents, the highest number holds.
//!
//! A manifest is made by put-if-absent of the next number, after everything it names is durable.
//! Of two writers that read the same number one wins; the other reloads and tries again.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result, Store, layout, read_document, write_document};

impl Store {
    /// The manifest that holds in a folder, and its number; `None` if there never was one.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or has a newer schema than `schema` (`kge.dataset/1`).
    pub async fn latest<T: DeserializeOwned>(
        &self,
        folder: &str,
        schema: &str,
    ) -> Result<Option<(u32, T)>> {
        let names = self.list(folder).await?;
        let Some(number) = names.iter().filter_map(|name| layout::manifest_number(name)).max()
        else {
            return Ok(None);
        };
        let object = layout::manifest(folder, number);
        let bytes = self.get(&object).await?.ok_or_else(|| Error::Damaged {
            object: object.clone(),
            reason: "it was listed and is gone".into(),
        })?;
        Ok(Some((number, read_document(&object, schema, &bytes)?)))
    }

    /// Publishes manifest `number` of a folder: the number last read plus one, or 1. False if
    /// somebody else made it first; then reload and try again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn publish<T: Serialize>(
        &self,
        folder: &str,
        number: u32,
        manifest: &T,
    ) -> Result<bool> {
        let object = layout::manifest(folder, number);
        let bytes = write_document(&object, manifest)?;
        self.put_if_absent(&object, Bytes::from(bytes)).await
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    const SCHEMA: &str = "kge.count/1";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Count {
        schema: String,
        count: u32,
    }

    fn count(count: u32) -> Count {
        Count { schema: SCHEMA.into(), count }
    }

    #[tokio::test]
    async fn the_highest_number_holds_and_losers_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        assert_eq!(store.latest::<Count>("counts", SCHEMA).await.unwrap(), None);
        assert!(store.publish("counts", 1, &count(1)).await.unwrap());
        assert!(store.publish("counts", 2, &count(2)).await.unwrap());
        assert!(!store.publish("counts", 2, &count(3)).await.unwrap());
        let held = store.latest::<Count>("counts", SCHEMA).await.unwrap();
        assert_eq!(held, Some((2, count(2))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sixteen_writers_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().to_str().unwrap();
        let writers = (0..16).map(|_| {
            let store = Store::open(location).unwrap();
            tokio::spawn(async move {
                loop {
                    let held = store.latest::<Count>("counts", SCHEMA).await.unwrap();
                    let (number, held) = held.unwrap_or((0, count(0)));
                    if store.publish("counts", number + 1, &count(held.count + 1)).await.unwrap() {
                        break;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let store = Store::open(location).unwrap();
        let held = store.latest::<Count>("counts", SCHEMA).await.unwrap();
        assert_eq!(held, Some((16, count(16))));
    }
}
