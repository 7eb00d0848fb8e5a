//! Making, reading, changing and deleting datasets.

use crate::{Catalog, Dataset, DatasetId, NewDataset, Result};

impl Catalog {
    /// All datasets by id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn datasets(&self) -> Result<Vec<Dataset>> {
        todo!()
    }

    /// One dataset.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn dataset(&self, id: DatasetId) -> Result<Dataset> {
        let _ = id;
        todo!()
    }

    /// A dataset by name, or else by id.
    ///
    /// # Errors
    /// If there is no such dataset; names the nearest.
    pub async fn find_dataset(&self, name_or_id: &str) -> Result<Dataset> {
        let _ = name_or_id;
        todo!()
    }

    /// Makes a dataset.
    ///
    /// # Errors
    /// [`Error::NameTaken`](crate::Error::NameTaken);
    /// [`Error::Invalid`](crate::Error::Invalid) for a type above 2 or a name that is empty or
    /// longer than 2,048 bytes.
    pub async fn create_dataset(&self, new: NewDataset) -> Result<Dataset> {
        let _ = new;
        todo!()
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
        let _ = (id, change);
        todo!()
    }

    /// As [`update_dataset`](Self::update_dataset), but only if the dataset still has this ETag
    /// (`If-Match`).
    ///
    /// # Errors
    /// Also [`Error::Changed`](crate::Error::Changed).
    pub async fn update_dataset_if(
        &self,
        id: DatasetId,
        etag: &str,
        change: impl FnMut(&mut Dataset) + Send,
    ) -> Result<Dataset> {
        let _ = (id, etag, change);
        todo!()
    }

    /// Deletes a dataset with its models, and frees its name. Its id is never used again.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn delete_dataset(&self, id: DatasetId) -> Result<()> {
        let _ = id;
        todo!()
    }
}
