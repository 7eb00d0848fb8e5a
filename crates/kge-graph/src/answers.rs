//! Known answers: which tails complete `(h, r, ?)`, which heads complete `(?, r, t)`.
//!
//! Filtered ranking leaves them out (Bordes et al. 2013), over all splits.

use crate::{EntityId, Graph, RelationId, Split};

/// All answers that a graph knows, by question.
#[derive(Clone, Debug)]
pub struct Answers {
    tails: Index,
    heads: Index,
}

/// Questions, sorted, each with its answer beside it.
#[derive(Clone, Debug)]
struct Index {
    questions: Vec<u64>,
    answers: Vec<u32>,
}

impl Answers {
    /// The answers of all splits of a graph.
    pub fn of(graph: &Graph) -> Self {
        let triples = || Split::ALL.into_iter().flat_map(|split| graph.triples(split));
        Self {
            tails: Index::new(triples().map(|t| (question(t.head, t.relation), t.tail.0))),
            heads: Index::new(triples().map(|t| (question(t.tail, t.relation), t.head.0))),
        }
    }

    /// The tails of `(head, relation, ?)`, rising, each once.
    pub fn tails(&self, head: EntityId, relation: RelationId) -> &[u32] {
        self.tails.find(question(head, relation))
    }

    /// The heads of `(?, relation, tail)`, rising, each once.
    pub fn heads(&self, relation: RelationId, tail: EntityId) -> &[u32] {
        self.heads.find(question(tail, relation))
    }
}

fn question(anchor: EntityId, relation: RelationId) -> u64 {
    u64::from(anchor.0) << 32 | u64::from(relation.0)
}

impl Index {
    fn new(pairs: impl Iterator<Item = (u64, u32)>) -> Self {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        pairs.dedup();
        let (questions, answers) = pairs.into_iter().unzip();
        Self { questions, answers }
    }

    fn find(&self, question: u64) -> &[u32] {
        let start = self.questions.partition_point(|&q| q < question);
        let length = self.questions[start..].partition_point(|&q| q == question);
        &self.answers[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Statement};

    #[test]
    fn answers_come_from_all_splits() {
        let mut builder = GraphBuilder::new();
        for (split, head, relation, tail) in [
            (Split::Train, "a", "likes", "b"),
            (Split::Valid, "a", "likes", "c"),
            (Split::Test, "b", "likes", "c"),
            (Split::Train, "a", "knows", "a"),
        ] {
            builder.add(split, Statement { head, relation, tail });
        }
        let graph = builder.build();
        let answers = Answers::of(&graph);
        let entity = |name| graph.entity(name).unwrap();
        let likes = graph.relation("likes").unwrap();
        let names = |ids: &[u32]| {
            let mut names: Vec<_> = ids.iter().map(|&id| graph.entities().name(id)).collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(names(answers.tails(entity("a"), likes)), "b c");
        assert_eq!(names(answers.heads(likes, entity("c"))), "a b");
        assert_eq!(names(answers.tails(entity("c"), likes)), "");
    }
}
