//! Errors as `application/problem+json` (RFC 9457), with `description` and `message` for the
//! clients of the old service.

use hyper::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reply::{Reply, json_as};

/// A class of problems; `/problems/{slug}` opens and says what to do about it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The last part of `type`.
    pub slug: &'static str,
    /// The status it is sent with.
    pub status: u16,
    /// One line, the same for every problem of the class.
    pub title: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What it means and what to do, for people.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($name:ident: $slug:literal, $status:literal, $title:literal, $retryable:literal, $about:literal;)*) => {
        /// The classes of problems, by name.
        pub(crate) mod kind {
            use super::Kind;
            $(pub(crate) static $name: Kind = Kind {
                slug: $slug, status: $status, title: $title, retryable: $retryable, about: $about,
            };)*
        }
        /// All classes of problems.
        pub(crate) static KINDS: &[&Kind] = &[$(&kind::$name),*];
    };
}

kinds! {
    MALFORMED_BODY: "malformed-body", 400, "Malformed body", false,
        "The body could not be read. The detail names the line, the column and what was expected there. Nothing was changed.";
    INVALID_BODY: "invalid-body", 400, "Invalid body", false,
        "The body was read, but a member is missing, unknown or has a value that does not fit. Each entry of errors points to it with a JSON pointer.";
    INVALID_PARAMETER: "invalid-parameter", 400, "Invalid parameter", false,
        "A parameter of the query has a value that does not fit. Booleans are true, True, yes, 1, on and their opposites.";
    MISSING_PARAMETER: "missing-parameter", 400, "Missing parameter", false,
        "A required parameter is absent.";
    UNAUTHORISED: "unauthorised", 401, "Unauthorised", false,
        "This server asks for a key, in the header Authorization: Bearer kge_…; `kge key create` makes one. The key shown is missing, unknown, revoked or expired.";
    FORBIDDEN: "forbidden", 403, "Forbidden", false,
        "The key does not allow this. The detail says what it allows and what was needed; `kge key create --scopes` makes another.";
    NOT_FOUND: "not-found", 404, "Not found", false,
        "There is nothing by that name or number. The detail names what was looked for and the nearest known name.";
    METHOD_NOT_ALLOWED: "method-not-allowed", 405, "Method not allowed", false,
        "The resource exists, but not for this method. The Allow header lists those it has.";
    NOT_ACCEPTABLE: "not-acceptable", 406, "Not acceptable", false,
        "None of the media types in the Accept header can be written. The detail lists those that can.";
    TIMEOUT: "timeout", 408, "Request timeout", true,
        "The request took longer than this server allows. Send less at once, or raise the limit.";
    CONFLICT: "conflict", 409, "Conflict", false,
        "The state of the resource does not allow this. The detail says which state, and how to get out of it.";
    NAME_TAKEN: "name-taken", 409, "Name taken", false,
        "Names of datasets are unique on a server. Choose another, or use the dataset that has it.";
    NOT_TRAINED: "not-trained", 409, "Not trained", true,
        "The dataset has no model yet. Start one with POST /datasets/{id}/train and wait for its task.";
    PRECONDITION_FAILED: "precondition-failed", 412, "Precondition failed", true,
        "If-Match names a version that is no longer the current one. Read the resource again and repeat the change.";
    BODY_TOO_LARGE: "body-too-large", 413, "Body too large", false,
        "The body, after decompression, is larger than this server takes at once. Send it in parts, import it with `kge import`, or raise the limit.";
    UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type", 415, "Unsupported media type", false,
        "The body is in a format or encoding that this server cannot read. The detail lists those it can.";
    UNPROCESSABLE: "unprocessable", 422, "Cannot be done", false,
        "The request is well formed, but asks for something that this model or this release cannot do.";
    PLUGIN_REFUSED: "plugin-refused", 422, "Plugin refused", false,
        "The component is no scoring model of this contract, or does not keep it. Each entry of errors names a property that does not hold; `kge plugin check` finds the same on your machine.";
    FORBIDDEN_HOST: "forbidden-host", 403, "Host not allowed", false,
        "A server on a loopback address answers only to loopback host names and to those listed in its setting allowed_hosts, so that no web page can reach it under another name.";
    FORBIDDEN_ORIGIN: "forbidden-origin", 403, "Origin not allowed", false,
        "Pages of other hosts may not change anything here. Loopback origins may; others are named in the setting cors_origins.";
    MODEL_FAILED: "model-failed", 500, "Model failed", false,
        "The model's plugin could not be loaded, or trapped while it was asked. The detail says what it did.";
    INTERNAL: "internal", 500, "Internal error", false,
        "Something went wrong that should not. The log has the cause under the request id.";
    UNAVAILABLE: "unavailable", 503, "Unavailable", true,
        "Something this server needs does not answer. Try again later.";
}

/// What went wrong with a request.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: &'static Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

/// One fault in the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"pointer": "/algorithm/dim", "detail": "invalid type: string \"many\", expected usize"}))]
pub(crate) struct FieldError {
    /// Where in the body (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/problems/not-found", "title": "Not found", "status": 404,
    "detail": "there is no dataset 7", "description": "there is no dataset 7",
    "message": "there is no dataset 7", "instance": "/datasets/7",
    "request_id": "5b0e6f4c-6a0c-4dd9-9f60-0a2b8f1f7c55", "retryable": false
}))]
pub(crate) struct ProblemBody {
    /// The class; it opens on this server.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The same, where clients of the old service look.
    pub description: String,
    /// The same, where the others look.
    pub message: String,
    /// The path that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<String>,
    /// Faults in the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The request's id, as in the log and in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// A problem of this class.
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Inner { kind, detail, errors: Vec::new(), headers: HeaderMap::new() }))
    }

    /// A fault of one member of the body.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let words = match pointer.as_str() {
            "" => detail.clone(),
            pointer => format!("{pointer}: {detail}"),
        };
        let mut problem = Self::new(&kind::INVALID_BODY, words);
        problem.0.errors.push(FieldError { pointer, detail });
        problem
    }

    /// 404 for something known by a name or number.
    pub(crate) fn unknown(what: &str, name: &str, nearest: Option<&str>) -> Self {
        let near = nearest.map(|n| format!("; the nearest known is \"{n}\"")).unwrap_or_default();
        Self::new(&kind::NOT_FOUND, format!("there is no {what} \"{name}\"{near}"))
    }

    /// 500, with the cause in the log only.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(&kind::INTERNAL, "this should not have happened; the log has the cause")
    }

    /// With another fault of the body; `pointer` is empty where it is no member.
    pub(crate) fn with_error(mut self, what: &str, detail: &str) -> Self {
        let detail = format!("{what}: {detail}");
        self.0.errors.push(FieldError { pointer: String::new(), detail });
        self
    }

    /// With another header.
    pub(crate) fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// Its class.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// The reply, for a request to this path with this id.
    pub(crate) fn reply(
        self,
        prefix: &str,
        instance: Option<String>,
        request_id: Option<String>,
    ) -> Reply {
        let Inner { kind, detail, errors, headers } = *self.0;
        let body = ProblemBody {
            kind: format!("{prefix}/problems/{}", kind.slug),
            title: kind.title.into(),
            status: kind.status,
            description: detail.clone(),
            message: detail.clone(),
            detail,
            instance,
            errors,
            request_id,
            retryable: kind.retryable,
        };
        let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = json_as("application/problem+json", status, &body);
        reply.headers_mut().extend(headers);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = header::HeaderValue::from_static("5");
            reply.headers_mut().entry(header::RETRY_AFTER).or_insert(seconds);
        }
        reply
    }
}
