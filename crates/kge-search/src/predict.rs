//! What is missing, and how plausible is it?

use kge_graph::{EntityId, RelationId, Triple};
use kge_kernels::rank::{standing, top_k};
use kge_model::{Direction, QueryBatch, project};

use crate::{Error, Result, ServedModel};

/// Entities that a model projects in one call.
const PROJECTED: usize = 1024;

/// A triple with one entity left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `(head, relation, ?)`.
    Tail {
        /// The head.
        head: EntityId,
        /// The relation.
        relation: RelationId,
    },
    /// `(?, relation, tail)`.
    Head {
        /// The relation.
        relation: RelationId,
        /// The tail.
        tail: EntityId,
    },
}

/// An entity that may complete a triple.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The entity.
    pub entity: EntityId,
    /// Its score; higher is more plausible.
    pub score: f32,
    /// Whether the graph has the triple already.
    pub known: bool,
}

/// How plausible a triple is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The tail direction's score.
    pub score: f32,
    /// The head's filtered, realistic rank.
    pub head_rank: f64,
    /// The tail's filtered, realistic rank.
    pub tail_rank: f64,
}

impl ServedModel {
    /// The `k` best answers, best first; without those the graph knows, if `filter_known`.
    ///
    /// # Errors
    /// If the model cannot answer this direction, or fails.
    pub fn predict(&self, question: Question, k: usize, filter_known: bool) -> Result<Vec<Answer>> {
        let scores = self.scores(question)?;
        let known = self.known(question);
        let is_known = |entity: u32| known.binary_search(&entity).is_ok();
        let candidates =
            (0..).zip(scores).filter(|&(entity, _)| !(filter_known && is_known(entity)));
        let answer =
            |entity, score| Answer { entity: EntityId(entity), score, known: is_known(entity) };
        Ok(top_k(candidates, k)
            .into_iter()
            .map(|best| answer(best.candidate, best.score))
            .collect())
    }

    /// Score and ranks of each triple.
    ///
    /// # Errors
    /// If the model fails.
    pub fn score(&self, triples: &[Triple]) -> Result<Vec<Scored>> {
        let place = |question, target: EntityId| {
            let scores = self.scores(question)?;
            let rank = standing(&scores, target.index(), self.known(question)).rank();
            Ok::<_, Error>((scores[target.index()], rank))
        };
        let each = triples.iter().map(|&Triple { head, relation, tail }| {
            let (score, tail_rank) = place(Question::Tail { head, relation }, tail)?;
            let (_, head_rank) = place(Question::Head { relation, tail }, head)?;
            Ok(Scored { score, head_rank, tail_rank })
        });
        each.collect()
    }

    fn known(&self, question: Question) -> &[u32] {
        match question {
            Question::Tail { head, relation } => self.answers().tails(head, relation),
            Question::Head { relation, tail } => self.answers().heads(relation, tail),
        }
    }

    /// The score of every entity.
    fn scores(&self, question: Question) -> Result<Vec<f32>> {
        let layout = self.model.layout();
        let (direction, anchor, relation) = match question {
            Question::Tail { head, relation } => (Direction::Tail, head, relation.0),
            Question::Head { relation, tail } if self.record.reciprocal => {
                (Direction::Tail, tail, relation.0 + self.graph.relations().len() as u32)
            }
            Question::Head { relation, tail } => (Direction::Head, tail, relation.0),
        };
        if !layout.answers(direction) {
            return Err(Error::Direction { model: self.record.plugin.name.clone() });
        }
        let batch = QueryBatch {
            direction,
            anchors: self.embeddings.entity(anchor.0),
            relations: self.embeddings.relation(relation),
            relation_of: &[0],
            context: &[],
        };
        let mut session = self.model.session_of(&self.embeddings)?;
        let mut query = Vec::new();
        session.query(&batch, &mut query)?;
        let entities = &self.embeddings.entities;
        let mut scores = vec![0.0; self.embeddings.entity_count()];
        if layout.projects_candidates {
            let mut candidates = Vec::new();
            let blocks = entities.chunks(PROJECTED * layout.entity_width);
            for (entities, scores) in blocks.zip(scores.chunks_mut(PROJECTED)) {
                let relation = batch.relations;
                project(&mut *session, layout, direction, relation, entities, &mut candidates)?;
                layout.similarity.scores(&query, &candidates, scores);
            }
        } else {
            layout.similarity.scores(&query, entities, &mut scores);
        }
        for (score, bias) in scores.iter_mut().zip(&self.embeddings.biases) {
            *score += bias;
        }
        Ok(scores)
    }
}
