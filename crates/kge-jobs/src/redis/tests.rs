//! The contract on a real Redis, started by each test that needs one.

mod server;

use std::{cell::Cell, sync::Arc};

use self::server::Server;
use super::*;
use crate::conformance::{self, Handles};

/// Runs the conformance suite, each check in a store of its own.
async fn conform(server: &Server, two_handles: bool) -> Vec<String> {
    let number = Cell::new(0);
    let failed = conformance::run(async || {
        number.set(number.get() + 1);
        let address = format!("{}?prefix=check-{two_handles}-{}", server.address(), number.get());
        let store = RedisJobs::open(&address).unwrap();
        if two_handles {
            let worker = Arc::new(RedisJobs::open(&address).unwrap());
            Handles { server: Arc::new(store), worker }
        } else {
            Handles::same(store)
        }
    })
    .await;
    failed.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_handle_keeps_the_contract() {
    let Some(server) = Server::start(&[]) else { return };
    assert_eq!(conform(&server, false).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_keep_the_contract() {
    let Some(server) = Server::start(&[]) else { return };
    assert_eq!(conform(&server, true).await, [""; 0]);
}
