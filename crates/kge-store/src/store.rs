//! Objects by name: made once, read whole, listed by folder.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::{Error, Result, access, upload::Upload};

/// The artifact store of one location. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    objects: Arc<LocalFileSystem>,
    location: Arc<str>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.location)
    }
}

impl Store {
    /// Opens a directory, or makes it, and proves by writing a file that it can be written.
    ///
    /// `location` is a path or a `file://` URL. Blocks for a few system calls.
    ///
    /// # Errors
    /// [`Error::NotWritable`] says in one line which directory, which UID and what to do;
    /// [`Error::Location`] for URLs of another kind.
    pub fn open(location: &str) -> Result<Self> {
        let refuse = |reason: String| Error::Location { location: location.to_owned(), reason };
        let directory = match location.split_once("://") {
            None if location.is_empty() => return Err(refuse("the name is empty".into())),
            None => location,
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => return Err(refuse("expected file:///absolute/path".into())),
            Some((scheme, _)) => {
                return Err(refuse(format!(
                    "this release keeps artifacts in a directory, it has no {scheme} client; \
                     give a path"
                )));
            }
        };
        let directory = std::path::Path::new(directory);
        access::ensure_writable(directory)?;
        let objects = LocalFileSystem::new_with_prefix(directory)
            .map_err(|error| refuse(error.to_string()))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(objects), location: location.into() })
    }

    /// Where it is, as it was given to [`open`](Self::open).
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Makes an object; false if there was one already, which stays as it is. Durable when it
    /// returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put_if_absent(&self, object: &str, bytes: Bytes) -> Result<bool> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&path("write", object)?, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(refused("write", object, &error)),
        }
    }

    /// Makes or replaces an object. Durable when it returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, object: &str, bytes: Bytes) -> Result<()> {
        let put = self.objects.put(&path("write", object)?, bytes.into()).await;
        put.map(drop).map_err(|error| refused("write", object, &error))
    }

    /// The bytes of an object, or `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn get(&self, object: &str) -> Result<Option<Bytes>> {
        match self.objects.get(&path("read", object)?).await {
            Ok(found) => {
                found.bytes().await.map(Some).map_err(|error| refused("read", object, &error))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused("read", object, &error)),
        }
    }

    /// The bytes of an object piece by piece, or `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read; pieces may fail too.
    pub async fn read(
        &self,
        object: &str,
    ) -> Result<Option<impl Stream<Item = Result<Bytes>> + Send + use<>>> {
        let name = object.to_owned();
        match self.objects.get(&path("read", object)?).await {
            Ok(found) => {
                Ok(Some(found.into_stream().map_err(move |error| refused("read", &name, &error))))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused("read", object, &error)),
        }
    }

    /// Begins an object that is written piece by piece and cannot be seen before its end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write(&self, object: &str) -> Result<Upload> {
        let begun = self.objects.put_multipart(&path("write", object)?).await;
        let begun = begun.map_err(|error| refused("write", object, &error))?;
        Ok(Upload::new(object, begun))
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn exists(&self, object: &str) -> Result<bool> {
        match self.objects.head(&path("read", object)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(refused("read", object, &error)),
        }
    }

    /// Full names of the objects directly in a folder, sorted; none if there is no folder.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.listing(folder).await?;
        Ok(sorted(listed.objects.iter().map(|object| object.location.to_string())))
    }

    /// Full names of the folders directly in a folder, sorted; none if there is no folder.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.listing(folder).await?;
        Ok(sorted(listed.common_prefixes.iter().map(ToString::to_string)))
    }

    /// Removes an object; nothing happens if there is none.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn delete(&self, object: &str) -> Result<()> {
        match self.objects.delete(&path("delete", object)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused("delete", object, &error)),
        }
    }

    /// Removes every object below a folder, at any depth.
    ///
    /// # Errors
    /// If one of them cannot be removed; some may be gone then.
    pub async fn delete_prefix(&self, folder: &str) -> Result<()> {
        let listed: Vec<_> = self
            .objects
            .list(Some(&path("delete", folder)?))
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await
            .map_err(|error| refused("delete", folder, &error))?;
        futures_util::stream::iter(listed)
            .map(|object| async move { self.delete(&object).await })
            .buffer_unordered(8)
            .try_collect()
            .await
    }

    async fn listing(&self, folder: &str) -> Result<object_store::ListResult> {
        let listed = self.objects.list_with_delimiter(Some(&path("list", folder)?)).await;
        listed.map_err(|error| refused("list", folder, &error))
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

fn path(action: &'static str, object: &str) -> Result<Path> {
    Path::parse(object).map_err(|error| refused(action, object, &error))
}

/// The store's own words, with those of its causes, on one line.
pub(crate) fn refused(action: &'static str, object: &str, error: &dyn std::error::Error) -> Error {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !reason.contains(&words) {
            reason += &format!(": {words}");
        }
        cause = inner.source();
    }
    Error::Object { action, object: object.to_owned(), reason: reason.replace('\n', " ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        (directory, store)
    }

    #[tokio::test]
    async fn objects_are_made_once_and_listed_by_folder() {
        let (directory, store) = store();
        assert_eq!(store.list("a").await.unwrap(), [""; 0]);
        assert_eq!(store.get("a/1").await.unwrap(), None);
        assert!(store.put_if_absent("a/1", Bytes::from_static(b"one")).await.unwrap());
        assert!(!store.put_if_absent("a/1", Bytes::from_static(b"two")).await.unwrap());
        store.put("a/b/2", Bytes::from_static(b"two")).await.unwrap();
        store.put("a/b/c/3", Bytes::from_static(b"three")).await.unwrap();
        assert_eq!(store.get("a/1").await.unwrap().unwrap(), "one");
        assert!(store.exists("a/1").await.unwrap());
        assert!(!store.exists("a/2").await.unwrap());
        assert_eq!(store.list("a").await.unwrap(), ["a/1"]);
        assert_eq!(store.list_folders("a").await.unwrap(), ["a/b"]);

        store.delete("a/1").await.unwrap();
        store.delete("a/1").await.unwrap();
        store.delete_prefix("a/b").await.unwrap();
        assert_eq!(store.list("a/b/c").await.unwrap(), [""; 0]);

        let again = Store::open(&format!("file://{}", directory.path().display())).unwrap();
        again.put("x", Bytes::new()).await.unwrap();
        assert!(store.exists("x").await.unwrap());
    }

    #[tokio::test]
    async fn objects_are_written_and_read_in_pieces() {
        let (_directory, store) = store();
        let mut upload = store.write("uploads/1").await.unwrap();
        let piece = Bytes::from(vec![7; 3 << 20]);
        for _ in 0..5 {
            upload.put(piece.clone()).await.unwrap();
        }
        assert!(!store.exists("uploads/1").await.unwrap());
        upload.finish().await.unwrap();
        let pieces: Vec<Bytes> =
            store.read("uploads/1").await.unwrap().unwrap().try_collect().await.unwrap();
        assert!(pieces.len() > 1);
        assert_eq!(pieces.concat(), [7; 15 << 20]);
        assert!(store.read("uploads/2").await.unwrap().is_none());

        let mut left = store.write("uploads/3").await.unwrap();
        left.put(piece).await.unwrap();
        left.abandon().await;
        assert_eq!(store.list("uploads").await.unwrap(), ["uploads/1"]);
    }

    #[tokio::test]
    async fn names_cannot_leave_the_store() {
        let (_directory, store) = store();
        let error = store.get("models/../../secret").await.unwrap_err().to_string();
        assert!(error.starts_with("cannot read models/../../secret: "), "{error}");
    }

    #[test]
    fn other_locations_are_refused_in_words() {
        let refused = |location| Store::open(location).unwrap_err().to_string();
        assert_eq!(
            refused("s3://bucket/x"),
            "cannot keep artifacts in s3://bucket/x: this release keeps artifacts in a \
             directory, it has no s3 client; give a path"
        );
        assert_eq!(
            refused("file://x"),
            "cannot keep artifacts in file://x: expected file:///absolute/path"
        );
        assert_eq!(refused(""), "cannot keep artifacts in : the name is empty");
    }
}
