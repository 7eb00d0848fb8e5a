//! Settings of the server.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How the server listens, whom it lets in, and how much it takes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address others reach it at, where that is not its own.
    pub published: Option<IpAddr>,
    /// What stands in front of every path, `/api`; paths without it are answered too.
    pub path_prefix: Option<String>,
    /// Origins of web pages that may use this server, beside loopback ones; `*` is all.
    pub cors_origins: Vec<String>,
    /// Host names this server answers to, beside loopback ones. Held against requests when it
    /// listens on a loopback address or when the list is not empty.
    pub allowed_hosts: Vec<String>,
    /// Whether every request must show a key that allows it.
    pub asks_for_keys: bool,
    /// Bytes of a body, decompressed, that are taken at once.
    pub body_limit: usize,
    /// Bytes of a body of triples, as it comes, that are kept for an import task.
    pub upload_limit: u64,
    /// How long a request may go without bringing more of its body, or without an answer once it
    /// has; event streams are exempt.
    pub request_timeout: Duration,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long requests under way may go on once the server is told to stop.
    pub shutdown_grace: Duration,
    /// How long ended tasks can be asked for; `None`: for ever.
    pub keep_tasks: Option<Duration>,
    /// Models kept in memory to answer questions.
    pub served_models: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6789)),
            published: None,
            path_prefix: None,
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            asks_for_keys: false,
            body_limit: 64 << 20,
            upload_limit: 64 << 30,
            request_timeout: Duration::from_secs(300),
            header_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(10),
            keep_tasks: None,
            served_models: 4,
        }
    }
}

impl Config {
    /// The path prefix with one leading slash and none at the end; empty without one.
    pub(crate) fn prefix(&self) -> String {
        let prefix = self.path_prefix.as_deref().unwrap_or_default().trim_matches('/');
        if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
    }
}
