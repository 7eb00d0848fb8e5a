//! One name a thing: the forms of a Wikidata name are one entity, or one relation.

use std::borrow::Cow;

use kge_graph::{Graph, GraphBuilder, Statement};

use crate::pending::Body;
use crate::{Error, Result};

/// The longest name, in bytes.
const LONGEST: usize = 2048;

/// Where in a triple a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Head or tail.
    Entity,
    /// The predicate.
    Relation,
}

const ENTITY: &str = "http://www.wikidata.org/entity/";
const PROPERTY: &str = "http://www.wikidata.org/prop/";
const DIRECT: &str = "http://www.wikidata.org/prop/direct/";
const STATEMENT: &str = "http://www.wikidata.org/prop/statement/";

/// The name under which a dataset of this type keeps `name`.
///
/// In Wikidata datasets (type 1) entities become `http://www.wikidata.org/entity/Q42` (also from
/// `Q42`) and relations `http://www.wikidata.org/prop/direct/P17` (also from `P17`,
/// `…/prop/P17`, `…/prop/statement/P17` and `…/entity/P17`). All other names, and all names of
/// other datasets, stay as they are.
pub fn normalise(dataset_type: u8, position: Position, name: &str) -> Cow<'_, str> {
    if dataset_type != 1 {
        return Cow::Borrowed(name);
    }
    let canonical = match position {
        Position::Entity => ENTITY,
        Position::Relation => DIRECT,
    };
    let forms: &[&str] = match position {
        Position::Entity => &[""],
        Position::Relation => &["", PROPERTY, STATEMENT, ENTITY],
    };
    let id = forms.iter().find_map(|form| {
        let id = name.strip_prefix(form)?;
        (is_id(id, 'P') || (position == Position::Entity && is_id(id, 'Q'))).then_some(id)
    });
    id.map_or(Cow::Borrowed(name), |id| Cow::Owned(format!("{canonical}{id}")))
}

/// Every name of a body as a dataset of this type keeps it.
pub(crate) fn normalise_body(dataset_type: u8, mut body: Body) -> Body {
    let additions = body.additions.iter_mut().map(|(_, h, r, t)| (h, r, t));
    let removals = body.removals.iter_mut().map(|(h, r, t)| (h, r, t));
    for (head, relation, tail) in additions.chain(removals) {
        for (position, name) in
            [(Position::Entity, head), (Position::Relation, relation), (Position::Entity, tail)]
        {
            if let Cow::Owned(canonical) = normalise(dataset_type, position, name) {
                *name = canonical;
            }
        }
    }
    body
}

/// A graph with every name as a dataset of this type keeps it.
pub(crate) fn normalise_graph(dataset_type: u8, graph: Graph) -> Graph {
    if dataset_type != 1 {
        return graph;
    }
    let mut builder = GraphBuilder::new();
    for (split, triple) in graph.iter() {
        let Statement { head, relation, tail } = graph.statement(triple);
        let head = normalise(dataset_type, Position::Entity, head);
        let relation = normalise(dataset_type, Position::Relation, relation);
        let tail = normalise(dataset_type, Position::Entity, tail);
        builder.add(split, Statement::new(&head, &relation, &tail));
    }
    builder.build()
}

/// Names of entities, relations and datasets: not empty, 2,048 bytes at most.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let refuse = |reason| Err(Error::Invalid { what: "name", reason });
    match name.len() {
        0 => refuse("it is empty".into()),
        bytes if bytes > LONGEST => {
            let begin: String = name.chars().take(40).collect();
            refuse(format!("\"{begin}…\" has {bytes} bytes, {LONGEST} are allowed"))
        }
        _ => Ok(()),
    }
}

/// `Q42`: the letter, then digits without a leading zero.
fn is_id(text: &str, letter: char) -> bool {
    text.strip_prefix(letter).is_some_and(|digits| {
        !digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_wikidata_name_are_one() {
        use Position::{Entity, Relation};
        const Q42: &str = "http://www.wikidata.org/entity/Q42";
        const P17: &str = "http://www.wikidata.org/prop/direct/P17";
        for (position, name, expected) in [
            (Entity, "Q42", Q42),
            (Entity, Q42, Q42),
            (Entity, "P17", "http://www.wikidata.org/entity/P17"),
            (Relation, "P17", P17),
            (Relation, "http://www.wikidata.org/prop/P17", P17),
            (Relation, P17, P17),
            (Relation, "http://www.wikidata.org/prop/statement/P17", P17),
            (Relation, "http://www.wikidata.org/entity/P17", P17),
        ] {
            assert_eq!(normalise(1, position, name), expected, "{name}");
            assert_eq!(normalise(0, position, name), name);
            assert_eq!(normalise(2, position, name), name);
        }
        for name in ["Douglas Adams", "Q", "Q042", "q42", "Q42x", "_:b1", "http://example.org/Q42"]
        {
            assert_eq!(normalise(1, Entity, name), name);
            assert_eq!(normalise(1, Relation, name), name);
        }
        assert_eq!(normalise(1, Relation, "Q42"), "Q42");
    }
}
