//! Compiled plugins on disk.
//!
//! An entry's name is the component's SHA-256 and the engine's compatibility hash (wasmtime's
//! version, settings and CPU features); its content is the SHA-256 of the machine code, then the
//! machine code. Loading machine code runs it, so the directory must be ours alone, and the hash
//! is verified before. An entry that does not verify is compiled again.

use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::host::hex;
use crate::{Error, Result};

const DIGEST: usize = 32;

pub(crate) struct Cache {
    dir: PathBuf,
    compatibility: String,
}

impl Cache {
    pub(crate) fn open(dir: PathBuf, engine: &Engine) -> Result<Self> {
        create_private(&dir).map_err(|source| Error::File { path: dir.clone(), source })?;
        let mut digest = DigestHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        let compatibility = hex(&digest.0.finalize()[..8]);
        Ok(Self { dir, compatibility })
    }

    /// The compiled component, from the cache if it is there and sound.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        sha256: &str,
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Component> {
        let path = self.dir.join(format!("{sha256}-{}.cwasm", self.compatibility));
        if let Ok(entry) = std::fs::read(&path) {
            match verified(&entry).map(|code| deserialize(engine, code)) {
                Some(Ok(component)) => return Ok(component),
                Some(Err(error)) => {
                    tracing::warn!(path = %path.display(), %error, "compiled plugin refused");
                }
                None => tracing::warn!(path = %path.display(), "compiled plugin is corrupt"),
            }
        }
        let code = compile()?;
        let component = made_now(engine, &code)?;
        // A cache that cannot be written costs time, not correctness.
        if let Err(error) = self.store(&path, &code) {
            tracing::warn!(path = %path.display(), %error, "compiled plugin not kept");
        }
        Ok(component)
    }

    fn store(&self, path: &Path, code: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// The machine code of an entry whose hash is right.
fn verified(entry: &[u8]) -> Option<&[u8]> {
    let (digest, code) = entry.split_at_checked(DIGEST)?;
    (Sha256::digest(code)[..] == *digest).then_some(code)
}

/// The component of machine code that the compiler has just made.
pub(crate) fn made_now(engine: &Engine, code: &[u8]) -> Result<Component> {
    deserialize(engine, code).map_err(|error| Error::Engine(error.to_string()))
}

#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime made `code` of a component: just now, in this process or in a child that runs
    // our own program; or before, and then it has the SHA-256 that this module wrote beside it, in a
    // directory that only this user writes, under a name that binds it to this engine's version and
    // settings. Wasmtime checks those again.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(unix)]
fn create_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

/// A `Hasher` whose result does not change with the standard library's release.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ])
    }
}
