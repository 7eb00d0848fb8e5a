//! `pending/<n>`: additions and removals that no revision holds yet.
//!
//! Lines of JSON, so that a person can read them: first the schema, how many lines follow and the
//! dataset's counts *after* them; then removals `["h","r","t"]` and additions
//! `["train","h","r","t"]`. Files are immutable; their numbers have no gaps after the sealed
//! ones, and their order is that of the dataset's history.

use kge_graph::{Counts, Split};
use serde::{Deserialize, Serialize};

use crate::{Addition, Error, Removal, Result};

const SCHEMA: &str = "kge.pending/1";

#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    removals: usize,
    additions: usize,
    counts: Counts,
}

/// What one file brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Body {
    pub(crate) additions: Vec<Addition>,
    pub(crate) removals: Vec<Removal>,
}

impl Body {
    pub(crate) fn is_empty(&self) -> bool {
        self.additions.is_empty() && self.removals.is_empty()
    }

    /// The file's bytes; `counts` are those of the dataset with this body applied.
    pub(crate) fn encode(&self, counts: Counts) -> Result<Vec<u8>> {
        let Self { additions, removals } = self;
        let mut bytes = Vec::new();
        let header = Header {
            schema: SCHEMA.into(),
            removals: removals.len(),
            additions: additions.len(),
            counts,
        };
        line(&mut bytes, &header)?;
        removals.iter().try_for_each(|removal| line(&mut bytes, removal))?;
        additions.iter().try_for_each(|addition| line(&mut bytes, addition))?;
        Ok(bytes)
    }

    /// Reads a file; `object` is named in errors.
    pub(crate) fn decode(object: &str, bytes: &[u8]) -> Result<Self> {
        let header = header(object, bytes)?;
        let mut lines = bytes.split(|&byte| byte == b'\n').skip(1);
        let mut next = |number: usize| {
            lines
                .next()
                .filter(|line| !line.is_empty())
                .ok_or_else(|| damaged(object, format!("it ends before line {}", number + 2)))
        };
        let mut body = Self::default();
        for number in 0..header.removals {
            body.removals.push(parse(object, number, next(number)?)?);
        }
        for number in header.removals..header.removals + header.additions {
            let addition: (Split, String, String, String) = parse(object, number, next(number)?)?;
            body.additions.push(addition);
        }
        Ok(body)
    }
}

/// The dataset's counts after a file, without reading the rest of it.
pub(crate) fn counts(object: &str, bytes: &[u8]) -> Result<Counts> {
    Ok(header(object, bytes)?.counts)
}

fn header(object: &str, bytes: &[u8]) -> Result<Header> {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(kge_store::read_document(object, SCHEMA, first)?)
}

fn line(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *bytes, value)
        .map_err(|error| Error::Internal(error.to_string()))?;
    bytes.push(b'\n');
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(object: &str, number: usize, line: &'a [u8]) -> Result<T> {
    serde_json::from_slice(line)
        .map_err(|error| damaged(object, format!("line {}: {error}", number + 2)))
}

fn damaged(object: &str, reason: String) -> Error {
    Error::Damaged { object: object.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        Body {
            additions: vec![(Split::Valid, "a\n\"".into(), "r".into(), "Málaga".into())],
            removals: vec![("x".into(), "y".into(), "z".into())],
        }
    }

    #[test]
    fn bodies_come_back_and_counts_are_readable_alone() {
        let after = Counts { entities: 2, relations: 1, train: 0, valid: 1, test: 0 };
        let bytes = body().encode(after).unwrap();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 3);
        assert_eq!(Body::decode("p/1", &bytes).unwrap(), body());
        assert_eq!(counts("p/1", &bytes).unwrap(), after);
    }

    #[test]
    fn damage_is_named() {
        let bytes = body().encode(Counts::default()).unwrap();
        let lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        let refused = |bytes: &[u8]| Body::decode("p/1", bytes).unwrap_err().to_string();
        assert_eq!(refused(&lines[..2].concat()), "p/1 is damaged: it ends before line 3");
        let error = refused(&[lines[0], b"[1]\n", lines[2]].concat());
        assert!(error.starts_with("p/1 is damaged: line 2: "), "{error}");
        let newer = String::from_utf8(bytes).unwrap().replace("pending/1", "pending/2");
        assert!(refused(newer.as_bytes()).contains("use a newer kge"));
    }
}
