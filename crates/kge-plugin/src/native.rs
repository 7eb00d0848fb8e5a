//! A model's crate compiled natively, to tell what its sandbox costs.
//!
//! The crate's own `export_model!` leaves a function that times the model; a program of a few lines
//! calls it. It is built beside the crate's other artefacts, with their dependencies' versions, and as
//! the host itself is: for any CPU of its architecture.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, toolchain::cargo};

/// Milliseconds of a native model's calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NativeTimes {
    /// Of `query` for a step.
    pub query_ms: f64,
    /// Of `query-vjp` for a step.
    pub query_vjp_ms: f64,
}

const MAIN: &str = "fn main() {\n    model::kge_plugin_time_natively();\n}\n";

/// A program that times the model of a crate.
#[derive(Debug)]
pub struct NativeModel(PathBuf);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl NativeModel {
    /// Compiles the model whose crate lies in `source`.
    ///
    /// # Errors
    /// If it is no crate of a model made by the SDK, or does not compile.
    pub fn build(source: impl AsRef<Path>) -> Result<Self> {
        let source = source.as_ref();
        let failed = |what: &dyn Display| Error::Build(format!("{}: {what}", source.display()));
        let source = source.canonicalize().map_err(|error| failed(&error))?;
        let run = |command: &mut Command| {
            let output = command.stderr(Stdio::inherit()).output();
            let output = output.map_err(|error| failed(&format!("cargo: {error}")))?;
            match output.status.success() {
                true => Ok(output.stdout),
                false => Err(failed(&"the model does not compile natively; cargo says why above")),
            }
        };
        let metadata = ["metadata", "--no-deps", "--format-version=1", "--offline"];
        let metadata = run(cargo("cargo").args(metadata).current_dir(&source))?;
        let metadata: Metadata =
            serde_json::from_slice(&metadata).map_err(|error| failed(&error))?;
        let manifest = source.join("Cargo.toml");
        let is_own = |package: &&Package| package.manifest_path == manifest;
        let package = metadata
            .packages
            .iter()
            .find(is_own)
            .ok_or_else(|| failed(&"there is more than one model; name the crate of one"))?;

        let program = metadata.target_directory.join("native").join(&package.name);
        let lock = metadata.workspace_root.join("Cargo.lock");
        std::fs::create_dir_all(program.join("src"))
            .and_then(|()| {
                std::fs::write(program.join("Cargo.toml"), manifest_of(&package.name, &source))
            })
            .and_then(|()| std::fs::write(program.join("src/main.rs"), MAIN))
            .and_then(|()| std::fs::copy(lock, program.join("Cargo.lock")))
            .map_err(|source| Error::File { path: program.clone(), source })?;
        let build = ["build", "--release", "--target-dir=target"];
        run(cargo("cargo").args(build).current_dir(&program))?;
        Ok(Self(program.join("target/release/native")))
    }

    /// Medians of `runs` steps of `batch` queries, `call` a call; none for a model whose products are the host's in
    /// its sandbox, and plain loops natively.
    ///
    /// # Errors
    /// If the model refuses the dimension, or ends without an answer.
    pub(crate) fn time(
        &self,
        dim: usize,
        batch: usize,
        call: usize,
        relations: usize,
        runs: usize,
    ) -> Result<Option<NativeTimes>> {
        let arguments = [dim, batch, call, relations, runs].map(|number| number.to_string());
        let path = &self.0;
        let output = Command::new(path)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::File { path: path.clone(), source })?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            Error::Build(format!("{}: it printed no times: {error}", path.display()))
        })
    }
}

/// The manifest of a program around a crate.
fn manifest_of(name: &str, crate_folder: &Path) -> String {
    format!(
        "[package]\nname = \"native\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
         [dependencies]\nmodel = {{ package = {name:?}, path = {crate_folder:?} }}\n\n\
         [workspace]\n\n\
         [profile.release]\nopt-level = 3\nlto = true\ncodegen-units = 1\npanic = \"abort\"\n"
    )
}
