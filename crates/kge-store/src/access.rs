//! Whether the data directory can be written, and if not, one line that ends with the fix.
//!
//! The usual mistake is a mounted volume that belongs to another UID than the one the container
//! runs as; so both UIDs are named.

use std::io::{Error as IoError, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Makes the directory if need be, and a file in it.
pub(crate) fn ensure_writable(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).and_then(|()| probe(directory)).map_err(|error| {
        let standing = standing(directory);
        explain(directory, &error, &standing, running_uid())
    })
}

/// Writes a file as the store will: made, filled, synced, gone.
fn probe(directory: &Path) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".kge-probe-").tempfile_in(directory)?;
    file.write_all(b"kge")?;
    file.as_file().sync_all()?;
    file.close()
}

/// The part of the path that exists, and whose it is.
struct Standing {
    path: PathBuf,
    owner: Option<u32>,
    is_directory: bool,
}

fn standing(directory: &Path) -> Standing {
    let found = directory.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Some((path.to_owned(), std::fs::metadata(path).ok()?))
    });
    match found {
        Some((path, metadata)) => {
            Standing { path, owner: owner(&metadata), is_directory: metadata.is_dir() }
        }
        None => Standing { path: directory.to_owned(), owner: None, is_directory: true },
    }
}

fn explain(directory: &Path, error: &IoError, standing: &Standing, runs: Option<u32>) -> Error {
    let path = standing.path.display();
    let (reason, fix) = match (error.kind(), standing.owner, runs) {
        _ if !standing.is_directory => (
            format!("{path} is a file, not a directory"),
            "move it away, or choose another directory with --data".into(),
        ),
        (ErrorKind::PermissionDenied, Some(owner), Some(runs)) if owner != runs => {
            let whole = directory.display();
            // Never a hint to give away a parent, which may be `/`.
            let make = if standing.path == directory { "" } else { "mkdir -p PATH && " };
            let command = format!("{make}chown -R {runs} PATH").replace("PATH", &whole.to_string());
            (
                format!("{path} belongs to UID {owner} and kge runs as UID {runs}"),
                format!(
                    "run `{command}` (on the host, for a mounted volume), or run kge as that \
                     user (`--user {owner}`)"
                ),
            )
        }
        (ErrorKind::PermissionDenied, Some(owner), _) => (
            format!("{path} belongs to UID {owner}, as which kge runs, but may not be written"),
            format!("run `chmod u+rwx {path}`"),
        ),
        (ErrorKind::ReadOnlyFilesystem, ..) => (
            format!("{path} is on a read-only file system{}", as_uid(runs)),
            "mount it writable, or choose another directory with --data".into(),
        ),
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, ..) => (
            format!("no space is left{}", as_uid(runs)),
            "free some, or choose another directory with --data".into(),
        ),
        _ => (
            format!("{path}: {error}{}", as_uid(runs)),
            "make it writable, or choose another directory with --data".into(),
        ),
    };
    Error::NotWritable { directory: directory.to_owned(), reason, fix }
}

fn as_uid(runs: Option<u32>) -> String {
    runs.map_or_else(String::new, |uid| format!(" (kge runs as UID {uid})"))
}

#[cfg(unix)]
fn owner(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(metadata.uid())
}

#[cfg(not(unix))]
fn owner(_metadata: &std::fs::Metadata) -> Option<u32> {
    None
}

/// The UID that new files get: from the kernel's view of this process, or from a file made in
/// the system's temporary directory.
fn running_uid() -> Option<u32> {
    let kernel = std::fs::metadata("/proc/self").ok();
    kernel.or_else(|| tempfile::tempfile().ok()?.metadata().ok()).as_ref().and_then(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: ErrorKind, owner: u32, is_directory: bool) -> String {
        let standing = Standing { path: "/data".into(), owner: Some(owner), is_directory };
        explain(Path::new("/data/kge"), &kind.into(), &standing, Some(1001)).to_string()
    }

    #[test]
    fn one_line_names_directory_uids_and_fix() {
        for (kind, owner, is_directory, expected) in [
            (
                ErrorKind::PermissionDenied,
                0,
                true,
                "cannot write to the data directory /data/kge: /data belongs to UID 0 and kge \
                 runs as UID 1001; run `mkdir -p /data/kge && chown -R 1001 /data/kge` (on the \
                 host, for a mounted volume), or run kge as that user (`--user 0`)",
            ),
            (
                ErrorKind::PermissionDenied,
                1001,
                true,
                "cannot write to the data directory /data/kge: /data belongs to UID 1001, as \
                 which kge runs, but may not be written; run `chmod u+rwx /data`",
            ),
            (
                ErrorKind::ReadOnlyFilesystem,
                0,
                true,
                "cannot write to the data directory /data/kge: /data is on a read-only file \
                 system (kge runs as UID 1001); mount it writable, or choose another directory \
                 with --data",
            ),
            (
                ErrorKind::NotADirectory,
                0,
                false,
                "cannot write to the data directory /data/kge: /data is a file, not a directory; \
                 move it away, or choose another directory with --data",
            ),
        ] {
            let found = message(kind, owner, is_directory);
            assert_eq!(found, expected);
            assert!(!found.contains('\n'));
        }
    }

    #[test]
    fn a_mounted_volume_is_given_to_the_running_user() {
        let data = Path::new("/data");
        let standing = Standing { path: data.into(), owner: Some(0), is_directory: true };
        let error = explain(data, &ErrorKind::PermissionDenied.into(), &standing, Some(1001));
        assert_eq!(
            error.to_string(),
            "cannot write to the data directory /data: /data belongs to UID 0 and kge runs as \
             UID 1001; run `chown -R 1001 /data` (on the host, for a mounted volume), or run kge \
             as that user (`--user 0`)"
        );
    }

    #[test]
    fn a_directory_is_made_and_left_clean() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("a/b");
        ensure_writable(&data).unwrap();
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = ensure_writable(&file.path().join("data")).unwrap_err().to_string();
        let expected = format!("{} is a file, not a directory", file.path().display());
        assert!(error.contains(&expected), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_running_uid_owns_what_it_makes() {
        let made = tempfile::tempfile().unwrap();
        assert_eq!(running_uid(), owner(&made.metadata().unwrap()));
    }
}
