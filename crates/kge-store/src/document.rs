//! JSON documents that carry their schema: `{"schema": "kge.dataset/1", …}`.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// Reads a document, after its `schema` member was found to be `schema` or an older version
/// of it. `object` is only named in errors.
///
/// # Errors
/// [`Error::Newer`] for a version after `schema`'s, [`Error::Damaged`] for anything else that
/// does not fit.
pub fn read_document<T: DeserializeOwned>(object: &str, schema: &str, bytes: &[u8]) -> Result<T> {
    let damaged = |reason: String| Error::Damaged { object: object.to_owned(), reason };
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| damaged(format!("not JSON: {error}")))?;
    let found = value.get("schema").and_then(|found| found.as_str()).unwrap_or("nothing");
    let (kind, supported) = parse(schema).ok_or_else(|| damaged(format!("schema {schema}?")))?;
    match parse(found) {
        Some((name, version)) if name == kind && version > supported => {
            return Err(Error::Newer {
                object: object.to_owned(),
                found: found.to_owned(),
                supported: schema.to_owned(),
            });
        }
        Some((name, _)) if name == kind => {}
        _ => return Err(damaged(format!("its schema is {found}, expected {schema}"))),
    }
    serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
}

/// The bytes of a document: JSON that a person can read, with a newline at the end.
///
/// # Errors
/// If the value has no JSON form.
pub fn write_document<T: Serialize>(object: &str, value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::Object {
        action: "write",
        object: object.to_owned(),
        reason: error.to_string(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parse(schema: &str) -> Option<(&str, u32)> {
    let (name, version) = schema.rsplit_once('/')?;
    Some((name, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Toy {
        id: u64,
    }

    fn read(text: &str) -> Result<u64, String> {
        read_document::<Toy>("toys/1.json", "kge.toy/2", text.as_bytes())
            .map(|toy| toy.id)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn older_versions_open_and_newer_ones_are_refused_in_words() {
        for (text, expected) in [
            (r#"{"schema":"kge.toy/2","id":7}"#, Ok(7)),
            (r#"{"schema":"kge.toy/1","id":7}"#, Ok(7)),
            (
                r#"{"schema":"kge.toy/3"}"#,
                Err("toys/1.json has schema kge.toy/3, this release reads up to kge.toy/2: \
                     use a newer kge"),
            ),
            (
                r#"{"schema":"kge.game/1","id":7}"#,
                Err("toys/1.json is damaged: its schema is kge.game/1, expected kge.toy/2"),
            ),
            ("{}", Err("toys/1.json is damaged: its schema is nothing, expected kge.toy/2")),
            (r#"{"schema":"kge.toy/2"}"#, Err("toys/1.json is damaged: missing field `id`")),
            (
                "",
                Err("toys/1.json is damaged: not JSON: EOF while parsing a value at line 1 \
                     column 0"),
            ),
        ] {
            assert_eq!(read(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
