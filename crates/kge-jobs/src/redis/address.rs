//! A Redis address: what may stand in it, and how it is told without its password.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fred::{
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    rustls_native_certs::load_native_certs,
    socket2::TcpKeepalive,
    types::{
        Builder,
        config::{Config, ReconnectPolicy, ServerConfig, TlsConfig, TlsConnector},
    },
};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Error, Result};

/// What an address may look like.
const FORMS: &str = "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://… with \
     certificates, or redis+unix:///PATH/TO/SOCKET";

const USUAL_PORT: u16 = 6379;

/// Where a Redis is and how it is to be used.
pub(super) struct Address {
    pub(super) config: Config,
    /// In braces, so that all keys lie in one slot of a cluster.
    pub(super) name: String,
    /// The address without secrets.
    pub(super) location: String,
}

/// What stands behind the question mark.
#[derive(Default)]
struct Options {
    prefix: Option<String>,
    database: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Address {
    /// Reads an address; certificate files are read too.
    ///
    /// # Errors
    /// [`Error::Refused`] in words if it is not one.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let location = without_secrets(text);
        Self::read(text, &location).map_err(|reason| Error::Refused { location, reason })
    }

    fn read(text: &str, location: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; {FORMS}"))?;
        let options = Options::read(&url)?;
        let (uses_tls, is_socket) = match url.scheme() {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (true, false),
            "redis+unix" | "valkey+unix" => (false, true),
            other if other.ends_with("-sentinel") || other.ends_with("-cluster") => {
                return Err("this release knows neither Sentinel nor Cluster".to_owned());
            }
            _ => return Err(FORMS.to_owned()),
        };
        let server = if is_socket {
            ServerConfig::Unix { path: PathBuf::from(decoded(url.path())?) }
        } else {
            let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            ServerConfig::new_centralized(host, url.port().unwrap_or(USUAL_PORT))
        };
        let path = url.path().trim_matches('/');
        let database = match (&options.database, path) {
            (Some(number), _) => Some(database(number)?),
            (None, path) if is_socket || path.is_empty() => None,
            (None, path) => Some(database(path)?),
        };
        let secret = |part: &str| decoded(part).map(|text| Some(text).filter(|t| !t.is_empty()));
        let config = Config {
            server,
            database,
            username: secret(url.username())?,
            password: secret(url.password().unwrap_or_default())?,
            tls: options.tls(uses_tls)?,
            // The first attempt says why it failed; later ones are ours or fred's policy's.
            fail_fast: true,
            ..Config::default()
        };
        let name = format!("{{{}}}", options.prefix.as_deref().unwrap_or("kge"));
        Ok(Self { config, name, location: location.to_owned() })
    }

    /// Builds clients that nothing is hidden from: no silent retries, no endless waits.
    pub(super) fn builder(&self) -> Builder {
        const SILENCE: Duration = Duration::from_secs(8);
        let mut builder = Builder::from_config(self.config.clone());
        builder
            .with_connection_config(|connection| {
                // A lost reply is asked again by nonce or token, never resent unseen.
                connection.max_command_attempts = 1;
                connection.connection_timeout = Duration::from_secs(3);
                connection.internal_command_timeout = Duration::from_secs(3);
                connection.unresponsive.max_timeout = Some(SILENCE);
                connection.unresponsive.interval = Duration::from_secs(2);
                connection.max_command_buffer_len = 10_000;
                connection.tcp.nodelay = Some(true);
                // An idle subscriber has nothing to time out; keep-alive finds it dead.
                let keepalive = TcpKeepalive::new()
                    .with_time(Duration::from_secs(10))
                    .with_interval(Duration::from_secs(3));
                connection.tcp.keepalive = Some(keepalive);
                #[cfg(target_os = "linux")]
                {
                    connection.tcp.user_timeout = Some(SILENCE);
                }
            })
            .with_performance_config(|performance| {
                performance.default_command_timeout = Duration::from_secs(5);
                performance.broadcast_channel_capacity = 1024;
            })
            .set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2));
        builder
    }
}

