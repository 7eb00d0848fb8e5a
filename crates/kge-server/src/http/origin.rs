//! Who may knock: hosts this server answers to, and origins whose pages may use it.

use std::net::IpAddr;

use hyper::{HeaderMap, Method, Uri, header};

use super::{Problem, kind};

/// The hosts and origins that are let in.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Origins beside loopback ones; `*` opens to all.
    pub origins: Vec<String>,
    /// Host names beside loopback ones.
    pub hosts: Vec<String>,
    /// Whether the `Host` header is held against the list at all.
    pub checks_host: bool,
}

impl Doors {
    /// Whether pages of this origin may read answers.
    pub(crate) fn admits_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|o| o == "*" || o.eq_ignore_ascii_case(origin))
            || origin
                .split_once("://")
                .is_some_and(|(scheme, rest)| scheme.starts_with("http") && is_loopback(rest))
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// 403 if its host is neither loopback nor listed, or if a page of another origin tries to
    /// change something.
    pub(crate) fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
        let host = uri.authority().map(|a| a.as_str()).or_else(|| text(header::HOST));
        if let Some(host) = host.filter(|_| self.checks_host) {
            let name = host_name(host);
            let listed = |h: &String| h.eq_ignore_ascii_case(name) || h.eq_ignore_ascii_case(host);
            if !is_loopback(host) && !self.hosts.iter().any(listed) {
                let words = format!(
                    "this server does not answer to the host \"{name}\"; add it to allowed_hosts"
                );
                return Err(Problem::new(&kind::FORBIDDEN_HOST, words));
            }
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(origin) = text(header::ORIGIN).filter(|_| changes) {
            let own = origin.split_once("://").map(|(_, authority)| authority) == host;
            if !own && !self.admits_origin(origin) {
                let words = format!(
                    "pages of \"{origin}\" may not change anything here; add it to cors_origins"
                );
                return Err(Problem::new(&kind::FORBIDDEN_ORIGIN, words));
            }
        }
        Ok(())
    }
}

/// The host without its port and brackets.
fn host_name(host: &str) -> &str {
    if let Some((name, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return name;
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback(host: &str) -> bool {
    let name = host_name(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(method: &str, host: &str, origin: &str) -> Option<&'static str> {
        let doors = Doors {
            origins: vec!["https://kge.example".into()],
            hosts: vec!["kge.example".into()],
            checks_host: true,
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if !origin.is_empty() {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let method = method.parse().unwrap();
        let refused = doors.admit(&method, &Uri::from_static("/"), &headers).err();
        refused.map(|problem| problem.kind().slug)
    }

    #[test]
    fn hosts_and_origins() {
        for (method, host, origin, refused) in [
            ("GET", "localhost:6789", "", None),
            ("GET", "127.0.0.1", "", None),
            ("GET", "[::1]:6789", "", None),
            ("GET", "kge.example:80", "", None),
            ("GET", "evil.example", "", Some("forbidden-host")),
            ("GET", "localhost.evil.example", "", Some("forbidden-host")),
            ("POST", "localhost:6789", "http://localhost:8080", None),
            ("POST", "localhost:6789", "http://[::1]:8080", None),
            ("POST", "localhost:6789", "https://kge.example", None),
            ("POST", "kge.example", "http://kge.example", None),
            ("POST", "localhost:6789", "https://evil.example", Some("forbidden-origin")),
            ("DELETE", "localhost:6789", "null", Some("forbidden-origin")),
            ("GET", "localhost:6789", "https://evil.example", None),
        ] {
            assert_eq!(admit(method, host, origin), refused, "{method} {host} {origin}");
        }
    }
}
