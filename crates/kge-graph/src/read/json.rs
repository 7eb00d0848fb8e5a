//! `{"triples": [...]}` or a bare array, read one triple at a time.
//!
//! A triple is `{"subject": NAME, "predicate": NAME, "object": NAME}` or `[NAME, NAME, NAME]`;
//! a name is a string or an object whose member `value` is one. Other members are ignored.
//! Columns of errors are serde_json's: in bytes, at the fault or just behind it.

use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::name::{self, ROLES};
use super::{Report, Sink};
use crate::{Error, Result, Statement};

pub(super) fn read(mut input: impl BufRead, sink: Sink<'_>) -> Result<Report> {
    let blank = leading_blanks(&mut input)?;
    if input.fill_buf()?.is_empty() {
        return Ok(Report::default());
    }
    let mut document = Document { sink, statements: 0, names: Default::default(), stopped: None };
    let mut json = serde_json::Deserializer::from_reader(io::Cursor::new(blank).chain(input));
    let result = Root(&mut document).deserialize(&mut json).and_then(|()| json.end());
    match (result, document.stopped) {
        (_, Some(stopped)) => Err(stopped),
        (Err(error), None) => Err(positioned(error)),
        (Ok(()), None) => Ok(Report { statements: document.statements, ..Report::default() }),
    }
}

/// Takes the white space before the document off, to see whether there is a document.
fn leading_blanks(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut blank = Vec::new();
    loop {
        let buffer = input.fill_buf()?;
        let count = buffer.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
        blank.extend_from_slice(&buffer[..count]);
        let more = count > 0 && count == buffer.len();
        input.consume(count);
        if !more {
            return Ok(blank);
        }
    }
}

/// serde_json's error in our words.
fn positioned(error: serde_json::Error) -> Error {
    if error.is_io() {
        return Error::Io(error.into());
    }
    let (line, column) = (error.line() as u64, error.column() as u64);
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(words, _)| words);
    let parse = |expected: &str, found: &str| Error::Parse {
        line,
        column,
        expected: expected.to_owned(),
        found: found.to_owned(),
    };
    if let Some((expected, found)) =
        message.strip_prefix("expected ").and_then(|words| words.rsplit_once(", found "))
    {
        return parse(expected, found);
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|words| words.split_once(", expected "))
    {
        return parse(expected, found);
    }
    match message.strip_prefix("EOF while parsing ") {
        Some(inside) => parse(&format!("the rest of {inside}"), "the end of the document"),
        None => Error::Syntax { line, column, message: message.to_owned() },
    }
}

/// What is kept while a document is read.
struct Document<'s> {
    sink: Sink<'s>,
    statements: u64,
    /// The three names of the triple at hand.
    names: [String; 3],
    /// What the sink said when it wanted no more.
    stopped: Option<Error>,
}

impl Document<'_> {
    fn finish_triple<E: de::Error>(&mut self) -> Result<(), E> {
        let [head, relation, tail] = &self.names;
        self.statements += 1;
        (self.sink)(Statement { head, relation, tail }).map_err(|error| {
            self.stopped = Some(error);
            E::custom("stopped")
        })
    }
}

/// The whole document.
struct Root<'d, 's>(&'d mut Document<'s>);

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of triples, or an object whose member \"triples\" is one")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        Triples(self.0).visit_seq(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = object.next_key::<RootMember>()? {
            match key {
                RootMember::Triples => {
                    object.next_value_seed(Triples(self.0))?;
                    found = true;
                }
                RootMember::Other => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        if !found {
            return Err(missing("triples", "object"));
        }
        Ok(())
    }
}

/// The array of triples.
struct Triples<'d, 's>(&'d mut Document<'s>);

impl<'de> DeserializeSeed<'de> for Triples<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Triples<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of triples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Triple(self.0))?.is_some() {}
        Ok(())
    }
}

/// One triple.
struct Triple<'d, 's>(&'d mut Document<'s>);

impl<'de> DeserializeSeed<'de> for Triple<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Triple<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a triple: an object with subject, predicate and object, or an array of three")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        for (place, role) in ROLES.into_iter().enumerate() {
            if array.next_element_seed(Name { into: &mut self.0.names[place], role })?.is_none() {
                let found = format!("the end of the triple after {place}");
                return Err(expected("three names", &found));
            }
        }
        if array.next_element::<IgnoredAny>()?.is_some() {
            return Err(expected("the end of the triple after three names", "a fourth"));
        }
        self.0.finish_triple()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut found = [false; 3];
        while let Some(key) = object.next_key::<TripleMember>()? {
            let place = match key {
                TripleMember::Subject => 0,
                TripleMember::Predicate => 1,
                TripleMember::Object => 2,
                TripleMember::Other => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let into = &mut self.0.names[place];
            object.next_value_seed(Name { into, role: ROLES[place] })?;
            found[place] = true;
        }
        for (member, found) in ["subject", "predicate", "object"].into_iter().zip(found) {
            if !found {
                return Err(missing(member, "triple"));
            }
        }
        self.0.finish_triple()
    }
}

