//! kge: knowledge-graph embeddings, from triples to answers.
//!
//! [`cli`] says what can be asked, [`settings`] what holds unless told otherwise (flags over
//! environment over file), [`open`] opens what commands work on; one file a command lies in
//! [`commands`].

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod drawing;
mod open;
mod settings;
mod supervise;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// musl's own has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    log_to_stderr(&cli);
    let json = cli.common.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(json, &commands::Failure::new(error)),
    };
    let outcome = runtime.block_on(commands::run(cli));
    // A hung numeric thread must not hold the process up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(json, &failure),
    }
}

fn end(json: bool, failure: &commands::Failure) -> ExitCode {
    if json && !failure.answered {
        println!("{}", serde_json::json!({ "error": { "message": failure.message } }));
    }
    eprintln!("error: {}", failure.message);
    ExitCode::from(failure.code)
}

fn log_to_stderr(cli: &cli::Cli) {
    let usual = match (cli.common.quiet, cli.common.verbose) {
        (true, _) => "error",
        (_, 0) if cli.command.is_service() => "info",
        (_, 0) => "warn",
        (_, 1) => "info,kge=debug,kge_worker=debug,kge_server=debug",
        (_, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("KGE_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
