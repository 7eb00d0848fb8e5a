//! The whole service, over real connections: what clients rely on, line by line.

mod algorithms;
mod client;
mod datasets;
mod keys;
mod models;
mod questions;
mod server;
mod tasks;
mod triples;
mod wire;

pub(crate) use client::Reply;
pub(crate) use server::Server;
