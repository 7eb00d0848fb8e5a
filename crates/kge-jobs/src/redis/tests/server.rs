//! A `redis-server` of a test's own, in a directory of its own, killed at its end.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fred::{
    interfaces::{ClientLike, LuaInterface},
    prelude::Client,
    types::{Builder, config::Config},
};
use tempfile::TempDir;

pub(super) struct Server {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts one on a free port of this host; `None`, said on standard error, where there is no
    /// `redis-server` and none is required.
    pub(super) fn start(options: &[&str]) -> Option<Self> {
        let mut server = Self::away(options)?;
        server.restart();
        Some(server)
    }

    /// One that does not run yet.
    pub(super) fn away(options: &[&str]) -> Option<Self> {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join("redis-server"))
            .find(|program| program.is_file());
        let Some(program) = found else {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not installed");
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let mut server =
            Self { program, folder, port: free_port(), options: Vec::new(), child: None };
        server.set_options(options);
        Some(server)
    }

    pub(super) fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Starts it on the data that it left.
    pub(super) fn restart(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--logfile", "log", "--unixsocket", "socket", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while !self.socket().exists() {
            if begun.elapsed() > Duration::from_secs(10) {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                panic!("redis-server did not start: {}", log.unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A plain connection to it.
    pub(super) async fn client(&self) -> Client {
        let client = Builder::from_config(Config::from_url(&self.address()).unwrap());
        let client = client.build().unwrap();
        client.init().await.unwrap();
        client
    }

    /// The names of everything in it, sorted.
    pub(super) async fn keys(&self) -> Vec<String> {
        let client = self.client().await;
        let script = "local keys = redis.call('KEYS', '*') table.sort(keys) return keys";
        client.eval(script, Vec::<String>::new(), Vec::<String>::new()).await.unwrap()
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
