//! The distinct questions of a graph, each with all its answers, for KvsAll.

use kge_graph::Triple;
use kge_model::Direction;

use crate::queries::{Query, both_ways};

/// Every distinct `(anchor, relation, ?)`, and the entities that answer it.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    queries: Vec<Query>,
    starts: Vec<u32>,
    answers: Vec<u32>,
}

impl Questions {
    /// Those of some triples, both ways.
    pub(crate) fn of(triples: &[Triple], reciprocal: Option<u32>) -> Self {
        let mut all = Vec::new();
        both_ways(triples.iter().copied(), reciprocal, &mut all);
        let key = |query: &Query| {
            (query.direction == Direction::Head, query.relation, query.anchor, query.target)
        };
        all.sort_unstable_by_key(key);
        let mut questions = Self::default();
        for query in all {
            let same = |last: &Query| Query { target: last.target, ..query } == *last;
            if !questions.queries.last().is_some_and(same) {
                questions.queries.push(query);
                questions.starts.push(questions.answers.len() as u32);
            }
            questions.answers.push(query.target);
        }
        questions.starts.push(questions.answers.len() as u32);
        questions
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.queries.len()
    }

    /// Writes those of a batch, tail queries before head queries, and their answers.
    pub(crate) fn batch(&self, ids: &[u32], queries: &mut Vec<Query>, labels: &mut Lists) {
        queries.clear();
        labels.clear();
        // A scoring model answers one direction at a time.
        for direction in [Direction::Tail, Direction::Head] {
            let own = |&&id: &&u32| self.queries[id as usize].direction == direction;
            for id in ids.iter().filter(own).map(|&id| id as usize) {
                queries.push(self.queries[id]);
                let answers = self.starts[id] as usize..self.starts[id + 1] as usize;
                labels.push(&self.answers[answers]);
            }
        }
    }
}

/// Lists of entities.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    starts: Vec<u32>,
    ids: Vec<u32>,
}

impl Lists {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.starts.clear();
        self.starts.push(0);
    }

    /// One more list.
    pub(crate) fn push(&mut self, list: &[u32]) {
        self.ids.extend_from_slice(list);
        self.starts.push(self.ids.len() as u32);
    }

    /// As kernels take them.
    pub(crate) fn labels(&self) -> kge_kernels::full::Labels<'_> {
        kge_kernels::full::Labels { starts: &self.starts, ids: &self.ids }
    }
}

#[cfg(test)]
mod tests {
    use kge_graph::{EntityId, RelationId};

    use super::*;

    #[test]
    fn a_question_is_asked_once_with_all_answers() {
        let triple = |head, relation, tail| Triple {
            head: EntityId(head),
            relation: RelationId(relation),
            tail: EntityId(tail),
        };
        let triples = [triple(0, 0, 1), triple(0, 0, 2), triple(3, 0, 2), triple(0, 1, 1)];
        for reciprocal in [None, Some(2)] {
            let questions = Questions::of(&triples, reciprocal);
            assert_eq!(questions.len(), 6);
            let (mut queries, mut labels) = (Vec::new(), Lists::default());
            questions.batch(&[5, 0, 4], &mut queries, &mut labels);
            // Sorted by relation, then by anchor: the first asks (0, 0, ?).
            let first = queries.iter().position(|q| (q.anchor, q.relation) == (0, 0));
            assert_eq!(first.map(|query| labels.labels().of(query)), Some(&[1, 2][..]));
            let answers: usize = (0..3).map(|query| labels.labels().of(query).len()).sum();
            assert_eq!(labels.labels().ids.len(), answers);
        }
    }
}
