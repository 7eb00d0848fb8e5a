//! Ids as types, so that an entity cannot stand where a relation belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An entity's number in one graph: 0 is the entity that occurs most often.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(transparent)]
#[serde(transparent)]
pub struct EntityId(pub u32);

/// A relation's number in one graph: 0 is the relation that occurs most often.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(transparent)]
#[serde(transparent)]
pub struct RelationId(pub u32);

/// One statement in ids, ordered by head, then relation, then tail.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(C)]
pub struct Triple {
    /// What the statement is about.
    pub head: EntityId,
    /// How head and tail are related.
    pub relation: RelationId,
    /// What the head is related to.
    pub tail: EntityId,
}

impl EntityId {
    /// The row of this entity in a matrix of entities.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl RelationId {
    /// The row of this relation in a matrix of relations.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
