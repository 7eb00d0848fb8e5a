//! Import tasks: an upload becomes part of a revision, all of it or nothing.

use std::{io, sync::Arc};

use futures_util::TryStreamExt;
use kge_catalog::DatasetId;
use kge_graph::{GraphBuilder, Split, read};
use kge_jobs::{Claim, Progress};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{
    Error, Result, attempt::on_own_thread, claims::Context, publish::refuse, report::Reporter,
};

/// Statements between two looks at the cancel flag.
const STRIDE: u64 = 4096;

/// What an import task asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    /// The upload's name.
    upload: String,
    format: read::Format,
    split: Split,
}

pub(crate) async fn import(
    context: &Arc<Context>,
    claim: &Claim,
    reporter: &Arc<Reporter>,
) -> Result<serde_json::Value> {
    let payload: Payload = serde_json::from_value(claim.task.payload.clone())
        .map_err(|error| Error::user("parameters", format!("payload: {error}")))?;
    let dataset = claim.task.dataset.map(DatasetId);
    let dataset = dataset.ok_or_else(|| Error::user("parameters", "the task has no dataset"))?;
    let pieces = context.catalog.upload(&payload.upload).await.map_err(refuse)?;
    let upload = SyncIoBridge::new(StreamReader::new(Box::pin(pieces.map_err(io::Error::other))));

    let watcher = reporter.clone();
    let builder = on_own_thread("import", move || {
        let mut builder = GraphBuilder::new();
        let mut read_so_far = 0;
        let input = read::decompress(upload).map_err(|error| Error::transient("io", error))?;
        let read = read::read(payload.format, input, &mut |statement| {
            builder.add(payload.split, statement);
            read_so_far += 1;
            if read_so_far % STRIDE == 0 {
                watcher.progress(Progress {
                    step: read_so_far,
                    current: Some(read_so_far),
                    message: Some(format!("{read_so_far} statements read")),
                    ..Progress::default()
                });
                if watcher.stopping() {
                    return Err(io::Error::from(io::ErrorKind::Interrupted).into());
                }
            }
            Ok(())
        });
        match read {
            _ if watcher.stopping() => Err(Error::Stopped),
            Ok(report) => Ok((builder, report)),
            Err(error) if error.is_input() => Err(Error::user("data", error)),
            Err(error) => Err(Error::transient("io", error)),
        }
    })
    .await;
    let (builder, report) = match builder {
        // It would fail the same way again.
        Err(error @ Error::User { .. }) => {
            remove(context, &payload.upload).await;
            return Err(error);
        }
        read => read?,
    };
    let statements = report.statements;
    let repeated = statements - builder.len() as u64;

    reporter.phase("publishing");
    let imported = context.catalog.import(dataset, builder).await.map_err(refuse)?;
    remove(context, &payload.upload).await;
    Ok(json!({
        "added": imported.added,
        "duplicate": imported.duplicate + repeated,
        "moved": imported.moved,
        "literals_skipped": report.literals_skipped,
        "graphs_dropped": report.graphs_dropped,
        "revision": imported.revision,
    }))
}

async fn remove(context: &Context, upload: &str) {
    if let Err(error) = context.catalog.remove_upload(upload).await {
        tracing::warn!(upload, %error, "an upload is left behind");
    }
}
