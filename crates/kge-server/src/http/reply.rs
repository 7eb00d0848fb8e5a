//! Replies: JSON, bytes, streams.

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, body::Frame, header};
use serde::Serialize;

use super::BoxError;

/// The body of every reply.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, BoxError>;

/// What a handler answers.
pub(crate) type Reply = Response<ReplyBody>;

/// A JSON reply.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    json_as("application/json", status, body)
}

/// A JSON reply under another media type.
pub(crate) fn json_as(
    media_type: &'static str,
    status: StatusCode,
    body: &impl Serialize,
) -> Reply {
    match serde_json::to_vec(body) {
        Ok(text) => bytes(status, media_type, text),
        Err(error) => {
            tracing::error!(%error, "a reply could not be written as JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A reply that is JSON already.
pub(crate) fn json_text(body: impl Into<Bytes>) -> Reply {
    bytes(StatusCode::OK, "application/json", body)
}

/// A reply of these bytes.
pub(crate) fn bytes(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    typed(status, media_type, body)
}

/// A reply without a body.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut reply = bytes(status, "text/plain", Bytes::new());
    reply.headers_mut().remove(header::CONTENT_TYPE);
    reply
}

/// A reply whose body is still being made.
pub(crate) fn stream<S>(media_type: &str, chunks: S) -> Reply
where
    S: Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
{
    use futures_util::StreamExt;
    let body = BodyExt::boxed_unsync(StreamBody::new(chunks.map(|c| c.map(Frame::data))));
    typed(StatusCode::OK, media_type, body)
}

/// A reply that sends the client elsewhere.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Reply {
    let mut reply = empty(status);
    if let Ok(location) = header::HeaderValue::from_str(location) {
        reply.headers_mut().insert(header::LOCATION, location);
    }
    reply
}

fn typed(status: StatusCode, media_type: &str, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Ok(media_type) = header::HeaderValue::from_str(media_type) {
        reply.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    reply
}
