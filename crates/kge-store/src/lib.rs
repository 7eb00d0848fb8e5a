//! The artifact store: object names, numbered manifests and checksums.
//!
//! [`Store`] keeps immutable objects under the names of [`layout`]. Two things make it safe to
//! share between processes: an object is made by [`Store::put_if_absent`], and what changes is a
//! folder of numbered manifests ([`Store::latest`], [`Store::publish`]) whose highest number
//! holds; the loser of a race reloads. Local writes are fsynced, file and folder.
//!
//! This crate is the only one that names `object_store`. It knows no graphs and no models: what
//! the objects hold is decided above.

#![forbid(unsafe_code)]

mod access;
mod digest;
mod document;
mod error;
pub mod layout;
mod manifest;
mod store;
mod upload;

pub use digest::sha256_hex;
pub use document::{read_document, write_document};
pub use error::Error;
pub use store::Store;
pub use upload::Upload;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
