//! A graph in canonical form.

use serde::{Deserialize, Serialize};

use crate::{EntityId, RelationId, Split, Triple, Vocabulary};

/// One statement in names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement<'a> {
    /// What the statement is about.
    pub head: &'a str,
    /// How head and tail are related.
    pub relation: &'a str,
    /// What the head is related to.
    pub tail: &'a str,
}

impl<'a> Statement<'a> {
    /// A statement from its three names.
    pub fn new(head: &'a str, relation: &'a str, tail: &'a str) -> Self {
        Self { head, relation, tail }
    }
}

/// How large a graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Entities in any split.
    pub entities: u64,
    /// Relations in any split.
    pub relations: u64,
    /// Triples to learn from.
    pub train: u64,
    /// Triples to choose models by.
    pub valid: u64,
    /// Triples to measure models on.
    pub test: u64,
}

impl Counts {
    /// Triples in all splits.
    pub fn triples(&self) -> u64 {
        self.train + self.valid + self.test
    }

    /// Triples in this split.
    pub fn split(&self, split: Split) -> u64 {
        match split {
            Split::Train => self.train,
            Split::Valid => self.valid,
            Split::Test => self.test,
        }
    }
}

/// An immutable graph: names, and each split's triples in ids.
///
/// Invariants: entities are numbered by falling count over all splits (a triple counts its head
/// and its tail), then by the bytes of their names; relations likewise; every name occurs; the
/// triples of a split are sorted and unique; a triple lives in one split. Two graphs of the same
/// statements are therefore equal. [`crate::GraphBuilder`] makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub(crate) entities: Vocabulary,
    pub(crate) relations: Vocabulary,
    pub(crate) triples: [Vec<Triple>; 3],
}

impl Graph {
    /// The names of the entities, in id order.
    pub fn entities(&self) -> &Vocabulary {
        &self.entities
    }

    /// The names of the relations, in id order.
    pub fn relations(&self) -> &Vocabulary {
        &self.relations
    }

    /// The triples of one split, sorted.
    pub fn triples(&self, split: Split) -> &[Triple] {
        &self.triples[split as usize]
    }

    /// The entity of this name.
    pub fn entity(&self, name: &str) -> Option<EntityId> {
        self.entities.find(name).map(EntityId)
    }

    /// The relation of this name.
    pub fn relation(&self, name: &str) -> Option<RelationId> {
        self.relations.find(name).map(RelationId)
    }

    /// Triples in all splits.
    pub fn len(&self) -> usize {
        self.triples.iter().map(Vec::len).sum()
    }

    /// Whether there is no triple, and so no name either.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entities, relations and triples of each split.
    pub fn counts(&self) -> Counts {
        let [train, valid, test] = [0, 1, 2].map(|split| self.triples[split].len() as u64);
        Counts {
            entities: self.entities.len() as u64,
            relations: self.relations.len() as u64,
            train,
            valid,
            test,
        }
    }

    /// The statement in ids, if this graph knows its three names. It need not hold it:
    /// [`Graph::split_of`] says so.
    pub fn triple(&self, statement: Statement<'_>) -> Option<Triple> {
        Some(Triple {
            head: self.entity(statement.head)?,
            relation: self.relation(statement.relation)?,
            tail: self.entity(statement.tail)?,
        })
    }

    /// The triple in names.
    ///
    /// # Panics
    /// If an id is not of this graph.
    pub fn statement(&self, triple: Triple) -> Statement<'_> {
        Statement {
            head: self.entities.name(triple.head.0),
            relation: self.relations.name(triple.relation.0),
            tail: self.entities.name(triple.tail.0),
        }
    }

    /// The split that holds this triple.
    pub fn split_of(&self, triple: Triple) -> Option<Split> {
        let holds = |split: &Split| self.triples(*split).binary_search(&triple).is_ok();
        Split::ALL.into_iter().find(holds)
    }

    /// All triples with their split: by split, then sorted.
    pub fn iter(&self) -> impl Iterator<Item = (Split, Triple)> {
        Split::ALL
            .into_iter()
            .flat_map(|split| self.triples(split).iter().map(move |&triple| (split, triple)))
    }
}
