//! Building plugins from Rust: each model crate to wasm32, then to a component. A module that
//! another compiler made takes the second step only.
//!
//! rustup's target is used where it is installed. Elsewhere Debian's Rust does it, which has the
//! standard library's source and builds that too.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Error, Result};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

const NO_TOOLCHAIN: &str = "cannot compile Rust to wasm32-unknown-unknown here; do one of these:
  rustup target add wasm32-unknown-unknown
  apt-get install rustc-web rust-web-src cargo-web lld   (Debian, Ubuntu)";

/// What compiles to wasm32 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toolchain {
    /// The Rust on the path, which has the target.
    Installed,
    /// Debian's, which builds the standard library as well.
    Debian,
}

impl Toolchain {
    fn find() -> Result<Self> {
        let sysroot = |rustc: &str| {
            let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
            Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
        };
        let has = |rustc: &str, part: &str| {
            sysroot(rustc).is_some_and(|root| root.join("lib/rustlib").join(part).is_dir())
        };
        if has("rustc", TARGET) {
            Ok(Self::Installed)
        } else if Path::new(DEBIAN_CARGO).is_file() && has(DEBIAN_RUSTC, "src/rust/library") {
            Ok(Self::Debian)
        } else {
            Err(Error::Build(NO_TOOLCHAIN.into()))
        }
    }

    /// The build of a crate to wasm32.
    fn build(self) -> Command {
        let mut command = match self {
            Self::Installed => cargo("cargo"),
            Self::Debian => cargo(DEBIAN_CARGO),
        };
        command.args(["build", "--release", "--target", TARGET]);
        let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
        if self == Self::Debian {
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            command.arg("-Zbuild-std=std,panic_abort");
            flags.push("-Clinker=wasm-ld".into());
        }
        // Panics name source files: without the home directory's name in them, the same source
        // gives the same component for everybody.
        if let Some(home) = cargo_home() {
            flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        command
    }
}

/// Cargo, without what a surrounding one set for itself.
pub(crate) fn cargo(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_") && name_text != "CARGO_HOME" {
            command.env_remove(&name);
        }
    }
    for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// What compiles plugins here, in words.
///
/// # Errors
/// If nothing does; the message says both ways to get one.
pub fn find() -> Result<&'static str> {
    Ok(match Toolchain::find()? {
        Toolchain::Installed => "cargo, with the target wasm32-unknown-unknown",
        Toolchain::Debian => "Debian's cargo, which builds the standard library too",
    })
}

fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// Compiles every model crate of a workspace of plugins and writes `<name>.wasm` components into
/// `out_dir`; returns their paths in name order.
///
/// # Errors
/// If there is no toolchain (the message says both ways to get one), a crate does not compile, or
/// its module does not make a component.
pub fn build(workspace_dir: impl AsRef<Path>, out_dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let (workspace, out) = (workspace_dir.as_ref(), out_dir.as_ref());
    let failed =
        |what: &dyn std::fmt::Display| Error::Build(format!("{}: {what}", workspace.display()));
    if !workspace.join("Cargo.toml").is_file() {
        return Err(failed(&"there is no Cargo.toml"));
    }
    let output = Toolchain::find()?
        .build()
        .current_dir(workspace)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&"the plugins do not compile; the compiler says why above"));
    }
    let mut components = Vec::new();
    for line in output.stdout.split(|&byte| byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let is_module = |path: &&str| Path::new(path).extension() == Some(OsStr::new("wasm"));
        let files = message["filenames"].as_array().into_iter().flatten();
        for module in files.filter_map(|file| file.as_str()).filter(is_module) {
            components.push(componentise(Path::new(module), out)?);
        }
    }
    components.sort();
    Ok(components)
}

/// The component of one model's crate.
///
/// # Errors
/// As for [`build`]; also if the crate makes none or several.
pub fn build_one(crate_dir: impl AsRef<Path>) -> Result<Vec<u8>> {
    let shown = crate_dir.as_ref().display();
    let out = tempfile::tempdir().map_err(|error| Error::Build(error.to_string()))?;
    match &build(&crate_dir, &out)?[..] {
        [one] => std::fs::read(one).map_err(|source| Error::File { path: one.clone(), source }),
        all => {
            Err(Error::Build(format!("{shown} makes {} components; name one's crate", all.len())))
        }
    }
}

/// Makes a component of a core module that carries its component type, as every `wit-bindgen` puts
/// it in, and writes it into `out_dir`: `kge_model_complex.wasm` becomes `complex.wasm`.
///
/// # Errors
/// If the module cannot be read or makes no component, or the component cannot be written.
pub fn componentise(module: impl AsRef<Path>, out_dir: impl AsRef<Path>) -> Result<PathBuf> {
    let (module, out) = (module.as_ref(), out_dir.as_ref());
    let file = |path: &Path, source| Error::File { path: path.into(), source };
    let stem = module.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    let name = stem.strip_prefix("kge-model-").unwrap_or(&stem);
    let bytes = std::fs::read(module).map_err(|source| file(module, source))?;
    let component = wit_component::ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| Error::Build(format!("{}: {error:#}", module.display())))?;
    std::fs::create_dir_all(out).map_err(|source| file(out, source))?;
    let path = out.join(format!("{name}.wasm"));
    // Renamed into place: a server that reads the directory never sees half a component.
    let part = out.join(format!("{name}.wasm.part"));
    std::fs::write(&part, component).map_err(|source| file(&part, source))?;
    std::fs::rename(&part, &path).map_err(|source| file(&path, source))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_becomes_a_component_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (module, out) = (|name: &str| folder.path().join(name), folder.path().join("out"));
        for (from, to) in [
            ("kge_model_complex.wasm", "complex.wasm"),
            ("distmult-c.wasm", "distmult-c.wasm"),
            ("my_model.wasm", "my-model.wasm"),
        ] {
            std::fs::write(module(from), b"\0asm\x01\0\0\0").unwrap();
            let component = componentise(module(from), &out).unwrap();
            assert_eq!(component, out.join(to));
            assert_eq!(std::fs::read(component).unwrap()[..8], *b"\0asm\x0d\0\x01\0");
        }
        std::fs::write(module("text.wasm"), "no module").unwrap();
        let refusal = componentise(module("text.wasm"), &out).unwrap_err().to_string();
        assert!(refusal.starts_with(&module("text.wasm").display().to_string()), "{refusal}");
    }
}
