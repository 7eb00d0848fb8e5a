//! Import tasks: a spooled upload becomes a revision, all of it or nothing.

use std::{path::PathBuf, sync::Arc};

use kge_catalog::DatasetId;
use kge_graph::{GraphBuilder, Split, read};
use kge_jobs::{Claim, Progress};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Result, attempt::on_own_thread, claims::Context, publish::refuse, report::Reporter,
};

/// Statements between two looks at the cancel flag.
const STRIDE: u64 = 4096;

/// What an import task asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    /// Where the upload lies, in the state directory.
    spool: PathBuf,
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
    let spool = context.config.state.join(&payload.spool);

    let (path, watcher) = (spool.clone(), reporter.clone());
    let builder = on_own_thread("import", move || {
        let mut builder = GraphBuilder::new();
        let mut read_so_far = 0;
        let input = read::open(&path).map_err(|error| Error::user("data", error))?;
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
                    return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
                }
            }
            Ok(())
        });
        match read {
            _ if watcher.stopping() => Err(Error::Stopped),
            Ok(_) => Ok((builder, read_so_far)),
            Err(error) if error.is_input() => Err(Error::user("data", error)),
            Err(error) => Err(Error::transient("io", error)),
        }
    })
    .await?;
    let (builder, statements) = builder;
    let repeated = statements - builder.len() as u64;

    reporter.phase("publishing");
    let imported = context.catalog.import(dataset, builder).await.map_err(refuse)?;
    if let Err(error) = std::fs::remove_file(&spool) {
        tracing::warn!(path = %spool.display(), %error, "spooled upload is left behind");
    }
    Ok(json!({
        "added": imported.added,
        "duplicate": imported.duplicate + repeated,
        "moved": imported.moved,
        "revision": imported.revision,
    }))
}
