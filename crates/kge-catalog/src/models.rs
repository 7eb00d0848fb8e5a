//! Models: parts written under a fencing token, published by one object.

use bytes::Bytes;
use kge_model::ModelRecord;

use crate::{Catalog, DatasetId, ModelId, Result};

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
        let _ = dataset;
        todo!()
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
        let _ = (model, token, part, bytes);
        todo!()
    }

    /// Publishes a model with the parts of the record's token, unless another token was first,
    /// and enters it in its dataset. A dataset's first model is promoted, a later one if
    /// `promote` says so. May be repeated.
    ///
    /// # Errors
    /// If the dataset or the model's reservation is gone.
    pub async fn commit_model(&self, record: ModelRecord, promote: bool) -> Result<Committed> {
        let _ = (record, promote);
        todo!()
    }

    /// A published model.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn model(&self, id: ModelId) -> Result<ModelRecord> {
        let _ = id;
        todo!()
    }

    /// The published models of a dataset, oldest first.
    ///
    /// # Errors
    /// If there is no such dataset.
    pub async fn models(&self, dataset: DatasetId) -> Result<Vec<ModelRecord>> {
        let _ = dataset;
        todo!()
    }

    /// One part of a published model; the embeddings are checked against the model's digest.
    ///
    /// # Errors
    /// If there is no such model or part, or it is damaged.
    pub async fn model_part(&self, id: ModelId, part: &str) -> Result<Bytes> {
        let _ = (id, part);
        todo!()
    }

    /// Lets a model answer for its dataset.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn promote(&self, id: ModelId) -> Result<()> {
        let _ = id;
        todo!()
    }

    /// Deletes a model, published or only reserved. If it was promoted, the newest one left is.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn delete_model(&self, id: ModelId) -> Result<()> {
        let _ = id;
        todo!()
    }
}
