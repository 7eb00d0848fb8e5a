//! Bodies of triples of any size: small ones come into memory, large ones into the store.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header;
use kge_graph::read::{self, Format};

use crate::{
    http::{Problem, Request, RequestBody, broken_off, kind, sniff},
    served::blocking,
};

/// Bytes of the unpacked text by which its format is known.
const SNIFFED: u64 = 512;

/// A body that has come in.
pub(super) enum Received {
    /// It fits into memory, unpacked too.
    Whole(Bytes),
    /// It lies in the store, for an import task.
    Kept {
        /// Its name there.
        upload: String,
        /// What it is.
        format: Format,
    },
}

/// Receives a body of triples.
///
/// # Errors
/// 413 if it is larger than anything this server keeps, 415 if its format is unknown, 400 if it
/// breaks off; nothing is kept then.
pub(super) async fn receive(request: &mut Request) -> Result<Received, Problem> {
    let Some(mut body) = request.take_body() else { return Ok(Received::Whole(Bytes::new())) };
    let most = request.app.config.upload_limit;
    let declared = request.header(header::CONTENT_LENGTH).and_then(|n| n.parse().ok());
    if declared.is_some_and(|length: u64| length > most) {
        return Err(too_large(most));
    }
    let limit = request.app.config.body_limit;
    let mut start = BytesMut::new();
    while start.len() <= limit {
        match next(&mut body).await? {
            Some(piece) => start.extend_from_slice(&piece),
            None => {
                let start = start.freeze();
                return match unpacks_within(&start, limit as u64).await? {
                    true => Ok(Received::Whole(start)),
                    false => keep(request, start, body).await,
                };
            }
        }
    }
    keep(request, start.freeze(), body).await
}

/// Brings a body into the store; `start` is what has come of it.
async fn keep(request: &Request, start: Bytes, mut body: RequestBody) -> Result<Received, Problem> {
    let (catalog, most) = (&request.app.catalog, request.app.config.upload_limit);
    let format = format(request, start.clone()).await?;
    let (name, mut upload) = catalog.begin_upload().await?;
    let mut length = start.len() as u64;
    let mut piece = Some(start);
    let received = loop {
        let Some(bytes) = piece else { break Ok(()) };
        if length > most {
            break Err(too_large(most));
        }
        if let Err(error) = upload.put(bytes).await {
            break Err(kge_catalog::Error::from(error).into());
        }
        piece = match next(&mut body).await {
            Ok(piece) => piece,
            Err(problem) => break Err(problem),
        };
        length += piece.as_ref().map_or(0, Bytes::len) as u64;
    };
    if let Err(problem) = received {
        upload.abandon().await;
        return Err(problem);
    }
    upload.finish().await.map_err(kge_catalog::Error::from)?;
    Ok(Received::Kept { upload: name, format })
}

async fn next(body: &mut RequestBody) -> Result<Option<Bytes>, Problem> {
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                // Trailers say nothing here.
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Some(Err(error)) => return Err(broken_off(&error)),
            None => return Ok(None),
        }
    }
}

/// Whether a body in gzip or zstd, or in neither, unpacks to so many bytes at most.
async fn unpacks_within(body: &Bytes, limit: u64) -> Result<bool, Problem> {
    let body = body.clone();
    let unpacked = blocking(move || {
        let mut unpacked = read::decompress(&body[..])?.take(limit + 1);
        io::copy(&mut unpacked, &mut io::sink())
    });
    Ok(unpacked.await?.map_err(kge_graph::Error::from)? <= limit)
}

async fn format(request: &Request, start: Bytes) -> Result<Format, Problem> {
    let content_type = request.header(header::CONTENT_TYPE).map(str::to_owned);
    blocking(move || {
        let mut text = Vec::new();
        let unpacked = read::decompress(&start[..]);
        let unpacked = unpacked.and_then(|input| input.take(SNIFFED).read_to_end(&mut text));
        unpacked.map_err(kge_graph::Error::from)?;
        sniff(content_type.as_deref(), &text)
    })
    .await?
}

fn too_large(most: u64) -> Problem {
    let words = format!("the body is larger than {most} bytes, the most this server keeps");
    Problem::new(&kind::BODY_TOO_LARGE, words)
}
