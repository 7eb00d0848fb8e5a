//! An object on its way in: written piece by piece, seen by nobody before its end.

use bytes::Bytes;
use object_store::{MultipartUpload, WriteMultipart};

use crate::{Result, store::refused};

/// Pieces that may be on their way to the store at once.
const UNDER_WAY: usize = 2;

/// An object that is being written; dropping it leaves nothing to be found.
#[derive(Debug)]
pub struct Upload {
    object: String,
    parts: WriteMultipart,
}

impl Upload {
    pub(crate) fn new(object: &str, begun: Box<dyn MultipartUpload>) -> Self {
        Self { object: object.to_owned(), parts: WriteMultipart::new(begun) }
    }

    /// Appends a piece; waits while the store is behind.
    ///
    /// # Errors
    /// If an earlier piece could not be written.
    pub async fn put(&mut self, piece: Bytes) -> Result<()> {
        let ready = self.parts.wait_for_capacity(UNDER_WAY).await;
        ready.map_err(|error| refused("write", &self.object, &error))?;
        self.parts.put(piece);
        Ok(())
    }

    /// Ends the object. Durable, and there, when it returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn finish(self) -> Result<()> {
        let finished = self.parts.finish().await;
        finished.map(drop).map_err(|error| refused("write", &self.object, &error))
    }

    /// Gives it up and removes what was written.
    pub async fn abandon(self) {
        // Whatever stays is no object; the store forgets it in time.
        let _ = self.parts.abort().await;
    }
}
