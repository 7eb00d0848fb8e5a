//! Uploads that are too large to be taken at once: kept whole until an import task has read them.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use kge_store::{Upload, layout};

use crate::{Catalog, Error, Result, nearest::unknown};

impl Catalog {
    /// Begins an upload; the name is what [`upload`](Self::upload) finds it by once it is finished.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn begin_upload(&self) -> Result<(String, Upload)> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Error::Internal(error.to_string()))?;
        let name = format!("{:032x}", u128::from_le_bytes(random));
        let upload = self.store.write(&layout::upload(&name)).await?;
        Ok((name, upload))
    }

    /// The bytes of an upload, piece by piece.
    ///
    /// # Errors
    /// If there is no such upload; pieces may fail too.
    pub async fn upload(
        &self,
        name: &str,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        let pieces = self.store.read(&layout::upload(name)).await?;
        Ok(pieces.ok_or_else(|| unknown("upload", name, []))?.map_err(Error::from))
    }

    /// Removes an upload that has been read, or never will be.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn remove_upload(&self, name: &str) -> Result<()> {
        Ok(self.store.delete(&layout::upload(name)).await?)
    }
}
