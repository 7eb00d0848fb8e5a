//! A new model's crate: a template, with the SDK and the contract it needs beside it.
//!
//! Both travel in the binary, so that a crate can be made where the source tree is not.

use std::path::{Path, PathBuf};

use crate::describe::{is_name, not_a_name};
use crate::{Error, Result};

/// Files by their path in the new crate.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("Cargo.lock", include_str!("../../../plugins/Cargo.lock")),
    (".gitignore", "target/\ncomponents/\n"),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("contract/wit/kge-model.wit", include_str!("../../../plugins/wit/kge-model.wit")),
    ("contract/sdk/Cargo.toml", include_str!("../../../plugins/sdk/Cargo.toml")),
    ("contract/sdk/src/lib.rs", include_str!("../../../plugins/sdk/src/lib.rs")),
    ("contract/sdk/src/by_hand.rs", include_str!("../../../plugins/sdk/src/by_hand.rs")),
    ("contract/sdk/src/contract.rs", include_str!("../../../plugins/sdk/src/contract.rs")),
    ("contract/sdk/src/export.rs", include_str!("../../../plugins/sdk/src/export.rs")),
    ("contract/sdk/src/forward.rs", include_str!("../../../plugins/sdk/src/forward.rs")),
    ("contract/sdk/src/guest.rs", include_str!("../../../plugins/sdk/src/guest.rs")),
    ("contract/sdk/src/linalg.rs", include_str!("../../../plugins/sdk/src/linalg.rs")),
    ("contract/sdk/src/scoring.rs", include_str!("../../../plugins/sdk/src/scoring.rs")),
    ("contract/sdk/src/timing.rs", include_str!("../../../plugins/sdk/src/timing.rs")),
    ("contract/sdk/src/trial.rs", include_str!("../../../plugins/sdk/src/trial.rs")),
    ("contract/sdk/src/graph/mod.rs", include_str!("../../../plugins/sdk/src/graph/mod.rs")),
    (
        "contract/sdk/src/graph/complex.rs",
        include_str!("../../../plugins/sdk/src/graph/complex.rs"),
    ),
    (
        "contract/sdk/src/graph/elementwise.rs",
        include_str!("../../../plugins/sdk/src/graph/elementwise.rs"),
    ),
    (
        "contract/sdk/src/graph/network.rs",
        include_str!("../../../plugins/sdk/src/graph/network.rs"),
    ),
    (
        "contract/sdk/src/graph/operation.rs",
        include_str!("../../../plugins/sdk/src/graph/operation.rs"),
    ),
    (
        "contract/sdk/src/graph/product.rs",
        include_str!("../../../plugins/sdk/src/graph/product.rs"),
    ),
    (
        "contract/sdk/src/graph/quaternion.rs",
        include_str!("../../../plugins/sdk/src/graph/quaternion.rs"),
    ),
    ("contract/sdk/src/graph/run.rs", include_str!("../../../plugins/sdk/src/graph/run.rs")),
    ("contract/sdk/src/graph/tests.rs", include_str!("../../../plugins/sdk/src/graph/tests.rs")),
];

/// Makes the crate `name` in a new directory of that name in `parent`, and returns the directory.
///
/// # Errors
/// If the name is not one that a plugin may have, the directory exists, or it cannot be written.
pub fn create(parent: impl AsRef<Path>, name: &str) -> Result<PathBuf> {
    if !is_name(name) {
        return Err(Error::Build(format!("the name {}", not_a_name(name))));
    }
    let directory = parent.as_ref().join(name);
    if directory.exists() {
        return Err(Error::Build(format!("{} exists already", directory.display())));
    }
    for (path, text) in FILES {
        let path = directory.join(path);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text.replace("{{name}}", name)));
        written.map_err(|source| Error::File { path, source })?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn the_whole_sdk_travels_with_a_new_crate() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/sdk");
        let directory = tempfile::tempdir().unwrap();
        let made = create(directory.path(), "my-model").unwrap();
        let mut sources = Vec::new();
        files(&sdk.join("src"), &mut sources);
        assert!(sources.len() > 15);
        for source in sources {
            let copy = made.join("contract/sdk").join(source.strip_prefix(&sdk).unwrap());
            let (source, copy) = (std::fs::read(&source).unwrap(), std::fs::read(&copy));
            assert_eq!(copy.ok(), Some(source));
        }
        let manifest = std::fs::read_to_string(made.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"my-model\""), "{manifest}");
    }

    #[test]
    fn a_name_that_no_plugin_may_have_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |name| create(directory.path(), name).unwrap_err().to_string();
        assert!(refused("My Model").starts_with("the name must be"), "{}", refused("My Model"));
        create(directory.path(), "twice").unwrap();
        assert!(refused("twice").ends_with("exists already"));
    }
}
