//! No-op tasks a second, and the time from enqueue to claim, on two handles of one file.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use kge_jobs::{Claimant, JobStore, Kind, NewTask, Result, SqliteJobs, WorkerId};
use serde_json::json;

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
async fn rate(path: &Path, tasks: usize, at_once: usize) -> Result<f64> {
    let server = Arc::new(SqliteJobs::open(path)?);
    let worker = Arc::new(SqliteJobs::open(path)?);
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
async fn enqueue_to_claim(path: &Path, tasks: u64) -> Result<Vec<Duration>> {
    let server = SqliteJobs::open(path)?;
    let worker = Arc::new(SqliteJobs::open(path)?);
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

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(
        std::env::args().nth(1).as_deref().filter(|word| !word.starts_with('-')).unwrap_or("."),
    )?;
    for at_once in [1, 8, 64] {
        let path = folder.path().join(format!("rate-{at_once}"));
        let rate = rate(&path, 1920, at_once).await?;
        println!("{at_once:>3} at once: {rate:>7.0} tasks/s (enqueue, claim, complete)");
    }
    let times = enqueue_to_claim(&folder.path().join("latency"), 500).await?;
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("enqueue to claim: p50 {:.2?}, p99 {:.2?}", at(0.5), at(0.99));
    Ok(())
}
