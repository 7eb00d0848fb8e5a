//! Scoring models as sandboxed WebAssembly components.
//!
//! [`Host`] owns the engine and its limits and [loads](Host::load) components. A [`Plugin`] is a
//! loaded component that has described itself; [configured](Plugin::configure) with a dimension it
//! becomes a [`PluginModel`], which is a [`kge_model::ScoringModel`]: each thread that asks it for
//! a session gets its own sandbox. [`check`] tells whether a plugin keeps the contract of
//! `plugins/wit/kge-model.wit`, its gradients included, and [`bench`] how fast it is;
//! [`template`] makes a new model's crate, and [`toolchain`] builds plugins from Rust.
//!
//! ```no_run
//! use kge_model::ScoringModel;
//! use kge_plugin::{Host, HostConfig};
//!
//! let host = Host::new(HostConfig::default())?;
//! let plugin = host.load(&std::fs::read("plugins/components/complex.wasm")?)?;
//! let model = plugin.configure(128, &Default::default())?;
//! assert_eq!(model.layout().entity_width, 256);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is linked but matrix products by kge-kernels (`linalg`): no WASI, no clock, no randomness, no I/O. So a plugin is deterministic. A
//! call that traps, runs out of time or of memory is an error in words; its sandbox is thrown away
//! and the next call of the same session gets a fresh one.

mod bench;
mod bindings;
mod cache;
mod candidates;
mod check;
mod compiler;
mod describe;
mod error;
mod host;
mod layout;
mod limits;
mod linalg;
mod model;
mod native;
mod parts;
mod plugin;
mod sandbox;
mod size;
pub mod template;
pub mod toolchain;

use std::path::{Path, PathBuf};

pub use bench::{BenchReport, bench};
pub use check::{CheckReport, Finding, check};
pub use compiler::{Compiler, compile_for_parent};
pub use error::Error;
pub use host::Host;
pub use limits::{HostConfig, Limits};
pub use model::PluginModel;
pub use native::{NativeModel, NativeTimes};
pub use plugin::Plugin;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The component files (`*.wasm`) of a directory, in name order.
///
/// # Errors
/// If the directory cannot be read.
pub fn component_files(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let dir = dir.as_ref();
    let read = |error| Error::Directory { path: dir.to_owned(), source: error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
