//! `kge doctor`: what kge needs on this machine, whether it is there, and what to do if not.
//!
//! It opens things by the code that the commands use, so that what it says holds for them; and it
//! leaves nothing behind: what is made on first use is not made by asking.

use std::{
    fmt::Display,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use kge_plugin::{Host, HostConfig};
use serde::Serialize;
use serde_json::json;

use super::{Failure, Result};
use crate::{
    cli, open,
    settings::{Settings, hide_password},
};

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Fine,
    /// Works, but not as well as it could.
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

impl Check {
    fn fine(what: &'static str, found: impl Display) -> Self {
        Self { what, state: State::Fine, found: found.to_string(), to_do: None }
    }

    fn warning(what: &'static str, found: impl Display, to_do: impl Display) -> Self {
        let (found, to_do) = (found.to_string(), Some(to_do.to_string()));
        Self { what, state: State::Warning, found, to_do }
    }

    fn failed(what: &'static str, found: impl Display, to_do: impl Display) -> Self {
        Self { state: State::Failed, ..Self::warning(what, found, to_do) }
    }
}

pub(super) async fn doctor(settings: &Settings, args: &cli::Doctor, json: bool) -> Result {
    let checks = [
        data(settings).await,
        state(settings),
        jobs(settings).await,
        port(args.listen.unwrap_or(settings.server.listen)),
        plugins(settings),
        toolchain(),
        cpu(),
    ];
    let failed = checks.iter().filter(|check| check.state == State::Failed).count();
    if json {
        println!("{}", json!({ "ok": failed == 0, "checks": checks }));
    } else {
        checks.iter().for_each(say);
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::answered("one check failed")),
        _ => Err(Failure::answered(format!("{failed} checks failed"))),
    }
}

fn say(check: &Check) {
    let state = match check.state {
        State::Fine => "ok",
        State::Warning => "warning",
        State::Failed => "FAILED",
    };
    println!("{state:<8} {:<11} {}", check.what, check.found);
    for line in check.to_do.iter().flat_map(|to_do| to_do.lines()) {
        println!("{:<20} {line}", "");
    }
}

async fn data(settings: &Settings) -> Check {
    const WHAT: &str = "data";
    if !settings.data.contains("://") {
        return directory(WHAT, Path::new(&settings.data), "--data or KGE_DATA");
    }
    let listed = async { Ok::<_, Failure>(open::catalog(settings)?.datasets().await?.len()) };
    match tokio::time::timeout(PATIENCE, listed).await {
        Ok(Ok(datasets)) => Check::fine(WHAT, format!("{}, {datasets} datasets", settings.data)),
        Ok(Err(error)) => {
            let found = format!("{}: {}", settings.data, error.message);
            Check::failed(WHAT, found, "check the address and its credentials")
        }
        Err(_) => Check::failed(
            WHAT,
            format!("{} does not answer", settings.data),
            "check the address, the network and its credentials",
        ),
    }
}

const STATE: &str = "state";

fn state(settings: &Settings) -> Check {
    directory(STATE, &settings.state, "--state or KGE_STATE")
}

/// Whether files can be made here, or where the directory would be; and on what.
fn directory(what: &'static str, path: &Path, setting: &str) -> Check {
    let there = path.ancestors().map(or_here).find(|place| place.exists());
    let there = there.unwrap_or_else(|| PathBuf::from("/"));
    let made = if there == or_here(path) { "" } else { ", made on first use" };
    if let Err(error) = write_in(&there) {
        let found = format!("{}: {}: {error}", path.display(), there.display());
        let to_do = format!("let this user write there, or name another directory by {setting}");
        return Check::failed(what, found, to_do);
    }
    let filesystem = filesystem(&there).unwrap_or_else(|| "unknown filesystem".into());
    let found = format!("{}, writable, {filesystem}{made}", path.display());
    match filesystem.as_str() {
        // SQLite locks its file; what lies in `data` is only ever created.
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" if what == STATE => Check::warning(
            what,
            found,
            format!("locks are unreliable over a network; name a local directory by {setting}"),
        ),
        "tmpfs" | "ramfs" => Check::warning(
            what,
            found,
            format!("is lost when the machine stops; name a directory on disk by {setting}"),
        ),
        "overlay" => Check::warning(
            what,
            found,
            format!("in a container this goes with it; mount a volume, or name one by {setting}"),
        ),
        _ => Check::fine(what, found),
    }
}

