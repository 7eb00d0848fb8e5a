//! What can keep the server from serving.

use std::{io, net::SocketAddr};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error(
        "{address} is taken by another process: stop it, or choose another address with --listen \
         (port 0 takes a free one)"
    )]
    AddressTaken {
        /// Where this server was to listen.
        address: SocketAddr,
    },
    /// The address cannot be used at all.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where this server was to listen.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}
