//! Reading requests and writing replies the way this API does, whatever the route.

mod causes;
mod layers;
mod negotiate;
mod origin;
mod problem;
mod query;
mod reply;
mod request;

pub(crate) use layers::stack;
pub(crate) use negotiate::{accepted, sniff};
pub(crate) use origin::Doors;
pub(crate) use problem::{FieldError, KINDS, Problem, ProblemBody, kind};
pub(crate) use query::Query;
pub(crate) use reply::{Reply, bytes, empty, json, json_text, redirect, stream};
pub(crate) use request::{Request, RequestBody, broken_off, from_value};

/// Any error, boxed: what bodies of hyper and tower end with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
