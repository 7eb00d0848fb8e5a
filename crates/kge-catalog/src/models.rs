//! Models: parts written under a fencing token, published by one object.

use bytes::Bytes;
use kge_model::ModelRecord;
use kge_store::{layout, read_document, write_document};
use serde::{Deserialize, Serialize};

use crate::catalog::{ATTEMPTS, now, to_the_end};
use crate::nearest::unknown;
use crate::{Catalog, DatasetId, Error, ModelId, Result};

/// The part whose hash is the model's digest; no model is published without it.
const EMBEDDINGS: &str = "embeddings.safetensors";

/// `reserved.json`: an id that is taken, for ever.
#[derive(Serialize, Deserialize)]
struct Reservation {
    schema: String,
    id: ModelId,
    dataset: DatasetId,
    created: String,
}

impl Reservation {
    const SCHEMA: &'static str = "kge.reservation/1";
}

/// `deleted.json`: a model that must not come back.
#[derive(Serialize)]
struct Tombstone {
    schema: &'static str,
    id: ModelId,
    deleted: String,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// False if another token's parts are the model already.
    pub published: bool,
    /// Whether the model answers for its dataset now.
    pub promoted: bool,
}

impl Catalog {
    /// Takes an id for a model that will be trained.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn reserve_model(&self, dataset: DatasetId) -> Result<ModelId> {
        self.manifest(dataset).await?;
        for _ in 0..ATTEMPTS {
            let id = ModelId(self.model_ids().await?.last().map_or(1, |last| last.0 + 1));
            let object = layout::model_reservation(id.0);
            let schema = Reservation::SCHEMA.into();
            let reservation = Reservation { schema, id, dataset, created: now() };
            let bytes = write_document(&object, &reservation)?;
            if self.store.put_if_absent(&object, Bytes::from(bytes)).await? {
                return Ok(id);
            }
        }
        Err(Error::Contended { what: layout::models().into() })
    }

    /// Writes one part of a model (`embeddings.safetensors`) under the writer's token. Nobody
    /// sees it before [`commit_model`](Self::commit_model).
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write_part(
        &self,
        model: ModelId,
        token: u64,
        part: &str,
        bytes: Bytes,
    ) -> Result<()> {
        Ok(self.store.put(&layout::model_part(model.0, token, part), bytes).await?)
    }

    /// Publishes a model with the parts of the record's token, unless another token was first,
    /// and enters it in its dataset. A dataset's first model is promoted, a later one if
    /// `promote` says so. May be repeated.
    ///
    /// # Errors
    /// If the dataset or the model's reservation is gone.
    pub async fn commit_model(&self, record: ModelRecord, promote: bool) -> Result<Committed> {
        let catalog = self.clone();
        to_the_end(async move { catalog.commit(record, promote).await }).await
    }

    /// A published model.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn model(&self, id: ModelId) -> Result<ModelRecord> {
        if self.is_deleted(id).await? {
            return Err(unknown_model(id));
        }
        self.record(id).await?.ok_or_else(|| unknown_model(id))
    }

    /// The published models of a dataset, oldest first.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn models(&self, dataset: DatasetId) -> Result<Vec<ModelRecord>> {
        let mut records = Vec::new();
        for id in self.manifest(dataset).await?.models {
            match self.model(id).await {
                Ok(record) => records.push(record),
                Err(Error::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// One part of a published model; the embeddings are checked against the model's digest.
    ///
    /// # Errors
    /// If there is no such model or part, or it is damaged.
    pub async fn model_part(&self, id: ModelId, part: &str) -> Result<Bytes> {
        let record = self.model(id).await?;
        let object = layout::model_part(id.0, record.token, part);
        match self.store.get(&object).await? {
            Some(bytes) if part == EMBEDDINGS => {
                self.checked(object, bytes, &record.embeddings_sha256).await
            }
            Some(bytes) => Ok(bytes),
            None if part == EMBEDDINGS => {
                Err(Error::Damaged { object, reason: "it is missing".into() })
            }
            None => Err(unknown("model part", &format!("{id}/{part}"), [])),
        }
    }

    /// Lets a model answer for its dataset.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn promote(&self, id: ModelId) -> Result<()> {
        let dataset = DatasetId(self.model(id).await?.dataset);
        let promoted = self.update_dataset(dataset, |dataset| {
            if !dataset.models.contains(&id) {
                dataset.models.push(id);
            }
            dataset.promoted = Some(id);
        });
        promoted.await?;
        if self.is_deleted(id).await? {
            self.strike(dataset, id).await?;
            return Err(unknown_model(id));
        }
        Ok(())
    }

    /// Deletes a model, published or only reserved. If it was promoted, the newest one left is.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn delete_model(&self, id: ModelId) -> Result<()> {
        let reservation = self.reservation(id).await?.ok_or_else(|| unknown_model(id))?;
        let catalog = self.clone();
        to_the_end(async move {
            // The tombstone comes first: whoever publishes now will find it.
            if !catalog.put_tombstone(id).await? {
                return Err(unknown_model(id));
            }
            catalog.strike(reservation.dataset, id).await?;
            catalog.remove_parts(id).await
        })
        .await
    }

    async fn commit(&self, record: ModelRecord, promote: bool) -> Result<Committed> {
        let id = ModelId(record.id);
        let token = record.token;
        let reservation = self.reservation(id).await?.ok_or_else(|| unknown_model(id))?;
        if reservation.dataset.0 != record.dataset || record.schema != ModelRecord::SCHEMA {
            let reason = format!(
                "model {id} is reserved for dataset {} with schema {}, not for dataset {} with {}",
                reservation.dataset,
                ModelRecord::SCHEMA,
                record.dataset,
                record.schema
            );
            return Err(Error::Invalid { what: "model", reason });
        }
        let embeddings = layout::model_part(id.0, token, EMBEDDINGS);
        if !self.store.exists(&embeddings).await? && self.record(id).await?.is_none() {
            let reason = "it must be written before its model is published".into();
            return Err(Error::Damaged { object: embeddings, reason });
        }
        let object = layout::model_record(id.0);
        let bytes = Bytes::from(write_document(&object, &record)?);
        let published = self.store.put_if_absent(&object, bytes).await?
            || self.record(id).await?.is_some_and(|first| first.token == token);
        if !published {
            self.store.delete_prefix(&layout::model_parts(id.0, token)).await?;
        }
        // Also after a lost race: the winner may have died before it came here.
        let entered = self.update_dataset(reservation.dataset, |dataset| {
            if !dataset.models.contains(&id) {
                dataset.models.push(id);
                if promote || dataset.promoted.is_none() {
                    dataset.promoted = Some(id);
                }
            }
        });
        match entered.await {
            Ok(_) if self.is_deleted(id).await? => {
                self.strike(reservation.dataset, id).await?;
                self.remove_parts(id).await?;
                Err(unknown_model(id))
            }
            Ok(dataset) => Ok(Committed { published, promoted: dataset.promoted == Some(id) }),
            Err(error @ Error::Unknown { .. }) => {
                self.put_tombstone(id).await?;
                self.remove_parts(id).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes every model of a deleted dataset, published or only reserved.
    pub(crate) async fn delete_models_of(&self, dataset: DatasetId) -> Result<()> {
        for id in self.model_ids().await? {
            let reservation = self.reservation(id).await?;
            if reservation.is_some_and(|reservation| reservation.dataset == dataset) {
                self.put_tombstone(id).await?;
                self.remove_parts(id).await?;
            }
        }
        Ok(())
    }

    /// Takes a model from its dataset's list; the newest one left answers in its place.
    async fn strike(&self, dataset: DatasetId, id: ModelId) -> Result<()> {
        let struck = self.update_dataset(dataset, |dataset| {
            dataset.models.retain(|&listed| listed != id);
            if dataset.promoted == Some(id) {
                dataset.promoted = dataset.models.last().copied();
            }
        });
        match struck.await {
            Ok(_) | Err(Error::Unknown { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes what a model was; its reservation and its tombstone stay.
    async fn remove_parts(&self, id: ModelId) -> Result<()> {
        self.store.delete(&layout::model_record(id.0)).await?;
        for folder in self.store.list_folders(&layout::model(id.0)).await? {
            self.store.delete_prefix(&folder).await?;
        }
        Ok(())
    }

    async fn put_tombstone(&self, id: ModelId) -> Result<bool> {
        let object = layout::model_tombstone(id.0);
        let tombstone = Tombstone { schema: "kge.tombstone/1", id, deleted: now() };
        let bytes = write_document(&object, &tombstone)?;
        Ok(self.store.put_if_absent(&object, Bytes::from(bytes)).await?)
    }

    async fn is_deleted(&self, id: ModelId) -> Result<bool> {
        Ok(self.store.exists(&layout::model_tombstone(id.0)).await?)
    }

    async fn record(&self, id: ModelId) -> Result<Option<ModelRecord>> {
        let object = layout::model_record(id.0);
        match self.store.get(&object).await? {
            Some(bytes) => Ok(Some(read_document(&object, ModelRecord::SCHEMA, &bytes)?)),
            None => Ok(None),
        }
    }

    async fn reservation(&self, id: ModelId) -> Result<Option<Reservation>> {
        let object = layout::model_reservation(id.0);
        match self.store.get(&object).await? {
            Some(bytes) => Ok(Some(read_document(&object, Reservation::SCHEMA, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Every id that was ever used, rising.
    async fn model_ids(&self) -> Result<Vec<ModelId>> {
        let folders = self.store.list_folders(layout::models()).await?;
        let mut ids: Vec<_> =
            folders.iter().filter_map(|folder| layout::id_of(folder)).map(ModelId).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

fn unknown_model(id: ModelId) -> Error {
    unknown("model", &id.to_string(), [])
}

#[cfg(test)]
mod tests;
