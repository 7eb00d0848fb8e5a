//! Changes on top of a graph, counted exactly without building the graph they make.

use std::collections::HashMap;

use kge_graph::{Counts, Graph, GraphBuilder, Split, Statement};

use crate::{Addition, Appended, Removal};

/// The net changes to a base graph. A change costs what it brings; only the first removal looks
/// at the whole base once.
#[derive(Default)]
pub(crate) struct Overlay {
    /// Where a changed triple is now; `None` where it was taken out.
    changes: HashMap<(String, String, String), Option<Split>>,
    entities: Uses,
    relations: Uses,
    /// Of base and changes together.
    pub(crate) counts: Counts,
}

/// How often names occur, beyond what the base says.
#[derive(Default)]
struct Uses {
    beyond: HashMap<String, i64>,
    /// How often each name of the base occurs there; needed from the first removal on.
    base: Option<Vec<i64>>,
}

impl Uses {
    /// Counts one more or one less use; says how that changes the number of names in use.
    fn change(&mut self, name: &str, base_id: Option<u32>, by: i64) -> i64 {
        // A name of the base is in use at least once as long as nothing was removed.
        let base = base_id.map_or(0, |id| self.base.as_ref().map_or(1, |uses| uses[id as usize]));
        let beyond = match self.beyond.get_mut(name) {
            Some(beyond) => beyond,
            None => self.beyond.entry(name.to_owned()).or_default(),
        };
        let before = base + *beyond;
        *beyond += by;
        i64::from(before + by > 0) - i64::from(before > 0)
    }
}

impl Overlay {
    pub(crate) fn new(base: &Graph) -> Self {
        Self { counts: base.counts(), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Takes triples out, then brings triples in.
    pub(crate) fn apply(
        &mut self,
        base: &Graph,
        additions: &[Addition],
        removals: &[Removal],
    ) -> Appended {
        let mut appended = Appended::default();
        for removal in removals {
            if let Some(split) = self.split_of(base, removal) {
                self.count_base(base);
                self.set(base, removal, Some(split), None);
                appended.removed += 1;
            }
        }
        for (split, head, relation, tail) in additions {
            let key = (head.clone(), relation.clone(), tail.clone());
            match self.split_of(base, &key) {
                None => {
                    self.set(base, &key, None, Some(*split));
                    appended.added += 1;
                }
                Some(weaker) if weaker < *split => {
                    self.set(base, &key, Some(weaker), Some(*split));
                    appended.moved += 1;
                }
                Some(_) => appended.duplicate += 1,
            }
        }
        appended
    }

    /// Base and changes as one graph.
    pub(crate) fn merge(&self, base: &Graph) -> Graph {
        let mut builder = GraphBuilder::from_graph(base);
        for ((head, relation, tail), split) in &self.changes {
            let statement = Statement::new(head, relation, tail);
            // A weaker split than that of the base wins only if the base's is gone.
            builder.remove(statement);
            if let Some(split) = split {
                builder.add(*split, statement);
            }
        }
        builder.build()
    }

    fn split_of(&self, base: &Graph, key: &(String, String, String)) -> Option<Split> {
        self.changes.get(key).copied().unwrap_or_else(|| {
            let triple = base.triple(Statement::new(&key.0, &key.1, &key.2))?;
            base.split_of(triple)
        })
    }

    fn set(
        &mut self,
        base: &Graph,
        key: &(String, String, String),
        from: Option<Split>,
        to: Option<Split>,
    ) {
        let by = i64::from(to.is_some()) - i64::from(from.is_some());
        if let Some(from) = from {
            *self.of_split(from) -= 1;
        }
        if let Some(to) = to {
            *self.of_split(to) += 1;
        }
        if by != 0 {
            let (head, relation, tail) = key;
            for entity in [head, tail] {
                let id = base.entity(entity).map(|id| id.0);
                let change = self.entities.change(entity, id, by);
                self.counts.entities = self.counts.entities.wrapping_add_signed(change);
            }
            let id = base.relation(relation).map(|id| id.0);
            let change = self.relations.change(relation, id, by);
            self.counts.relations = self.counts.relations.wrapping_add_signed(change);
        }
        self.changes.insert(key.clone(), to);
    }

    fn of_split(&mut self, split: Split) -> &mut u64 {
        match split {
            Split::Train => &mut self.counts.train,
            Split::Valid => &mut self.counts.valid,
            Split::Test => &mut self.counts.test,
        }
    }

    fn count_base(&mut self, base: &Graph) {
        if self.entities.base.is_some() {
            return;
        }
        let mut entities = vec![0; base.entities().len()];
        let mut relations = vec![0; base.relations().len()];
        for (_, triple) in base.iter() {
            entities[triple.head.0 as usize] += 1;
            entities[triple.tail.0 as usize] += 1;
            relations[triple.relation.0 as usize] += 1;
        }
        self.entities.base = Some(entities);
        self.relations.base = Some(relations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triples(text: &str) -> Vec<Addition> {
        let words = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            (words[3].parse().unwrap(), words[0].clone(), words[1].clone(), words[2].clone())
        };
        text.split(';').filter(|line| !line.trim().is_empty()).map(words).collect()
    }

    fn graph(text: &str) -> Graph {
        let mut overlay = Overlay::default();
        overlay.apply(&Graph::default(), &triples(text), &[]);
        overlay.merge(&Graph::default())
    }

    #[test]
    fn counts_agree_with_the_graph_that_is_built() {
        let base = "a r b train; b r c train; a s a test";
        for (removed, added, expected) in [
            ("", "a r b train", (0, 1, 0, 0)),
            ("", "a r b test", (0, 0, 1, 0)),
            ("", "a s a train", (0, 1, 0, 0)),
            ("", "c r d valid; c r d valid; e t f train", (2, 1, 0, 0)),
            ("a s a test", "a s a train", (1, 0, 0, 1)),
            ("a r b train; x r y train", "", (0, 0, 0, 1)),
            ("a r b train; b r c train; a s a train", "", (0, 0, 0, 3)),
            ("a r b train; b r c train", "c s c train; d s d valid", (2, 0, 0, 2)),
        ] {
            let base = graph(base);
            let removals: Vec<_> =
                triples(removed).into_iter().map(|(_, h, r, t)| (h, r, t)).collect();
            let mut overlay = Overlay::new(&base);
            let appended = overlay.apply(&base, &triples(added), &removals);
            let Appended { added: new, duplicate, moved, removed: gone } = appended;
            assert_eq!((new, duplicate, moved, gone), expected, "- {removed} + {added}");
            assert_eq!(overlay.counts, overlay.merge(&base).counts(), "- {removed} + {added}");
        }
    }

    #[test]
    fn what_was_brought_in_can_be_taken_out_again() {
        let base = graph("a r b train");
        let mut overlay = Overlay::new(&base);
        overlay.apply(&base, &triples("b s c test; b r c train"), &[]);
        let removal = ("b".to_owned(), "s".to_owned(), "c".to_owned());
        overlay.apply(&base, &[], std::slice::from_ref(&removal));
        assert_eq!(overlay.counts, overlay.merge(&base).counts());
        assert_eq!(overlay.merge(&base), graph("b r c train; a r b train"));
        overlay.apply(&base, &triples("b s c valid"), &[]);
        assert_eq!(overlay.merge(&base), graph("a r b train; b r c train; b s c valid"));
    }
}
