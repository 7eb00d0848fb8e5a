//! Redis's and fred's errors, told in words that a user can act on.

use fred::error::{Error as Fault, ErrorKind};

use crate::Error;

pub(super) fn unavailable(location: &str, reason: impl Into<String>) -> Error {
    Error::Unavailable { location: location.to_owned(), reason: reason.into() }
}

pub(super) fn refused(location: &str, reason: impl Into<String>) -> Error {
    Error::Refused { location: location.to_owned(), reason: reason.into() }
}

/// The error that a caller sees.
pub(super) fn in_words(fault: &Fault, location: &str) -> Error {
    let details = fault.details();
    let told = |known: &&(&str, bool, &str)| details.contains(known.0);
    if let Some(&(_, lasting, reason)) = REPLIES.iter().find(told) {
        let error = if lasting { refused } else { unavailable };
        return error(location, reason);
    }
    match fault.kind() {
        ErrorKind::IO => unavailable(location, format!("cannot be reached: {}", cause(details))),
        // Between losing a connection and knowing it.
        _ if details.contains("Failed to route command") => {
            unavailable(location, "cannot be reached: the connection was lost")
        }
        ErrorKind::Tls => refused(location, format!("no secure connection: {details}")),
        ErrorKind::Timeout if location.starts_with("rediss:") => {
            unavailable(location, "does not answer: is it paused, cut off, or without TLS here?")
        }
        ErrorKind::Timeout => unavailable(location, "does not answer: is it paused, or cut off?"),
        ErrorKind::Backpressure => unavailable(location, "too many requests wait for it"),
        ErrorKind::Canceled => unavailable(location, "the connection was lost"),
        ErrorKind::Auth => refused(location, "it does not let this user in"),
        _ => unavailable(location, format!("unexpected: {details}")),
    }
}

/// What an answer contains, whether waiting is in vain, and what it means.
const REPLIES: &[(&str, bool, &str)] = &[
    ("WRONGPASS", true, "wrong user name or password"),
    ("NOAUTH", true, "it asks for a password: give it as redis://:PASSWORD@HOST"),
    ("NOPERM", true, "this user may not do it: grant ~{kge}* &{kge}* +@all"),
    ("DB index is out of range", true, "it has no database of that number: see `databases` there"),
    ("SELECT is not allowed in cluster mode", true, "a cluster has no numbered databases"),
    ("MOVED ", true, "it is part of a cluster, which this release does not know"),
    ("OOM ", false, "it is full: raise its maxmemory, or remove ended tasks; nothing was changed"),
    ("READONLY", false, "it is a replica, which cannot be written: give the primary's address"),
    ("LOADING", false, "it is still loading its data"),
    ("MISCONF", false, "it cannot save to its disk, so it takes no changes: check that disk"),
    ("MASTERDOWN", false, "it has lost its primary"),
    ("BUSY ", false, "it is busy with somebody's slow script"),
    ("max number of clients reached", false, "it takes no more connections: raise its maxclients"),
    ("InvalidCertificate", true, "its certificate is not trusted: name its authority by ?ca=FILE"),
    ("CertificateRequired", true, "it asks for a certificate: give one by ?cert=FILE&key=FILE"),
    (
        "AlertReceived(",
        true,
        "it does not trust our certificate: its tls-ca-cert-file must know it",
    ),
];

/// What is worth telling in the debug form of an I/O error, the only one that fred passes on.
fn cause(details: &str) -> &str {
    for (start, end) in [("message: \"", "\""), ("error: \"", "\"")] {
        let told = details.split_once(start).and_then(|(_, rest)| rest.split_once(end));
        if let Some((told, _)) = told {
            return told;
        }
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_words() {
        let os = r#"Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }"#;
        let name = r#"Custom { kind: Uncategorized, error: "failed to lookup address" }"#;
        for (kind, details, lasting, told) in [
            (ErrorKind::IO, os, false, "cannot be reached: Connection refused"),
            (ErrorKind::IO, name, false, "cannot be reached: failed to lookup address"),
            (ErrorKind::IO, "Connection closed.", false, "cannot be reached: Connection closed."),
            (ErrorKind::Timeout, "Request timed out.", false, "does not answer"),
            (ErrorKind::Auth, "WRONGPASS invalid username-password pair", true, "wrong user name"),
            (ErrorKind::Auth, "NOAUTH Authentication required.", true, "asks for a password"),
            (ErrorKind::Unknown, "ERR DB index is out of range", true, "no database of that"),
            (ErrorKind::Unknown, "OOM command not allowed when used …", false, "it is full"),
            (ErrorKind::Unknown, "READONLY You can't write against a …", false, "is a replica"),
            (ErrorKind::Unknown, "Failed to route command.", false, "cannot be reached"),
            (ErrorKind::Unknown, "ERR something new", false, "unexpected: ERR something new"),
        ] {
            let error = in_words(&Fault::new(kind, details), "redis://host");
            assert_eq!(matches!(error, Error::Refused { .. }), lasting, "{error}");
            let error = error.to_string();
            assert!(
                error.starts_with("job store redis://host: ") && error.contains(told),
                "{error}"
            );
        }
    }
}
