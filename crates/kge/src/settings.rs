//! Settings: flags over environment over one TOML file over defaults.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    cli::{AskForKeys, Common},
    commands::Failure,
};

/// The effective settings; what `kge config` prints and a settings file may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where datasets and models lie.
    pub data: String,
    /// Local directory for tasks and compiled plugins; empty: in `data`.
    pub state: PathBuf,
    /// Where tasks are kept: `sqlite`, or a Redis; its password is not printed.
    #[serde(serialize_with = "without_password")]
    pub jobs: String,
    /// Directory of scoring models; empty: looked for.
    pub plugins: PathBuf,
    /// Numeric threads; 0: all cores.
    pub threads: usize,
    /// Whether the user's group may write what is written.
    pub group_writable: bool,
    /// The server's.
    pub server: Server,
    /// The worker's.
    pub worker: Worker,
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// What stands in front of every path.
    pub path_prefix: String,
    /// Origins of web pages that may use the server beside loopback ones.
    pub cors_origins: Vec<String>,
    /// Host names it answers to beside loopback ones.
    pub allowed_hosts: Vec<String>,
    /// The address others reach it at, where that is not its own: a container's, published.
    pub published: Option<IpAddr>,
    /// Whether requests must show a key.
    pub keys: AskForKeys,
    /// Bytes of a body that are taken at once; triples beyond it are imported by a task.
    pub body_limit: usize,
    /// Bytes of a body of triples that are kept for an import task.
    pub upload_limit: u64,
    /// Seconds a request may stand still.
    pub request_timeout: u64,
    /// Days that ended tasks can be asked for; 0: for ever.
    pub keep_tasks: u64,
}

/// `[worker]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Worker {
    /// Tasks at once.
    pub concurrency: usize,
    /// Seconds a lease runs without a sign of life.
    pub lease: u64,
    /// Kinds of task; none: all this release can do.
    pub kinds: Vec<kge_jobs::Kind>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "kge-data".into(),
            state: PathBuf::new(),
            jobs: "sqlite".into(),
            plugins: PathBuf::new(),
            threads: 0,
            group_writable: false,
            server: Server::default(),
            worker: Worker::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6789)),
            path_prefix: String::new(),
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            published: None,
            keys: AskForKeys::Auto,
            body_limit: 64 << 20,
            upload_limit: 64 << 30,
            request_timeout: 300,
            keep_tasks: 30,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self { concurrency: 1, lease: 30, kinds: Vec::new() }
    }
}

impl Settings {
    /// Reads the file, if any, and lays flags and environment over it.
    ///
    /// # Errors
    /// If the file cannot be read, or holds what is not a setting.
    pub(crate) fn effective(common: &Common) -> Result<Self, Failure> {
        let usual = Path::new("kge.toml");
        let mut settings = match &common.config {
            Some(file) => Self::read(file)?,
            None if usual.is_file() => Self::read(usual)?,
            None => Self::default(),
        };
        let Common { data, state, jobs, plugins, threads, .. } = common.clone();
        settings.data = data.unwrap_or(settings.data);
        settings.state = state.unwrap_or(settings.state);
        settings.jobs = match jobs {
            Some(jobs) => jobs,
            None => secret("KGE_JOBS_FILE")?.unwrap_or(settings.jobs),
        };
        settings.plugins = plugins.unwrap_or(settings.plugins);
        settings.threads = threads.unwrap_or(settings.threads);
        settings.group_writable |= common.group_writable;
        if settings.state.as_os_str().is_empty() {
            let is_url = settings.data.contains("://");
            settings.state =
                if is_url { "kge-state".into() } else { Path::new(&settings.data).join("state") };
        }
        if settings.plugins.as_os_str().is_empty() {
            settings.plugins = find_plugins();
        }
        if settings.threads == 0 {
            settings.threads = std::thread::available_parallelism().map_or(1, Into::into);
        }
        Ok(settings)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// If it cannot be read, or holds what is not a setting: with line and column.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
    }
}

/// A secret in a file that the environment names, as containers are given theirs.
fn secret(variable: &str) -> Result<Option<String>, Failure> {
    let Some(file) = std::env::var_os(variable) else { return Ok(None) };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::usage(format!("{variable}: {}: {error}", Path::new(&file).display()))
    })?;
    Ok(Some(text.trim_end().to_owned()))
}

fn without_password<S: Serializer>(address: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hide_password(address))
}

/// An address as it may be shown: `redis://user:***@host`.
pub(crate) fn hide_password(address: &str) -> String {
    let hidden = address.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}"))
    });
    hidden.unwrap_or_else(|| address.to_owned())
}

fn find_plugins() -> PathBuf {
    let here = PathBuf::from("plugins/components");
    let installed = std::env::current_exe()
        .ok()
        .and_then(|binary| Some(binary.parent()?.parent()?.join("share/kge/plugins")));
    match installed {
        Some(installed) if !here.is_dir() && installed.is_dir() => installed,
        _ => here,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kge.toml");
        std::fs::write(&file, "data = 'a'\nthreads = 3\n[worker]\nlease = 7\nkinds = ['train']\n")
            .unwrap();
        let common =
            Common { config: Some(file.clone()), data: Some("b".into()), ..Common::default() };
        let settings = Settings::effective(&common).unwrap();
        assert_eq!((settings.data.as_str(), settings.threads), ("b", 3));
        let kinds = vec![kge_jobs::Kind::Train];
        assert_eq!(settings.worker, Worker { concurrency: 1, lease: 7, kinds });
        assert_eq!(settings.state, Path::new("b/state"));

        std::fs::write(&file, "dta = 'a'\n").unwrap();
        let refused = Settings::read(&file).unwrap_err();
        assert_eq!(refused.code, 2);
        assert!(refused.message.contains("unknown field `dta`"), "{}", refused.message);
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let text = toml::to_string(&Settings::default()).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), Settings::default());
        for (jobs, printed) in [
            ("redis://host/1", "redis://host/1"),
            ("redis://:hunter2@host", "redis://:***@host"),
            ("rediss://kge:hun:t@er2@host", "rediss://kge:***@host"),
        ] {
            let settings = Settings { jobs: jobs.into(), ..Settings::default() };
            let text = toml::to_string(&settings).unwrap();
            assert!(text.contains(&format!("jobs = \"{printed}\"")), "{text}");
        }
    }
}
