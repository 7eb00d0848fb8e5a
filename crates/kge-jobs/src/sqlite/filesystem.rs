//! Refuses file systems on which SQLite's locks and shared memory don't hold.
//!
//! WAL needs memory shared between processes of one host, and locks that the file system keeps:
//! NFS, SMB and FUSE promise neither. The kind of file system is read from
//! `/proc/self/mountinfo`; where that is missing nothing is refused.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// `Err` holds why this directory can't hold the database.
pub(super) fn check(directory: &Path) -> Result<(), String> {
    let (Ok(directory), Ok(mounts)) =
        (fs::canonicalize(directory), fs::read("/proc/self/mountinfo"))
    else {
        return Ok(());
    };
    match kind(&directory, &mounts) {
        Some(kind) if is_remote(&kind) => Err(format!(
            "{} is on a {kind} file system, where SQLite's locks do not hold: \
             give a state directory on a local disk",
            directory.display()
        )),
        _ => Ok(()),
    }
}

fn is_remote(kind: &str) -> bool {
    const REMOTE: &[&str] = &[
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "fuse",
        "fuseblk",
        "afs",
        "coda",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "vboxsf",
        "vmhgfs",
    ];
    REMOTE.contains(&kind) || kind.starts_with("fuse.")
}

/// The type of the file system that holds `path`: the last mount on its longest mounted prefix.
fn kind(path: &Path, mountinfo: &[u8]) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    for line in mountinfo.split(|&byte| byte == b'\n') {
        let Some((mount_point, kind)) = mount(line) else { continue };
        let depth = mount_point.as_os_str().as_bytes().len();
        if path.starts_with(&mount_point) && found.as_ref().is_none_or(|best| depth >= best.0) {
            found = Some((depth, kind));
        }
    }
    found.map(|(_, kind)| kind)
}

/// Mount point and type: the fifth field, and the first after the lone dash.
fn mount(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let mount_point = unescape(fields.nth(4)?);
    fields.find(|field| *field == b"-")?;
    let kind = String::from_utf8_lossy(fields.next()?).into_owned();
    Some((PathBuf::from(OsString::from_vec(mount_point)), kind))
}

/// Blanks, tabs, line ends and backslashes are written as `\040` and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = escaped {
            plain.push(byte);
            rest = &tail[3..];
        } else {
            plain.push(first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r"
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:30 / /home rw - nfs4 server:/home rw
24 22 0:31 / /home/ann/local rw master:1 - xfs /dev/sdb rw
25 22 0:32 / /mnt/my\040share rw - cifs //nas/share rw
26 22 0:33 / /over rw - ext4 /dev/sdc rw
27 26 0:34 / /over rw - fuse.sshfs host: rw
28 22 0:35 / /ntfs rw - fuseblk /dev/sdd rw
";

    #[test]
    fn the_deepest_and_last_mount_counts() {
        for (path, expected, refused) in [
            ("/var/lib/kge", "ext4", false),
            ("/home/ann/state", "nfs4", true),
            ("/home/ann/local/state", "xfs", false),
            ("/homework", "ext4", false),
            ("/mnt/my share/kge", "cifs", true),
            ("/over/it", "fuse.sshfs", true),
            ("/ntfs", "fuseblk", true),
        ] {
            let found = kind(Path::new(path), MOUNTS.as_bytes()).unwrap();
            assert_eq!(found, expected, "{path}");
            assert_eq!(is_remote(&found), refused, "{path}");
        }
    }

    #[test]
    fn a_refusal_needs_a_mount_to_be_known() {
        assert_eq!(kind(Path::new("/var"), b"nonsense\n\n1 2 3 4 /var rw"), None);
    }
}
