//! The REST API.
//!
//! [`bind`] takes the port, [`serve`] answers on it until it is told to stop. Every route is
//! declared once, in `routes`: method, path, handler, OpenAPI operation and scope; the router
//! and the [document](openapi) are both folded from that one list.
//!
//! This crate knows HTTP and JSON. What a dataset or a model is, and how they are kept, is
//! kge-catalog's; tasks are kge-jobs'. It never runs a task itself: it and the worker meet in
//! those two. CPU-heavy work (parsing, scans, plugins) leaves tokio's threads by
//! `spawn_blocking`.

#![forbid(unsafe_code)]

mod app;
mod config;
mod error;
mod http;
mod keys;
mod listen;
mod openapi;
mod retention;
mod router;
mod routes;
mod served;
#[cfg(test)]
mod tests;
mod types;

pub use app::Services;
pub use config::Config;
pub use error::Error;
pub use listen::{Listener, bind, serve, serve_pages};
pub use openapi::openapi;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
