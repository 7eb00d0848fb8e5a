//! `/datasets/{id}/triples`: bringing triples in, taking them out, writing them down.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::stream;
use hyper::{StatusCode, header};
use kge_catalog::DatasetId;
use kge_graph::{Split, read, write};
use kge_jobs::{Kind, NewTask};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    datasets::dataset_id,
    upload::{Received, receive},
    with,
};
use crate::{
    http::{self, BoxError, Problem, Request, accepted, json, kind, sniff},
    router::{Answer, Route, routes},
    served::blocking,
    types::{Accepted, Removed, TaskId, TriplesAccepted, TriplesAnswer, TriplesForm},
};

pub(super) fn routes() -> Vec<Route> {
    routes![add_triples Write, remove_triples Write, export_triples Read]
}

/// Add triples
///
/// JSON (the wrapped form, a bare array, plain strings), TSV, CSV or any RDF format by its
/// content type; gzip and zstd as `Content-Encoding` or as they come. All of the body is added
/// or nothing. Small bodies are added at once; large ones are kept, and a task adds them or fails
/// with the same words.
#[utoipa::path(post, path = "/datasets/{id}/triples", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("split" = Option<String>, Query, description = "`train` (default), `valid` or `test`"),
    ),
    request_body(content(
        (TriplesForm = "application/json"),
        (String = "text/tab-separated-values", example = "Q42\tP106\tQ36180\n"),
        (String = "text/csv"),
        (String = "application/n-triples"),
        (String = "text/turtle"),
    )),
    responses((status = 202, description = "Added, or queued; `Location` is the dataset or the task",
        body = TriplesAnswer)))]
async fn add_triples(mut request: Request) -> Answer {
    let split = split(&request)?.unwrap_or(Split::Train);
    let id = dataset_id(&request)?;
    request.app.catalog.dataset(id).await?;
    let (report, triples) = match receive(&mut request).await? {
        Received::Whole(body) => read_all(&request, body).await?,
        Received::Kept { upload, format } => {
            return import(&request, id, split, upload, format).await;
        }
    };
    let additions =
        triples.into_iter().map(|(head, relation, tail)| (split, head, relation, tail)).collect();
    let appended = request.app.catalog.append(id, additions, Vec::new()).await?;
    let kge_catalog::Appended { added, duplicate, moved, .. } = appended;
    let done = TriplesAnswer::Done(TriplesAccepted {
        status: 202,
        message: format!(
            "{added} triples added to the {split} split, {duplicate} there already, {moved} moved \
             from a weaker split"
        ),
        added,
        duplicate,
        moved,
        literals_skipped: report.literals_skipped,
        graphs_dropped: report.graphs_dropped,
    });
    let reply = json(StatusCode::ACCEPTED, &done);
    Ok(with(reply, header::LOCATION, &format!("{}/datasets/{id}", request.app.prefix)))
}

/// Queues the import of an upload.
async fn import(
    request: &Request,
    id: DatasetId,
    split: Split,
    upload: String,
    format: read::Format,
) -> Answer {
    let app = &request.app;
    let payload = json!({ "upload": upload, "format": format, "split": split });
    let queued = app.jobs.enqueue(NewTask::new(Kind::Import, Some(id.0), payload)).await;
    let task = match queued {
        Ok(task) => task.id.0,
        Err(error) => {
            app.catalog.remove_upload(&upload).await?;
            return Err(error.into());
        }
    };
    let accepted = TriplesAnswer::Queued(Accepted {
        status: 202,
        message: format!("Task {task} created successfully: it adds triples to the {split} split"),
        task: TaskId { id: task },
        model: None,
    });
    let reply = json(StatusCode::ACCEPTED, &accepted);
    let reply = with(reply, header::LOCATION, &format!("{}/tasks/{task}", app.prefix));
    Ok(with(reply, header::RETRY_AFTER, "1"))
}

/// Take triples out
///
/// The same bodies as for adding, from whichever split they are in.
#[utoipa::path(delete, path = "/datasets/{id}/triples", tag = "datasets",
    params(("id" = u64, Path, description = "The dataset")),
    request_body = TriplesForm,
    responses((status = 200, description = "Taken out", body = Removed)))]