/// The last ancestor of a relative path is the empty one.
fn or_here(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

fn write_in(directory: &Path) -> std::io::Result<()> {
    let file = directory.join(format!(".kge-doctor-{}", std::process::id()));
    let written =
        std::fs::write(&file, b"kge doctor").and_then(|()| std::fs::File::open(&file)?.sync_all());
    // Whatever was wrong has been noted; a file that was never made cannot be removed.
    let _ = std::fs::remove_file(&file);
    written
}

/// The type of the filesystem that a path lies on, as the kernel names it.
fn filesystem(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    filesystem_in(&mounts, &path)
}

fn filesystem_in(mounts: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        let point = point.replace("\\040", " ");
        // Of several mounts on one point, the last hides the others.
        if path.starts_with(&point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

async fn jobs(settings: &Settings) -> Check {
    const WHAT: &str = "job store";
    let url = hide_password(&settings.jobs);
    if settings.jobs == "sqlite" && !settings.state.is_dir() {
        return Check::fine(WHAT, "sqlite, made on first use");
    }
    let asked = async {
        let jobs = open::jobs(settings)?;
        Ok::<_, Failure>(jobs.ping().await?)
    };
    let to_do = if settings.jobs == "sqlite" {
        "let this user write to the state directory; end other programs that hold the file"
    } else {
        "start it, or check the address and its password; --jobs sqlite needs no service"
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => Check::fine(WHAT, format!("{url}, answers")),
        Ok(Err(error)) => Check::failed(WHAT, error.message, to_do),
        Err(_) => Check::failed(WHAT, format!("{url} does not answer"), to_do),
    }
}

fn port(address: SocketAddr) -> Check {
    const WHAT: &str = "port";
    match TcpListener::bind(address) {
        Ok(_) => Check::fine(WHAT, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_kge(address) => {
            Check::fine(WHAT, format!("{address} is held by a kge server"))
        }
        Err(error) => Check::failed(
            WHAT,
            format!("{address}: {error}"),
            "end what holds it (ss -ltnp), or name another by --listen or KGE_LISTEN",
        ),
    }
}

fn is_kge(address: SocketAddr) -> bool {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
    let document = agent.get(format!("http://{address}/openapi.json")).call();
    document.is_ok_and(|mut answer| {
        answer.body_mut().read_to_string().is_ok_and(|text| text.contains("\"kge"))
    })
}

fn plugins(settings: &Settings) -> Check {
    const WHAT: &str = "plugins";
    const TO_DO: &str = "run `make plugins` in the source tree, or name a directory by --plugins";
    let directory = settings.plugins.display();
    let loaded = || {
        // Compiled code is kept where a server would look for it, if there is such a place.
        let host = if settings.state.is_dir() {
            open::host(settings)?
        } else {
            std::sync::Arc::new(Host::new(HostConfig {
                compiler: open::compiler(),
                ..HostConfig::default()
            })?)
        };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for file in kge_plugin::component_files(&settings.plugins)? {
            match std::fs::read(&file)
                .map_err(Failure::new)
                .and_then(|bytes| Ok(host.load(&bytes)?))
            {
                Ok(plugin) => good.push(plugin.description().name.clone()),
                Err(error) => bad.push(format!("{}: {}", file.display(), error.message)),
            }
        }
        Ok::<_, Failure>((good, bad))
    };
    match loaded() {
        Err(error) => Check::failed(WHAT, error.message, TO_DO),
        Ok((good, bad)) if good.is_empty() && bad.is_empty() => {
            Check::failed(WHAT, format!("{directory} has no *.wasm"), TO_DO)
        }
        Ok((good, bad)) if bad.is_empty() => {
            Check::fine(WHAT, format!("{directory}: {}", good.join(", ")))
        }
        Ok((_, bad)) => Check::failed(
            WHAT,
            bad.join("; "),
            "build them again for this release (`make plugins`), or take them out",
        ),
    }
}

fn toolchain() -> Check {
    const WHAT: &str = "toolchain";
    match kge_plugin::toolchain::find() {
        Ok(words) => Check::fine(WHAT, words),
        // Needed to write plugins, not to use them.
        Err(error) => {
            let text = error.to_string();
            let (found, to_do) = text.split_once('\n').unwrap_or((&text, ""));
            Check::warning(WHAT, format!("{found} (only `kge plugin build` needs it)"), to_do)
        }
    }
}

/// What the kernels can use, as the kernel of the system names it.
const FEATURES: [&str; 8] =
    ["avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve"];

fn cpu() -> Check {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let has =
        |feature: &&str| line.is_some_and(|line| line.split_whitespace().any(|f| f == *feature));
    let features: Vec<_> = FEATURES.into_iter().filter(has).collect();
    let features = if features.is_empty() { "none known".into() } else { features.join(" ") };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let level = kge_embed::simd_level();
    let found = format!("{threads} threads, {features}; loops run at {level}");
    if cfg!(target_arch = "x86_64") && level == "portable" {
        let to_do = "works, several times slower; in a virtual machine pass the host's CPU through";
        return Check::warning("cpu", found, to_do);
    }
    Check::fine("cpu", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/b /my\\040disk xfs rw 0 0\n\
                      none /my\\040disk/t tmpfs rw 0 0\nhost:/x /my\\040disk/t nfs4 rw 0 0\n";
        for (path, expected) in
            [("/home/u", "ext4"), ("/my disk/d", "xfs"), ("/my disk/t/d", "nfs4"), ("/my", "ext4")]
        {
            assert_eq!(filesystem_in(mounts, Path::new(path)).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_directory_is_writable_or_not_and_asking_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a/b");
        let check = directory("data", &inside, "--data");
        assert_ne!(check.state, State::Failed, "{check:?}");
        assert!(check.found.ends_with("made on first use"), "{check:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        std::fs::write(folder.path().join("file"), "").unwrap();
        let check = directory("data", &folder.path().join("file/sub"), "--data");
        assert_eq!(check.state, State::Failed, "{check:?}");
        assert!(check.to_do.unwrap().contains("--data"));
    }
}
