//! API keys: what a bearer may do. Only a key's SHA-256 is kept, so the store gives none away.

use std::{collections::BTreeSet, fmt, str::FromStr};

use bytes::Bytes;
use jiff::Timestamp;
use kge_store::{layout, read_document, sha256_hex, write_document};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{Catalog, DatasetId, Error, Result, catalog::now, nearest::unknown};

/// Hex digits of the hash that name a key.
const ID_DIGITS: usize = 12;

/// The shortest key taken from outside; ours have 68 characters.
const SHORTEST: usize = 20;

/// One thing a key may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading and asking; every other scope may too.
    Read,
    /// Changing datasets, algorithms and models.
    Write,
    /// Starting and stopping tasks.
    Train,
    /// Adding and deleting plugins.
    Plugins,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them, weakest first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Train, Self::Plugins, Self::Admin];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Train => "train",
            Self::Plugins => "plugins",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == name);
        found.ok_or_else(|| {
            format!(
                "there is no scope \"{name}\"; there are {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}

/// What a key is made from.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whom or what it is for.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// The only datasets it may touch; `None` for all.
    pub datasets: Option<BTreeSet<DatasetId>>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// A key, without the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// `kge.key/1`.
    pub schema: String,
    /// The first digits of its hash.
    pub id: String,
    /// Whom or what it is for.
    pub name: String,
    /// SHA-256 of the key, in hex.
    pub sha256: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// The only datasets it may touch; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasets: Option<BTreeSet<DatasetId>>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl KeyRecord {
    /// The schema this release writes and reads.
    pub const SCHEMA: &'static str = "kge.key/1";

    /// Whether it allows what `scope` stands for.
    pub fn allows(&self, scope: Scope) -> bool {
        scope == Scope::Read || self.scopes.contains(&Scope::Admin) || self.scopes.contains(&scope)
    }

    /// Whether it has ended.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// When a key was last used, to the minute.
#[derive(Serialize, Deserialize)]
struct Used {
    schema: String,
    last: String,
}

impl Used {
    const SCHEMA: &'static str = "kge.key-used/1";
}

impl Catalog {
    /// Makes a key. It is in the answer and nowhere else.
    ///
    /// # Errors
    /// If nothing is allowed by it, or it cannot be written.
    pub async fn create_key(&self, new: NewKey) -> Result<(String, KeyRecord)> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Error::Internal(error.to_string()))?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("kge_{digits}");
        let record = self.enter_key(&key, new).await?;
        Ok((key, record))
    }

    /// Enters a key that was made elsewhere; one that is there already stays as it is.
    ///
    /// # Errors
    /// If it is short enough to be guessed, or nothing is allowed by it.
    pub async fn enter_key(&self, key: &str, new: NewKey) -> Result<KeyRecord> {
        let invalid = |reason: &str| Err(Error::Invalid { what: "key", reason: reason.into() });
        if key.len() < SHORTEST || key.contains(char::is_whitespace) {
            return invalid("expected at least 20 characters without spaces; openssl rand -hex 32");
        }
        if new.scopes.is_empty() {
            return invalid("a key without scopes allows nothing");
        }
        let sha256 = sha256_hex(key.as_bytes());
        let id = sha256[..ID_DIGITS].to_owned();
        let NewKey { name, scopes, datasets, expires } = new;
        let schema = KeyRecord::SCHEMA.into();
        let record =
            KeyRecord { schema, id, name, sha256, scopes, datasets, created: now(), expires };
        let object = layout::key(&record.id);
        let bytes = write_document(&object, &record)?;
        match self.store.put_if_absent(&object, Bytes::from(bytes)).await? {
            true => Ok(record),
            false => self.key(&record.id).await,
        }
    }

    /// The record of a key that somebody shows, expired or not; `None` if there is no such key.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn key_shown(&self, key: &str) -> Result<Option<KeyRecord>> {
        let sha256 = sha256_hex(key.as_bytes());
        match self.key(&sha256[..ID_DIGITS]).await {
            Ok(record) => {
                let same: bool = record.sha256.as_bytes().ct_eq(sha256.as_bytes()).into();
                Ok(same.then_some(record))
            }
            Err(Error::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A key by its id.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn key(&self, id: &str) -> Result<KeyRecord> {
        if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown("key", id, []));
        }
        let object = layout::key(id);
        let bytes = self.store.get(&object).await?;
        let bytes = bytes.ok_or_else(|| unknown("key", id, []))?;
        Ok(read_document(&object, KeyRecord::SCHEMA, &bytes)?)
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>> {
        let mut records = Vec::new();
        for object in self.store.list(layout::keys()).await? {
            if let Some(bytes) = self.store.get(&object).await? {
                records.push(read_document::<KeyRecord>(&object, KeyRecord::SCHEMA, &bytes)?);
            }
        }
        records.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        Ok(records)
    }

    /// Takes a key back. Servers notice within a second.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn revoke_key(&self, id: &str) -> Result<()> {
        self.key(id).await?;
        self.store.delete(&layout::key(id)).await?;
        Ok(self.store.delete(&layout::key_used(id)).await?)
    }

    /// Notes that a key was used now.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn note_key_used(&self, id: &str) -> Result<()> {
        let object = layout::key_used(id);
        let bytes = write_document(&object, &Used { schema: Used::SCHEMA.into(), last: now() })?;
        Ok(self.store.put(&object, Bytes::from(bytes)).await?)
    }

    /// When a key was last used, RFC 3339, to the minute; `None` if never.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn key_last_used(&self, id: &str) -> Result<Option<String>> {
        let object = layout::key_used(id);
        let Some(bytes) = self.store.get(&object).await? else { return Ok(None) };
        Ok(Some(read_document::<Used>(&object, Used::SCHEMA, &bytes)?.last))
    }
}

