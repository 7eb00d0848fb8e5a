//! Making, reading, changing and deleting datasets.

use std::time::Duration;

use kge_store::layout;
use tokio::task::JoinSet;

use crate::catalog::{ATTEMPTS, now, to_the_end};
use crate::dataset::Manifest;
use crate::nearest::unknown;
use crate::normalise::check_name;
use crate::{Catalog, Counts, Dataset, DatasetId, Error, NewDataset, Result, pending};

impl Catalog {
    /// All datasets by id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn datasets(&self) -> Result<Vec<Dataset>> {
        let mut reading = JoinSet::new();
        let mut datasets = Vec::new();
        let mut ids = self.dataset_ids().await?.into_iter();
        loop {
            while reading.len() < 32
                && let Some(id) = ids.next()
            {
                let catalog = self.clone();
                reading.spawn(async move { catalog.dataset(id).await });
            }
            let Some(read) = reading.join_next().await else { break };
            match read.map_err(|error| Error::Internal(error.to_string()))? {
                Ok(dataset) => datasets.push(dataset),
                Err(Error::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        datasets.sort_unstable_by_key(|dataset| dataset.id);
        Ok(datasets)
    }

    /// One dataset, with what is pending counted.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn dataset(&self, id: DatasetId) -> Result<Dataset> {
        for _ in 0..ATTEMPTS {
            let mut dataset = self.snapshot(id).await?;
            if dataset.has_pending() {
                let object = layout::pending_file(id.0, dataset.through);
                let Some(bytes) = self.store.get(&object).await? else { continue };
                dataset.counts = pending::counts(&object, &bytes)?;
            }
            return Ok(dataset);
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    /// A dataset by name, or else by id.
    ///
    /// # Errors
    /// If there is no such dataset; names the nearest.
    pub async fn find_dataset(&self, name_or_id: &str) -> Result<Dataset> {
        if let Some(id) = self.claimant(name_or_id).await?
            && self.is_named(id, name_or_id).await?
        {
            return self.dataset(id).await;
        }
        if let Ok(id) = name_or_id.parse() {
            return self.dataset(id).await;
        }
        let datasets = self.datasets().await?;
        Err(unknown("dataset", name_or_id, datasets.iter().map(|dataset| dataset.name.as_str())))
    }

    /// Makes a dataset.
    ///
    /// # Errors
    /// [`Error::NameTaken`]; [`Error::Invalid`] for a type above 2 or a name that is empty or
    /// longer than 2,048 bytes.
    pub async fn create_dataset(&self, new: NewDataset) -> Result<Dataset> {
        if let Some(name) = &new.name {
            check_name(name)?;
        }
        if new.dataset_type > 2 {
            let reason = format!("it is {}, expected 0, 1 or 2", new.dataset_type);
            return Err(Error::Invalid { what: "dataset_type", reason });
        }
        let catalog = self.clone();
        to_the_end(async move { catalog.make_dataset(new).await }).await
    }

    /// Changes a dataset; the change is tried again on the newest manifest when others were
    /// quicker. Returns the dataset as it is now ([`Dataset::etag`]).
    ///
    /// # Errors
    /// If there is no such dataset, or a new name is taken.
    pub async fn update_dataset(
        &self,
        id: DatasetId,
        change: impl FnMut(&mut Dataset) + Send,
    ) -> Result<Dataset> {
        self.update(id, None, change).await
    }

    /// As [`update_dataset`](Self::update_dataset), but only if the dataset still has this ETag
    /// (`If-Match`).
    ///
    /// # Errors
    /// Also [`Error::Changed`].
    pub async fn update_dataset_if(
        &self,
        id: DatasetId,
        etag: &str,
        change: impl FnMut(&mut Dataset) + Send,
    ) -> Result<Dataset> {
        self.update(id, Some(etag), change).await
    }

    /// Deletes a dataset with its models, and frees its name. Its id is never used again.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn delete_dataset(&self, id: DatasetId) -> Result<()> {
        let catalog = self.clone();
        to_the_end(async move {
            let dataset = catalog.bury(id).await?;
            catalog.shared.live.forget(id);
            catalog.release_name(&dataset.name, id).await?;
            catalog.store.delete_prefix(&layout::pending(id.0)).await?;
            catalog.delete_models_of(id).await
        })
        .await
    }

    /// The manifest that holds, with its number; the counts are those of the sealed revision.
    pub(crate) async fn manifest(&self, id: DatasetId) -> Result<Dataset> {
        let folder = layout::dataset(id.0);
        match self.store.latest::<Manifest>(&folder, Dataset::SCHEMA).await? {
            Some((version, Manifest { mut dataset, deleted: None })) => {
                dataset.version = version;
                dataset.through = dataset.pending;
                Ok(dataset)
            }
            _ => Err(unknown("dataset", &id.to_string(), [])),
        }
    }

    pub(crate) async fn write_manifest(
        &self,
        number: u32,
        dataset: Dataset,
        deleted: Option<String>,
    ) -> Result<bool> {
        let folder = layout::dataset(dataset.id.0);
        Ok(self.store.publish(&folder, number, &Manifest { dataset, deleted }).await?)
    }

    async fn update(
        &self,
        id: DatasetId,
        etag: Option<&str>,
        mut change: impl FnMut(&mut Dataset) + Send,
    ) -> Result<Dataset> {
        for attempt in 0..ATTEMPTS {
            let held = self.snapshot(id).await?;
            if let Some(expected) = etag.filter(|etag| *etag != held.etag()) {
                let (expected, found) = (expected.to_owned(), held.etag());
                return Err(Error::Changed { dataset: id, expected, found });
            }
            let mut dataset = held.clone();
            change(&mut dataset);
            if dataset == held {
                return self.dataset(id).await;
            }
            dataset.schema = Dataset::SCHEMA.into();
            dataset.id = id;
            dataset.updated = now();
            let renamed = (dataset.name != held.name).then(|| dataset.name.clone());
            if let Some(name) = &renamed {
                check_name(name)?;
                self.claim_name(name, id, None).await?;
            }
            let written = self.write_manifest(held.version + 1, dataset, None).await?;
            if let Some(name) = &renamed {
                self.release_name(if written { &held.name } else { name }, id).await?;
            }
            if written {
                return self.dataset(id).await;
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)))).await;
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    async fn make_dataset(&self, new: NewDataset) -> Result<Dataset> {
        let _one_at_a_time = self.shared.creating.lock().await;
        let mut own = None;
        for _ in 0..ATTEMPTS {
            let next = self.dataset_ids().await?.last().map_or(1, |last| last.0 + 1);
            let id = DatasetId(next);
            let name = match &new.name {
                Some(name) => {
                    self.claim_name(name, id, own).await?;
                    name.clone()
                }
                None => self.claim_some_name(id).await?,
            };
            let created = now();
            let dataset = Dataset {
                schema: Dataset::SCHEMA.into(),
                id,
                name: name.clone(),
                description: new.description.clone(),
                dataset_type: new.dataset_type,
                revision: None,
                counts: Counts::default(),
                pending: 0,
                models: Vec::new(),
                promoted: None,
                algorithm: None,
                task: None,
                updated: created.clone(),
                created,
                version: 0,
                through: 0,
            };
            if !self.write_manifest(1, dataset, None).await? {
                // Another process took the id; the name is still ours.
                own = Some(id);
                if new.name.is_none() {
                    self.release_name(&name, id).await?;
                }
                continue;
            }
            // Whoever lost patience with us has the name now.
            if self.claimant(&name).await? != Some(id) {
                self.bury(id).await?;
                return Err(Error::NameTaken { name });
            }
            return self.dataset(id).await;
        }
        Err(Error::Contended { what: layout::datasets().into() })
    }

    /// `dataset 7`, or `dataset 7 (2)` if somebody has named theirs so.
    async fn claim_some_name(&self, id: DatasetId) -> Result<String> {
        let mut name = format!("dataset {id}");
        for number in 2.. {
            match self.claim_name(&name, id, None).await {
                Err(Error::NameTaken { .. }) => name = format!("dataset {id} ({number})"),
                claimed => return claimed.map(|()| name),
            }
        }
        Err(Error::Contended { what: name })
    }

    /// Puts a tombstone after a dataset's last manifest.
    async fn bury(&self, id: DatasetId) -> Result<Dataset> {
        for _ in 0..ATTEMPTS {
            let dataset = self.manifest(id).await?;
            if self.write_manifest(dataset.version + 1, dataset.clone(), Some(now())).await? {
                return Ok(dataset);
            }
        }
        Err(Error::Contended { what: layout::dataset(id.0) })
    }

    /// Every id that was ever used, rising.
    async fn dataset_ids(&self) -> Result<Vec<DatasetId>> {
        let folders = self.store.list_folders(layout::datasets()).await?;
        let mut ids: Vec<_> =
            folders.iter().filter_map(|folder| layout::id_of(folder)).map(DatasetId).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
