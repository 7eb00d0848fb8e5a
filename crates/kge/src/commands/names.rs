//! Names on the command line: exact, or the part of an IRI that people read.

use std::collections::HashMap;

use kge_graph::{
    EntityId, Graph, RelationId, Vocabulary,
    read::{self, Format, Label},
};

use super::{Failure, Result};

/// The entity of this name.
pub(super) fn entity(graph: &Graph, name: &str) -> Result<EntityId> {
    find(graph.entities(), "entity", name).map(EntityId)
}

/// The relation of this name.
pub(super) fn relation(graph: &Graph, name: &str) -> Result<RelationId> {
    find(graph.relations(), "relation", name).map(RelationId)
}

/// By the whole name; or by an IRI's last part, if only one has it.
fn find(vocabulary: &Vocabulary, what: &str, name: &str) -> Result<u32> {
    if let Some(id) = vocabulary.find(name) {
        return Ok(id);
    }
    let mut ending = (0..).zip(vocabulary.iter()).filter(|(_, whole)| short(whole) == name);
    match (ending.next(), ending.next()) {
        (Some((id, _)), None) => Ok(id),
        (Some((_, one)), Some((_, other))) => Err(Failure::new(format!(
            "\"{name}\" may be {what} \"{one}\" or \"{other}\"; say the whole name"
        ))),
        _ => {
            let nearest = vocabulary.nearest(name);
            let hint =
                nearest.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            Err(Failure::new(format!("there is no {what} \"{name}\"{hint}")))
        }
    }
}

/// The part of an IRI that people read.
pub(super) fn short(name: &str) -> &str {
    let part = name.trim_end_matches('/').rsplit(['/', '#']).next();
    part.filter(|part| !part.is_empty()).unwrap_or(name)
}

/// What people call things, where somebody said so; the readable part of the name elsewhere.
#[derive(Default)]
pub(super) struct Labels(HashMap<String, String>);

impl Labels {
    /// The labels of an RDF document in one language; those without a language where there is
    /// none in it.
    pub(super) fn read(format: Format, input: impl std::io::Read, language: &str) -> Result<Self> {
        let mut labels = HashMap::new();
        let mut plain = HashMap::new();
        read::labels(format, input, &mut |Label { name, language: found, text }| {
            let into = match found {
                Some(found) if found.eq_ignore_ascii_case(language) => &mut labels,
                None => &mut plain,
                Some(_) => return Ok(()),
            };
            into.entry(name.to_owned()).or_insert_with(|| text.to_owned());
            Ok(())
        })?;
        for (name, text) in plain {
            labels.entry(name).or_insert(text);
        }
        Ok(Self(labels))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What to call this.
    pub(super) fn of(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| short(name).replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use kge_graph::{GraphBuilder, Split, Statement};

    use super::*;

    #[test]
    fn names_are_found_whole_or_by_their_last_part() {
        let mut builder = GraphBuilder::new();
        for (head, tail) in
            [("http://e/a/Spain", "http://e/b#Madrid"), ("http://e/x", "http://f/x")]
        {
            builder.add(Split::Train, Statement::new(head, "http://e/capital", tail));
        }
        let graph = builder.build();
        let found = |name: &str| {
            entity(&graph, name).map(|id| graph.entities().name(id.0)).map_err(|e| e.message)
        };
        assert_eq!(found("Spain"), Ok("http://e/a/Spain"));
        assert_eq!(found("Madrid"), Ok("http://e/b#Madrid"));
        assert_eq!(found("http://f/x"), Ok("http://f/x"));
        let twice = found("x").unwrap_err();
        assert!(twice.contains("\"http://e/x\" or \"http://f/x\""), "{twice}");
        assert!(found("nobody").unwrap_err().starts_with("there is no entity \"nobody\""));
        assert!(relation(&graph, "capital").is_ok());
    }

    #[test]
    fn labels_come_in_the_language_asked_for() {
        let text = "<http://e/ES> <http://www.w3.org/2000/01/rdf-schema#label> \"Spain\"@en, \
                    \"España\"@es . <http://e/B> <https://schema.org/name> \"bare\" .";
        for (language, expected) in [("en", "Spain"), ("es", "España"), ("de", "ES")] {
            let labels = Labels::read(Format::Turtle, text.as_bytes(), language).unwrap();
            assert_eq!(labels.of("http://e/ES"), expected);
            assert_eq!(labels.of("http://e/B"), "bare");
        }
        assert_eq!(Labels::default().of("http://e/New_York_City/"), "New York City");
    }
}