#[cfg(test)]
mod tests {
    use kge_store::Store;

    use super::*;

    fn new(name: &str, scopes: &[Scope]) -> NewKey {
        let scopes = scopes.iter().copied().collect();
        NewKey { name: name.into(), scopes, datasets: None, expires: None }
    }

    #[tokio::test]
    async fn a_key_is_known_by_what_it_is_until_it_is_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(Store::open(directory.path().to_str().unwrap()).unwrap());
        let (key, record) = catalog.create_key(new("ci", &[Scope::Write])).await.unwrap();
        assert_eq!(catalog.key_shown(&key).await.unwrap(), Some(record.clone()));
        assert_eq!(catalog.key_shown(&key[..60]).await.unwrap(), None);
        assert!(record.allows(Scope::Write) && record.allows(Scope::Read));
        assert!(!record.allows(Scope::Train) && !record.allows(Scope::Admin));

        let stored = directory.path().join(layout::key(&record.id));
        assert!(!std::fs::read_to_string(stored).unwrap().contains(&key[4..]));

        assert_eq!(catalog.key_last_used(&record.id).await.unwrap(), None);
        catalog.note_key_used(&record.id).await.unwrap();
        assert!(catalog.key_last_used(&record.id).await.unwrap().is_some());
        assert_eq!(catalog.keys().await.unwrap(), std::slice::from_ref(&record));
        catalog.revoke_key(&record.id).await.unwrap();
        assert_eq!(catalog.key_shown(&key).await.unwrap(), None);
        assert_eq!(catalog.keys().await.unwrap(), []);
        let error = catalog.revoke_key(&record.id).await.unwrap_err().to_string();
        assert_eq!(error, format!("there is no key \"{}\"", record.id));
    }

    #[tokio::test]
    async fn keys_from_outside_are_entered_once_and_not_when_weak() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(Store::open(directory.path().to_str().unwrap()).unwrap());
        let key = "0123456789abcdefghij";
        let first = catalog.enter_key(key, new("initial", &[Scope::Admin])).await.unwrap();
        let again = catalog.enter_key(key, new("other", &[Scope::Read])).await.unwrap();
        assert_eq!(first, again);
        assert!(catalog.enter_key("secret", new("x", &[Scope::Read])).await.is_err());
        assert!(catalog.enter_key(key, new("x", &[])).await.is_err());
    }

    #[test]
    fn keys_end() {
        let end: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let record = KeyRecord {
            schema: KeyRecord::SCHEMA.into(),
            id: String::new(),
            name: String::new(),
            sha256: String::new(),
            scopes: [Scope::Read].into(),
            datasets: None,
            created: String::new(),
            expires: Some(end),
        };
        assert!(record.has_expired(end));
        assert!(!record.has_expired("2026-11-24T11:59:59Z".parse().unwrap()));
    }
}
