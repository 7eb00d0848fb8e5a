//! The worker child: started at lower priority, started again when it dies, ended with us.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A child that lived this long did not die of how it was started.
const HEALTHY: Duration = Duration::from_secs(30);
/// How long a child may take to hand its tasks back.
const GRACE: Duration = Duration::from_secs(12);

/// Keeps a worker running until `shutdown`.
pub(crate) async fn supervise(settings: Settings, shutdown: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        match start(&settings) {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), "worker started");
                // Held here: `wait` would close it, and the worker end.
                let pipe = child.stdin.take();
                tokio::select! {
                    status = child.wait() => tracing::warn!(how = %words(status), "worker ended"),
                    () = shutdown.cancelled() => return stop(child, pipe).await,
                }
            }
            Err(error) => tracing::error!(%error, "worker cannot be started"),
        }
        pause = if began.elapsed() > HEALTHY { FIRST_PAUSE } else { pause };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn start(settings: &Settings) -> std::io::Result<Child> {
    let binary = std::env::current_exe()?;
    let nice = Path::new("/usr/bin/nice");
    let mut command = if nice.is_file() {
        let mut command = Command::new(nice);
        command.args(["-n", "10"]).arg(binary);
        command
    } else {
        Command::new(binary)
    };
    let kinds = settings.worker.kinds.iter().filter_map(|kind| serde_json::to_value(kind).ok());
    let kinds: Vec<_> = kinds.filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
    command.arg("worker");
    if !kinds.is_empty() {
        command.args(["--kinds", &kinds.join(",")]);
    }
    command
        .arg("--end-with-stdin")
        .args(["--data", &settings.data])
        // Not an argument: its password would be seen by everybody on this machine.
        .env("KGE_JOBS", &settings.jobs)
        .arg("--state")
        .arg(&settings.state)
        .arg("--plugins")
        .arg(&settings.plugins)
        .args(["--threads", &settings.threads.to_string()])
        .args(["--concurrency", &settings.worker.concurrency.to_string()])
        .args(["--lease", &settings.worker.lease.to_string()])
        // The pipe closes when we die, however we die.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn stop(mut child: Child, pipe: Option<ChildStdin>) {
    drop(pipe);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!("worker did not end in time and is killed");
        // It may have ended at this very moment.
        let _ = child.kill().await;
    }
}

fn words(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
