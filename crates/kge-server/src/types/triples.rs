//! Triples as JSON, and what adding or removing them answers.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Accepted;

/// Triples as JSON: wrapped as here, or as a bare array.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"triples": [
    {"subject": {"value": "Q42"}, "predicate": {"value": "P106"}, "object": {"value": "Q36180"}}
]}))]
#[allow(
    dead_code,
    reason = "only its schema is used: kge-graph reads triples, with line and column"
)]
pub(crate) struct TriplesForm {
    /// The triples.
    pub triples: Vec<TripleNames>,
}

/// One triple by names. Names may be wrapped, `{"value": "Q42"}`; a triple may be an array of
/// three; `head`, `relation`, `tail` may be called `subject`, `predicate`, `object`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"head": "Q42", "relation": "P106", "tail": "Q36180"}))]
pub(crate) struct TripleNames {
    /// The head.
    pub head: String,
    /// The relation.
    pub relation: String,
    /// The tail.
    pub tail: String,
}

/// What POST …/triples answers: counts when the triples are there, a task when it brings them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum TriplesAnswer {
    /// They are there.
    Done(TriplesAccepted),
    /// The body was too large to be taken at once.
    Queued(Accepted),
}

/// What POST …/triples answers when it is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": 202, "message": "3 triples added, 1 was there already", "added": 3, "duplicate": 1,
    "moved": 0, "literals_skipped": 0, "graphs_dropped": 0
}))]
pub(crate) struct TriplesAccepted {
    /// 202.
    pub status: u16,
    /// In words.
    pub message: String,
    /// Triples that were new.
    pub added: u64,
    /// Triples that were there already, in this or a stronger split.
    pub duplicate: u64,
    /// Triples that moved from a weaker split (test over valid over train).
    pub moved: u64,
    /// Statements about literals, which are no entities.
    pub literals_skipped: u64,
    /// Statements of named graphs, which are left out.
    pub graphs_dropped: u64,
}

/// What DELETE …/triples answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// 200.
    pub status: u16,
    /// In words.
    pub message: String,
    /// Triples that were there and are gone.
    pub removed: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Wrapped { value: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Array([Name; 3]),
    Members {
        #[serde(alias = "subject")]
        head: Name,
        #[serde(alias = "predicate")]
        relation: Name,
        #[serde(alias = "object")]
        tail: Name,
    },
}

impl<'de> Deserialize<'de> for TripleNames {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(from).map_err(|_| {
            serde::de::Error::custom(
                "expected a triple: {\"head\", \"relation\", \"tail\"}, {\"subject\", \
                 \"predicate\", \"object\"} or an array of three names",
            )
        })?;
        let [head, relation, tail] = match form {
            Form::Array(names) => names,
            Form::Members { head, relation, tail } => [head, relation, tail],
        }
        .map(|name| match name {
            Name::Plain(value) | Name::Wrapped { value } => value,
        });
        Ok(Self { head, relation, tail })
    }
}
