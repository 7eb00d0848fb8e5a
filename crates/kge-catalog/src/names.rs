//! Unique names: `names/<digest>/` is a folder of numbered records that say who holds the name.
//!
//! A record counts only while the dataset it names is there under that name, so a claim whose
//! maker died is taken over, after a moment's patience: the maker might be about to write.

use std::time::Duration;

use kge_store::{layout, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::catalog::ATTEMPTS;
use crate::{Catalog, DatasetId, Error, Result};

const SCHEMA: &str = "kge.name/1";
/// How often, and how long each time, a claim without its dataset is waited for.
const PATIENCE: u32 = 20;
const MOMENT: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct NameRecord {
    schema: String,
    name: String,
    dataset: Option<DatasetId>,
}

impl Catalog {
    /// Who claims a name, whether or not the dataset is there.
    pub(crate) async fn claimant(&self, name: &str) -> Result<Option<DatasetId>> {
        Ok(self.name_record(name).await?.1)
    }

    /// Enters `id` as the holder of a name; `own` is an earlier claim of the caller's.
    pub(crate) async fn claim_name(
        &self,
        name: &str,
        id: DatasetId,
        own: Option<DatasetId>,
    ) -> Result<()> {
        let mut patience = PATIENCE;
        for _ in 0..ATTEMPTS {
            let (number, claimant) = self.name_record(name).await?;
            match claimant {
                Some(other) if other == id => return Ok(()),
                Some(other) if self.is_named(other, name).await? => {
                    return Err(Error::NameTaken { name: name.to_owned() });
                }
                Some(other) if own != Some(other) && patience > 0 => {
                    patience -= 1;
                    tokio::time::sleep(MOMENT).await;
                    continue;
                }
                _ => {}
            }
            if self.write_name(name, number + 1, Some(id)).await? {
                return Ok(());
            }
        }
        Err(Error::Contended { what: format!("the name \"{name}\"") })
    }

    /// Lets a name go, if `id` holds it.
    pub(crate) async fn release_name(&self, name: &str, id: DatasetId) -> Result<()> {
        loop {
            let (number, claimant) = self.name_record(name).await?;
            if claimant != Some(id) || self.write_name(name, number + 1, None).await? {
                return Ok(());
            }
        }
    }

    /// Whether a dataset is there under this name.
    pub(crate) async fn is_named(&self, id: DatasetId, name: &str) -> Result<bool> {
        match self.manifest(id).await {
            Ok(dataset) => Ok(dataset.name == name),
            Err(Error::Unknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn name_record(&self, name: &str) -> Result<(u32, Option<DatasetId>)> {
        let folder = layout::name(&sha256_hex(name.as_bytes()));
        let held = self.store.latest::<NameRecord>(&folder, SCHEMA).await?;
        Ok(held.map_or((0, None), |(number, record)| (number, record.dataset)))
    }

    async fn write_name(
        &self,
        name: &str,
        number: u32,
        dataset: Option<DatasetId>,
    ) -> Result<bool> {
        let folder = layout::name(&sha256_hex(name.as_bytes()));
        let record = NameRecord { schema: SCHEMA.into(), name: name.to_owned(), dataset };
        Ok(self.store.publish(&folder, number, &record).await?)
    }
}
