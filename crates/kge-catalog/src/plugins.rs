//! Plugins: components under their hash, and what they say of themselves.

use std::cmp::Reverse;

use bytes::Bytes;
use kge_model::Description;
use kge_store::{layout, read_document, sha256_hex, write_document};
use serde::{Deserialize, Serialize};

use crate::catalog::{blocking, now};
use crate::nearest::unknown;
use crate::revisions::is_digest;
use crate::{Catalog, Error, Result};

/// A stored component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// `kge.plugin/1`.
    pub schema: String,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The model's name, as in `description`.
    pub name: String,
    /// The plugin's version, as in `description`.
    pub version: String,
    /// What it says of itself.
    pub description: Description,
    /// Bytes of the component.
    pub size: u64,
    /// When it was added, RFC 3339.
    pub created: String,
}

impl PluginRecord {
    /// The schema this release writes and reads.
    pub const SCHEMA: &'static str = "kge.plugin/1";
}

impl Catalog {
    /// Stores a component under its hash. Adding it again changes nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn add_plugin(
        &self,
        component: Bytes,
        description: Description,
    ) -> Result<PluginRecord> {
        let hashed = component.clone();
        let sha256 = blocking(move || sha256_hex(&hashed)).await?;
        let record = PluginRecord {
            schema: PluginRecord::SCHEMA.into(),
            sha256: sha256.clone(),
            name: description.name.clone(),
            version: description.version.clone(),
            description,
            size: component.len() as u64,
            created: now(),
        };
        // The record comes last: who finds it finds the component.
        self.store.put_if_absent(&layout::plugin_component(&sha256), component).await?;
        let object = layout::plugin_record(&sha256);
        let bytes = write_document(&object, &record)?;
        if self.store.put_if_absent(&object, Bytes::from(bytes)).await? {
            return Ok(record);
        }
        Ok(self.plugin_record(&object).await?.unwrap_or(record))
    }

    /// All plugins by name, the newest of a name first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn plugins(&self) -> Result<Vec<PluginRecord>> {
        let mut records = Vec::new();
        for object in self.store.list(layout::plugins()).await? {
            if object.ends_with(".json")
                && let Some(record) = self.plugin_record(&object).await?
            {
                records.push(record);
            }
        }
        records.sort_by(|a, b| {
            let key = |r: &PluginRecord| Reverse((r.created.clone(), r.version.clone()));
            a.name.cmp(&b.name).then_with(|| key(a).cmp(&key(b)))
        });
        Ok(records)
    }

    /// A plugin by hash, `name@version`, or name; the newest of those that fit.
    ///
    /// # Errors
    /// If there is no such plugin; names the nearest.
    pub async fn plugin(&self, reference: &str) -> Result<PluginRecord> {
        if is_digest(reference) {
            let record = self.plugin_record(&layout::plugin_record(reference)).await?;
            return record.ok_or_else(|| unknown("plugin", reference, []));
        }
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let records = self.plugins().await?;
        let fits = |record: &&PluginRecord| {
            record.name == name && version.is_none_or(|version| record.version == version)
        };
        match records.iter().find(fits) {
            Some(record) => Ok(record.clone()),
            None if records.iter().any(|record| record.name == name) => {
                let versions: Vec<_> =
                    records.iter().map(|r| format!("{}@{}", r.name, r.version)).collect();
                Err(unknown("plugin", reference, versions.iter().map(String::as_str)))
            }
            None => Err(unknown("plugin", reference, records.iter().map(|r| r.name.as_str()))),
        }
    }

    /// The component itself, checked against its hash.
    ///
    /// # Errors
    /// If there is no such plugin, or it is damaged.
    pub async fn plugin_bytes(&self, sha256: &str) -> Result<Bytes> {
        if !is_digest(sha256) {
            return Err(unknown("plugin", sha256, []));
        }
        let object = layout::plugin_component(sha256);
        let bytes = self.store.get(&object).await?;
        let bytes = bytes.ok_or_else(|| unknown("plugin", sha256, []))?;
        self.checked(object, bytes, sha256).await
    }

    /// Deletes a plugin by hash, `name@version`, or name. A model that is published meanwhile may
    /// still need it; it says so when it is asked.
    ///
    /// # Errors
    /// If there is no such plugin, or a model needs it.
    pub async fn delete_plugin(&self, reference: &str) -> Result<()> {
        let record = self.plugin(reference).await?;
        for dataset in self.datasets().await? {
            let models = self.models(dataset.id).await?;
            if let Some(model) = models.iter().find(|m| m.plugin.sha256 == record.sha256) {
                let by = format!("model {}", model.id);
                return Err(Error::InUse { what: "plugin", name: record.name, by });
            }
        }
        self.store.delete(&layout::plugin_record(&record.sha256)).await?;
        Ok(self.store.delete(&layout::plugin_component(&record.sha256)).await?)
    }

    /// An object's bytes, if they have this hash.
    pub(crate) async fn checked(
        &self,
        object: String,
        bytes: Bytes,
        sha256: &str,
    ) -> Result<Bytes> {
        let hashed = bytes.clone();
        let found = blocking(move || sha256_hex(&hashed)).await?;
        if found != sha256 {
            let reason = format!("its SHA-256 is {found}, expected {sha256}");
            return Err(Error::Damaged { object, reason });
        }
        Ok(bytes)
    }

    async fn plugin_record(&self, object: &str) -> Result<Option<PluginRecord>> {
        match self.store.get(object).await? {
            Some(bytes) => Ok(Some(read_document(object, PluginRecord::SCHEMA, &bytes)?)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use kge_store::Store;

    use super::*;

    fn description(name: &str, version: &str) -> Description {
        Description {
            name: name.into(),
            version: version.into(),
            summary: String::new(),
            citation: None,
            hyper_parameters: Vec::new(),
        }
    }

    #[tokio::test]
    async fn plugins_are_found_by_hash_version_and_name() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(Store::open(directory.path().to_str().unwrap()).unwrap());
        let add = async |bytes: &'static str, name, version| {
            catalog.add_plugin(Bytes::from(bytes), description(name, version)).await.unwrap()
        };
        let old = add("one", "complex", "0.1.0").await;
        assert_eq!(add("one", "complex", "0.1.0").await, old);
        let new = add("two", "complex", "0.2.0").await;
        let other = add("three", "transe", "0.1.0").await;
        for (reference, expected) in [
            (old.sha256.as_str(), &old),
            ("complex", &new),
            ("complex@0.1.0", &old),
            ("transe", &other),
        ] {
            assert_eq!(catalog.plugin(reference).await.unwrap(), *expected, "{reference}");
        }
        let refused = async |reference| catalog.plugin(reference).await.unwrap_err().to_string();
        assert_eq!(
            refused("complx").await,
            "there is no plugin \"complx\"; did you mean \"complex\"?"
        );
        assert_eq!(
            refused("complex@0.3.0").await,
            "there is no plugin \"complex@0.3.0\"; did you mean \"complex@0.1.0\"?"
        );
        assert_eq!(catalog.plugin_bytes(&old.sha256).await.unwrap(), "one");

        let object = layout::plugin_component(&old.sha256);
        catalog.store().put(&object, Bytes::from("0ne")).await.unwrap();
        let error = catalog.plugin_bytes(&old.sha256).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{object} is damaged: its SHA-256 is ")), "{error}");

        catalog.delete_plugin("complex@0.1.0").await.unwrap();
        assert_eq!(catalog.plugins().await.unwrap(), [new, other]);
    }
}
