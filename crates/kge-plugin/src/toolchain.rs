//! Building plugins from Rust.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Compiles every model crate of a workspace of plugins and makes components of them.
///
/// # Errors
/// If there is no toolchain (the message says both ways to get one), or a crate does not compile.
pub fn build(workspace_dir: impl AsRef<Path>, out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let _ = (workspace_dir.as_ref(), out_dir.as_ref());
    Err(Error::Build("not yet".into()))
}