/// One name, into a buffer that is used again.
struct Name<'d> {
    into: &'d mut String,
    role: &'static str,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}: a string, or an object whose member \"value\" is one", self.role)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let name = name::check(text.as_bytes(), self.role)
            .map_err(|fault| expected(&fault.expected, &fault.found))?;
        self.into.clear();
        self.into.push_str(name);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = object.next_key::<NameMember>()? {
            match key {
                NameMember::Value => {
                    object.next_value_seed(Value { into: self.into, role: self.role })?;
                    found = true;
                }
                NameMember::Other => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        if !found {
            return Err(missing("value", self.role));
        }
        Ok(())
    }
}

/// The member `value` of a name, which can only be a string.
struct Value<'d> {
    into: &'d mut String,
    role: &'static str,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} as a string", self.role)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        Name { into: self.into, role: self.role }.visit_str(text)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum RootMember {
    Triples,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum TripleMember {
    #[serde(alias = "head")]
    Subject,
    #[serde(alias = "relation")]
    Predicate,
    #[serde(alias = "tail")]
    Object,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum NameMember {
    Value,
    #[serde(other)]
    Other,
}

fn expected<E: de::Error>(expected: &str, found: &str) -> E {
    E::custom(format_args!("expected {expected}, found {found}"))
}

fn missing<E: de::Error>(member: &str, of: &str) -> E {
    expected(&format!("the member \"{member}\""), &format!("the end of the {of}"))
}

#[cfg(test)]
mod tests {
    use crate::read::testing::{failure, statements};
    use crate::read::{self, Format};
    use crate::{Error, Result, Statement};

    #[test]
    fn every_form_of_the_old_and_the_new_clients_is_read() {
        let object =
            r#"{"subject": {"value": "a"}, "predicate": {"value": "r"}, "object": {"value": "b"}}"#;
        for (text, expected) in [
            ("", ""),
            (" \n ", ""),
            ("[]", ""),
            (r#"{"triples": []}"#, ""),
            (&format!(r#"{{"triples": [{object}]}}"#), "a r b"),
            (&format!("\u{feff}[{object}, {object}]"), "a r b; a r b"),
            (r#"[{"subject": "a", "predicate": "r", "object": "b"}]"#, "a r b"),
            (r#"[{"tail": "b", "head": "a", "relation": "r", "weight": [0.5]}]"#, "a r b"),
            (r#"[["a", "r", "b"], ["\u00e9\t", "r", "b"]]"#, "a r b; é\t r b"),
            (
                r#"{"note": {"triples": 1}, "triples": [["a", {"type": "uri", "value": "r"}, "b"]]}"#,
                "a r b",
            ),
        ] {
            assert_eq!(statements(Format::Json, text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_line_column_and_what_was_expected() {
        for (text, expected) in [
            (
                "7",
                "line 1, column 1: expected an array of triples, or an object whose member \
                 \"triples\" is one, found integer `7`",
            ),
            (
                "{}",
                "line 1, column 2: expected the member \"triples\", found the end of the object",
            ),
            (
                r#"{"triples": {"a": 1}}"#,
                "line 1, column 13: expected an array of triples, found map",
            ),
            (
                "[\n  {\"subject\": \"a\", \"predicate\": \"r\"}\n]",
                "line 2, column 36: expected the member \"object\", found the end of the triple",
            ),
            (
                "\n[[\"a\", \"r\", 5]]",
                "line 2, column 14: expected the tail: a string, or an object whose member \
                 \"value\" is one, found integer `5`",
            ),
            (
                r#"[["a", "r"]]"#,
                "line 1, column 11: expected three names, found the end of the triple after 2",
            ),
            (
                r#"[["a", "r", "b", "c"]]"#,
                "line 1, column 21: expected the end of the triple after three names, found a fourth",
            ),
            (
                r#"[["", "r", "b"]]"#,
                "line 1, column 4: expected the name of the head, found nothing",
            ),
            (
                r#"[[{"value": {"value": "a"}}, "r", "b"]]"#,
                "line 1, column 13: expected the head as a string, found map",
            ),
            (
                r#"[["a", "r", "b"], ["a""#,
                "line 1, column 22: expected the rest of a list, found the end of the document",
            ),
            (r#"[["a" "r", "b"]]"#, "line 1, column 7: expected `,` or `]`"),
            (r#"[] []"#, "line 1, column 4: trailing characters"),
        ] {
            assert_eq!(failure(Format::Json, text), expected, "{text}");
        }
    }

    #[test]
    fn the_sinks_own_error_comes_back() {
        let mut stop = |_: Statement<'_>| -> Result<()> { Err(Error::Sink("enough".into())) };
        let error = read::read(Format::Json, &b"[[\"a\",\"r\",\"b\"]]"[..], &mut stop).unwrap_err();
        assert!(matches!(error, Error::Sink(_)), "{error:?}");
        assert_eq!(error.to_string(), "enough");
    }
}