impl Options {
    fn read(url: &Url) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*name {
                "prefix" if !value.is_empty() && !value.contains(['{', '}']) => {
                    options.prefix = Some(value);
                }
                "prefix" => return Err("prefix: expected a name without braces".to_owned()),
                "db" => options.database = Some(value),
                "ca" => options.ca = Some(value.into()),
                "cert" => options.certificate = Some(value.into()),
                "key" => options.key = Some(value.into()),
                other => {
                    return Err(format!(
                        "there is no option \"{other}\"; there are prefix, db, ca, cert, key"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn tls(&self, uses_tls: bool) -> Result<Option<TlsConfig>, String> {
        if !uses_tls {
            return match (&self.ca, &self.certificate, &self.key) {
                (None, None, None) => Ok(None),
                _ => Err("ca, cert and key belong to rediss://".to_owned()),
            };
        }
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(file) => {
                for certificate in certificates("ca", file)? {
                    roots.add(certificate).map_err(|error| in_file("ca", file, &error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("no certificate to trust: name one with ?ca=FILE".to_owned());
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let client = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| in_file("key", key, &error))?;
                builder
                    .with_client_auth_cert(certificates("cert", certificate)?, secret)
                    .map_err(|error| in_file("cert", certificate, &error))?
            }
            _ => return Err("cert and key are given together".to_owned()),
        };
        Ok(Some(TlsConnector::from(client).into()))
    }
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| in_file(option, file, &error))?;
    if read.is_empty() { Err(in_file(option, file, &"no certificate in it")) } else { Ok(read) }
}

fn in_file(option: &str, file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{option} {}: {error}", file.display())
}

fn database(number: &str) -> Result<u8, String> {
    number.parse().map_err(|_| format!("database \"{number}\": expected a number from 0 to 255"))
}

fn decoded(part: &str) -> Result<String, String> {
    let text = percent_decode_str(part).decode_utf8();
    text.map(Into::into).map_err(|_| "a part of it is not UTF-8".to_owned())
}

/// Whatever stands before the last `@` may hold a password, what stands behind `?` file names.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port, database, user, password) in [
            ("redis://redis", "redis", 6379, None, None, None),
            ("redis://:p%40ss@redis:7000/3", "redis", 7000, Some(3), None, Some("p@ss")),
            ("valkey://kge:secret@[::1]/", "::1", 6379, None, Some("kge"), Some("secret")),
            ("redis://10.0.0.1?db=2&prefix=x", "10.0.0.1", 6379, Some(2), None, None),
        ] {
            let config = Address::parse(text).unwrap().config;
            let ServerConfig::Centralized { server } = &config.server else { panic!("{text}") };
            assert_eq!((&*server.host, server.port), (host, port), "{text}");
            assert_eq!(config.database, database, "{text}");
            assert_eq!((config.username.as_deref(), config.password.as_deref()), (user, password));
        }
        let socket = Address::parse("redis+unix:///run/redis.sock?db=1&prefix=ours").unwrap();
        assert_eq!(socket.config.server, ServerConfig::Unix { path: "/run/redis.sock".into() });
        assert_eq!((socket.config.database, &*socket.name), (Some(1), "{ours}"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (text, told) in [
            ("redis://:hunter2@", "job store redis://: "),
            ("redis://:hunter2@host/first", "job store redis://host/first: database \"first\""),
            ("redis://:hunter2@host/256", "expected a number from 0 to 255"),
            ("redis://:hunter2@host:port", "invalid port"),
            ("redis://:hun/ter2@host", "job store redis://host: "),
            ("redis://u:hunter2@host?colour=red", "there is no option \"colour\""),
            ("redis://u:hunter2@host?prefix={x}", "expected a name without braces"),
            ("redis://u:hunter2@host?ca=ca.pem", "belong to rediss://"),
            ("rediss://u:hunter2@host?ca=/nowhere/ca.pem", "ca /nowhere/ca.pem: "),
            ("redis-sentinel://u:hunter2@host", "neither Sentinel nor Cluster"),
            ("http://u:hunter2@host", "expected redis://"),
            ("sqlite", "expected redis://"),
        ] {
            let error = Address::parse(text).err().unwrap().to_string();
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains("ter2"), "{text}: {error}");
        }
    }
}