async fn remove_triples(mut request: Request) -> Answer {
    let id = dataset_id(&request)?;
    request.app.catalog.dataset(id).await?;
    let body = request.bytes().await?;
    let (_, triples) = read_all(&request, body).await?;
    let removed = request.app.catalog.append(id, Vec::new(), triples).await?.removed;
    let message = format!("{removed} triples removed");
    Ok(json(StatusCode::OK, &Removed { status: 200, message, removed }))
}

/// Export triples
///
/// In the format that `Accept` asks for, JSON if it does not care.
#[utoipa::path(get, path = "/datasets/{id}/triples", tag = "datasets",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("split" = Option<String>, Query, description = "Only `train`, `valid` or `test`"),
        ("format" = Option<String>, Query, description = "Stronger than `Accept`: `tsv`, `csv`, `json`, `ntriples`, …"),
    ),
    responses((status = 200, description = "The triples", content(
        (TriplesForm = "application/json"),
        (String = "text/tab-separated-values"),
        (String = "text/csv"),
        (String = "application/n-triples"),
        (String = "text/turtle"),
    ))))]
async fn export_triples(request: Request) -> Answer {
    let split = split(&request)?;
    let format = match request.query.parsed::<read::Format>("format", "a format's name")? {
        Some(format) => format,
        None => accepted(request.header(header::ACCEPT))?,
    };
    let graph = request.app.catalog.graph(dataset_id(&request)?).await?;
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, BoxError>>(4);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(64 << 10, Chunks(sender.clone()));
        let written = write::write(format, &graph, split, &mut out).map_err(BoxError::from);
        let written = written.and_then(|()| out.flush().map_err(BoxError::from));
        if let Err(error) = written {
            // Half an answer must not look like a whole one: the connection breaks off.
            let _ = sender.blocking_send(Err(error));
        }
    });
    // What cannot be written at all is said before the answer begins.
    let first = match receiver.recv().await {
        Some(Err(error)) => {
            return Err(match error.downcast::<kge_graph::Error>() {
                Ok(error) => Problem::from(*error),
                Err(error) => Problem::internal(&error),
            });
        }
        first => first,
    };
    let rest = stream::poll_fn(move |context| receiver.poll_recv(context));
    let chunks = futures_util::StreamExt::chain(stream::iter(first), rest);
    Ok(with(http::stream(format.media_type(), chunks), header::VARY, "accept"))
}

fn split(request: &Request) -> Result<Option<Split>, Problem> {
    request.query.parsed("split", "train, valid or test")
}

/// The triples of a body that is in memory, parsed away from tokio's threads.
async fn read_all(
    request: &Request,
    body: Bytes,
) -> Result<(read::Report, Vec<(String, String, String)>), Problem> {
    if body.trim_ascii().is_empty() {
        return Ok((read::Report::default(), Vec::new()));
    }
    let content_type = request.header(header::CONTENT_TYPE).map(str::to_owned);
    let limit = request.app.config.body_limit as u64;
    blocking(move || {
        let mut text = Vec::new();
        let unpacked = read::decompress(&body[..]).and_then(|unpacked| {
            io::Read::read_to_end(&mut io::Read::take(unpacked, limit + 1), &mut text)
        });
        unpacked.map_err(kge_graph::Error::from)?;
        if text.len() as u64 > limit {
            return Err(Problem::new(
                &kind::BODY_TOO_LARGE,
                format!("the body unpacks to more than {limit} bytes, the most taken at once"),
            ));
        }
        let format = sniff(content_type.as_deref(), &text)?;
        let mut triples = Vec::new();
        let report = read::read(format, &text[..], &mut |statement| {
            let kge_graph::Statement { head, relation, tail } = statement;
            triples.push((head.to_owned(), relation.to_owned(), tail.to_owned()));
            Ok(())
        })?;
        Ok((report, triples))
    })
    .await?
}

/// A writer whose pieces become pieces of an answer; a client that leaves ends the writing.
struct Chunks(mpsc::Sender<Result<Bytes, BoxError>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
