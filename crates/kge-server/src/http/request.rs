//! A request, with what handlers ask of it: path parameters, query, body.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use hyper::{header, http::request::Parts};
use kge_catalog::DatasetId;
use serde::de::DeserializeOwned;

use super::{BoxError, Problem, Query, kind};
use crate::{app::App, keys::Sight, router::Parameters};

/// The body of every request, decompressed.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A request on its way to a handler.
pub(crate) struct Request {
    /// What serves it.
    pub app: Arc<App>,
    /// Method, URI, headers.
    pub parts: Parts,
    /// Parameters of the path, decoded.
    pub path: Parameters,
    /// Parameters of the query, decoded.
    pub query: Query,
    /// The datasets its key may see.
    pub sight: Sight,
    /// What is left of the body; behind a lock only so that requests can be shared by reference.
    pub body: Mutex<Option<RequestBody>>,
}

impl Request {
    /// Whether its key may see a dataset, or what belongs to none.
    pub(crate) fn sees(&self, dataset: Option<u64>) -> bool {
        let Some(sight) = &self.sight else { return true };
        dataset.is_some_and(|dataset| sight.contains(&DatasetId(dataset)))
    }

    /// A parameter of the path.
    pub(crate) fn segment(&self, name: &str) -> &str {
        self.path.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the path that is the number of a `what`.
    ///
    /// # Errors
    /// 404 if it is no number: nothing has such an id.
    pub(crate) fn number(&self, what: &str, name: &str) -> Result<u64, Problem> {
        let text = self.segment(name);
        text.parse().map_err(|_| Problem::unknown(what, text, None))
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The whole body.
    ///
    /// # Errors
    /// 413 if it is larger than this server takes, decompressed; 400 if it breaks off.
    pub(crate) async fn bytes(&mut self) -> Result<Bytes, Problem> {
        let Some(body) = self.take_body() else { return Ok(Bytes::new()) };
        let limit = self.app.config.body_limit;
        let declared = self.header(header::CONTENT_LENGTH).and_then(|n| n.parse().ok());
        if declared.is_some_and(|n: u64| n > limit as u64) {
            return Err(too_large(limit));
        }
        // Boxed, because the compiler cannot see through it that handlers are Send
        // (rust-lang/rust#102211).
        let whole: BoxFuture<'_, Result<_, BoxError>> = Limited::new(body, limit).collect().boxed();
        match whole.await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
            Err(error) => Err(broken_off(&error)),
        }
    }

    /// The body, for who reads it piece by piece; `None` when it was taken before.
    pub(crate) fn take_body(&mut self) -> Option<RequestBody> {
        self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The body as JSON, whatever its content type; `None` if it is empty or `null`.
    ///
    /// # Errors
    /// 400 with line and column if it is no JSON, with a JSON pointer if it does not fit.
    pub(crate) async fn optional_json<T: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<T>, Problem> {
        let body = self.bytes().await?;
        if body.trim_ascii().is_empty() {
            return Ok(None);
        }
        from_json(&body)
    }

    /// The body as JSON, whatever its content type.
    ///
    /// # Errors
    /// 400 with line and column if it is no JSON, with a JSON pointer if it does not fit.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let body = self.bytes().await?;
        from_json(&body)
    }
}

/// The client went away, or its compression is broken.
pub(crate) fn broken_off(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(&kind::MALFORMED_BODY, format!("the body could not be received: {error}"))
}

fn too_large(limit: usize) -> Problem {
    let words =
        format!("the body is larger than {limit} bytes, the most this server takes at once");
    Problem::new(&kind::BODY_TOO_LARGE, words)
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        json_problem(error.into_inner(), pointer)
    })?;
    reader.end().map_err(|error| json_problem(error, String::new()))?;
    Ok(value)
}

/// A value that is JSON already, as a type of ours; `root` is where it stands in the body.
///
/// # Errors
/// 400 with a JSON pointer.
pub(crate) fn from_value<T: DeserializeOwned>(
    value: serde_json::Value,
    root: &str,
) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = format!("{root}{}", pointer(error.path()));
        Problem::field(pointer, error.into_inner().to_string())
    })
}

fn json_problem(error: serde_json::Error, pointer: String) -> Problem {
    let (line, column) = (error.line(), error.column());
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    match error.classify() {
        serde_json::error::Category::Data => Problem::field(pointer, words),
        _ => Problem::new(
            &kind::MALFORMED_BODY,
            format!("line {line}, column {column}: expected a JSON body: {words}"),
        ),
    }
}

/// The path of an error as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let text = match segment {
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Seq { index } => index.to_string(),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer = pointer + "/" + &text;
    }
    pointer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn errors_point_into_the_body() {
        let read = |text: &str| {
            let problem = from_json::<BTreeMap<String, Vec<u32>>>(text.as_bytes()).unwrap_err();
            (problem.kind().slug, format!("{problem:?}"))
        };
        let (slug, text) = read(r#"{"a/b": [1, "x"]}"#);
        assert_eq!(slug, "invalid-body");
        assert!(text.contains(r#"pointer: "/a~1b/1""#), "{text}");
        let (slug, text) = read("{\"a\": [1,\n 2,]}");
        assert_eq!(slug, "malformed-body");
        assert!(text.contains("line 2, column 4"), "{text}");
        assert_eq!(read("{} {}").0, "malformed-body");
    }
}
