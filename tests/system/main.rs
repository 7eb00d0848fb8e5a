//! The whole system, through the real binary: one test binary, one directory a server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod answers;
mod bad_input;
mod boundaries;
mod crash;
mod house;
mod main_job;
mod pages;
mod processes;
mod redis;
mod same_bytes;
mod tasks;
