//! No-op tasks a second, and the time from enqueue to claim, on two handles of one store: a SQLite
//! file, and a Redis of this bench's own where `redis-server` is installed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use kge_jobs::{Claimant, JobStore, Kind, NewTask, RedisJobs, Result, SqliteJobs, WorkerId};
use serde_json::json;

/// Opens the store of this name once more.
type Open<'a> = &'a dyn Fn(&str) -> Result<Arc<dyn JobStore>>;

fn new() -> NewTask {
    NewTask::new(Kind::Train, Some(1), json!({ "model": 1 }))
}

fn claimant(worker: usize, nonce: u64) -> Claimant {
    Claimant {
        worker: WorkerId(format!("worker {worker}")),
        kinds: vec![Kind::Train],
        features: vec![],
        nonce,
        lease: Duration::from_secs(30),
    }
}

/// Tasks through their whole life a second, with this many at once.
async fn rate(open: Open<'_>, name: &str, tasks: usize, at_once: usize) -> Result<f64> {
    let (server, worker) = (open(name)?, open(name)?);
    worker.ping().await?;
    server.ping().await?;
    let begun = Instant::now();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..at_once {
        let (server, worker) = (server.clone(), worker.clone());
        lanes.spawn(async move {
            for nonce in 0..(tasks / at_once) as u64 {
                server.enqueue(new()).await?;
                // Each lane takes whichever is next: one was added for it.
                if let Some(claim) = worker.claim(claimant(lane, nonce)).await? {
                    worker.complete(claim.task.id, claim.token, json!(null)).await?;
                }
            }
            Ok::<_, kge_jobs::Error>(())
        });
    }
    for lane in lanes.join_all().await {
        lane?;
    }
    Ok(tasks as f64 / begun.elapsed().as_secs_f64())
}

/// Sorted times from the call of enqueue until another handle holds the claim.
async fn enqueue_to_claim(open: Open<'_>, tasks: u64) -> Result<Vec<Duration>> {
    let (server, worker) = (open("latency")?, open("latency")?);
    let (claimed, mut claims) = tokio::sync::mpsc::unbounded_channel();
    let loops = tokio::spawn(async move {
        for nonce in 0.. {
            match worker.claim(claimant(0, nonce)).await? {
                Some(claim) => {
                    if claimed.send(Instant::now()).is_err() {
                        break;
                    }
                    worker.complete(claim.task.id, claim.token, json!(null)).await?;
                }
                None if claimed.is_closed() => break,
                None => worker.wait_for_work(Duration::from_millis(500)).await?,
            }
        }
        Ok::<_, kge_jobs::Error>(())
    });
    let mut times = Vec::new();
    for _ in 0..tasks {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let begun = Instant::now();
        server.enqueue(new()).await?;
        if let Some(at) = claims.recv().await {
            times.push(at.duration_since(begun));
        }
    }
    drop(claims);
    let _ = loops.await;
    times.sort();
    Ok(times)
}

async fn report(store: &str, open: Open<'_>) -> Result<()> {
    for at_once in [1, 8, 64] {
        let rate = rate(open, &format!("rate-{at_once}"), 1920, at_once).await?;
        println!("{store}, {at_once:>2} at once: {rate:>7.0} tasks/s (enqueue, claim, complete)");
    }
    let times = enqueue_to_claim(open, 500).await?;
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("{store}, enqueue to claim: p50 {:.2?}, p99 {:.2?}", at(0.5), at(0.99));
    Ok(())
}

/// A Redis that keeps an append-only file, synced each second or at each write.
fn redis(folder: &Path, sync: &str) -> std::io::Result<Child> {
    let child = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", sync])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()?;
    while !folder.join("socket").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1);
    let parent = argument.as_deref().filter(|word| !word.starts_with('-')).unwrap_or(".");
    let folder = tempfile::tempdir_in(parent)?;
    let open = |name: &str| -> Result<Arc<dyn JobStore>> {
        Ok(Arc::new(SqliteJobs::open(&folder.path().join(name))?))
    };
    report("SQLite", &open).await?;
    for sync in ["everysec", "always"] {
        let folder = tempfile::tempdir_in(parent)?;
        let Ok(mut server) = redis(folder.path(), sync) else {
            println!("no redis-server here");
            break;
        };
        let socket = folder.path().canonicalize()?.join("socket");
        let open = |name: &str| -> Result<Arc<dyn JobStore>> {
            let address = format!("redis+unix://{}?prefix={name}", socket.display());
            Ok(Arc::new(RedisJobs::open(&address)?))
        };
        let reported = report(&format!("Redis ({sync})"), &open).await;
        server.kill()?;
        server.wait()?;
        reported?;
    }
    Ok(())
}
