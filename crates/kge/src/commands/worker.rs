//! `kge worker`: does tasks until it is told to stop.

use std::{io::Read, path::PathBuf, time::Duration};

use kge_jobs::WorkerInfo;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Failure, Result};
use crate::{cli, open, settings::Settings};

pub(super) async fn worker(settings: Settings, args: cli::Worker, json: bool) -> Result {
    if args.status {
        return status(&settings, json).await;
    }
    let catalog = open::catalog(&settings)?;
    let jobs = open::jobs(&settings)?;
    let host = open::host(&settings)?;
    let kinds = args
        .kinds
        .iter()
        .map(|kind| {
            serde_json::from_value(kind.as_str().into()).map_err(|_| {
                Failure::usage(format!("--kinds: there is no kind of task \"{kind}\""))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let usual = kge_worker::Config::default();
    let config = kge_worker::Config {
        kinds: [kinds, settings.worker.kinds.clone(), usual.kinds.clone()]
            .into_iter()
            .find(|kinds| !kinds.is_empty())
            .unwrap_or_default(),
        concurrency: args.concurrency.unwrap_or(settings.worker.concurrency),
        threads: settings.threads,
        lease: Duration::from_secs(args.lease.unwrap_or(settings.worker.lease).max(1)),
        ..usual
    };
    let config = kge_worker::Config { heartbeat: config.lease / 3, ..config };
    let shutdown = on_signal()?;
    if args.end_with_stdin {
        end_with_stdin(shutdown.clone())?;
    }
    Ok(kge_worker::run(config, catalog, jobs, host, shutdown).await?)
}

/// Who works, and on what.
async fn status(settings: &Settings, json: bool) -> Result {
    let workers = open::jobs(settings)?.workers().await?;
    if json {
        println!("{}", serde_json::to_string(&workers)?);
        return Ok(());
    }
    if workers.is_empty() {
        println!("no worker was heard of within the last minute");
    }
    for WorkerInfo { id, host, pid, version, slots, tasks, last_seen, .. } in workers {
        let tasks: Vec<_> = tasks.iter().map(ToString::to_string).collect();
        let busy =
            if tasks.is_empty() { "idle".into() } else { format!("task {}", tasks.join(", ")) };
        println!("{id}  {host} pid {pid}, {version}: {busy}, {slots} at once, seen {last_seen}");
    }
    Ok(())
}

/// Cancelled by SIGTERM or Ctrl-C; while the binary is worked on, also by a newer one.
pub(super) fn on_signal() -> Result<CancellationToken> {
    let token = CancellationToken::new();
    if std::env::var_os("KGE_RESTART_ON_CHANGE").is_some_and(|wish| wish == "true") {
        tokio::spawn(end_when_replaced(std::env::current_exe()?, token.clone()));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(token)
}

/// For compose.dev.yaml, whose containers start again with what has been built meanwhile.
async fn end_when_replaced(binary: PathBuf, shutdown: CancellationToken) {
    let built = || std::fs::metadata(&binary).and_then(|file| Ok((file.modified()?, file.len())));
    let running = built().ok();
    let mut before = running;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = built().ok();
        // Twice the same: nobody writes it any more.
        if now.is_some() && now != running && now == before {
            tracing::info!(binary = %binary.display(), "there is a newer one");
            return shutdown.cancel();
        }
        before = now;
    }
}

/// The parent holds the other end of the pipe; it closes however the parent dies.
fn end_with_stdin(shutdown: CancellationToken) -> Result {
    std::thread::Builder::new().name("parent".into()).spawn(move || {
        let mut ignored = [0; 64];
        while !matches!(std::io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
        shutdown.cancel();
    })?;
    Ok(())
}
