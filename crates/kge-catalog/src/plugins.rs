//! Plugins: components under their hash, and what they say of themselves.

use bytes::Bytes;
use kge_model::Description;
use serde::{Deserialize, Serialize};

use crate::{Catalog, Result};

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
        let _ = (component, description);
        todo!()
    }

    /// All plugins by name, the newest of a name first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn plugins(&self) -> Result<Vec<PluginRecord>> {
        todo!()
    }

    /// A plugin by hash, `name@version`, or name; the newest of those that fit.
    ///
    /// # Errors
    /// If there is no such plugin; names the nearest.
    pub async fn plugin(&self, reference: &str) -> Result<PluginRecord> {
        let _ = reference;
        todo!()
    }

    /// The component itself, checked against its hash.
    ///
    /// # Errors
    /// If there is no such plugin, or it is damaged.
    pub async fn plugin_bytes(&self, sha256: &str) -> Result<Bytes> {
        let _ = sha256;
        todo!()
    }

    /// Deletes a plugin by hash, `name@version`, or name.
    ///
    /// # Errors
    /// If there is no such plugin.
    pub async fn delete_plugin(&self, reference: &str) -> Result<()> {
        let _ = reference;
        todo!()
    }
}
