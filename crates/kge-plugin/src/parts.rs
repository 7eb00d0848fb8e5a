//! Batches whose relation rows are matrices, cut so that a call's rows stay in a core's cache.
//!
//! Rows cross into the sandbox and back by copies. Those of hundreds of matrices would go through
//! memory each time; a few at a time are still in the cache where the next pass reads them, since a
//! sandbox uses the same addresses again. Queries of one relation stay together and in their order,
//! so a relation's gradient is the same sum as in one call.

use std::ops::Range;

use kge_model::{Direction, Layout, QueryBatch};

/// Floats of the relation rows of one call: 256 KiB.
const FLOATS: usize = 1 << 16;

/// A batch's queries, sorted by relation.
pub(crate) struct Parts<'b> {
    batch: QueryBatch<'b>,
    entity_width: usize,
    relation_width: usize,
    /// The places of the queries in the batch, by relation.
    order: Vec<u32>,
    /// Where the queries of each relation begin in `order`; its length at the end.
    begins: Vec<usize>,
}

/// Some of a batch's relations, and all the queries that use them.
pub(crate) struct Part<'b> {
    direction: Direction,
    /// Which of the batch's relations.
    pub(crate) relations: Range<usize>,
    /// The places of its queries in the batch.
    pub(crate) queries: &'b [u32],
    anchors: Vec<f32>,
    relation_rows: &'b [f32],
    relation_of: Vec<u32>,
}

impl<'b> Parts<'b> {
    /// None if one call does: rows that fit or are not much wider than an entity's, whose copies
    /// would cost what they spare; or gradients of shared tensors, which would have to be summed over
    /// the parts.
    pub(crate) fn of(batch: &QueryBatch<'b>, layout: &Layout) -> Option<Self> {
        let together = batch.relations.len() <= FLOATS
            || layout.relation_width <= 4 * layout.entity_width
            || batch.direction == Direction::Relation
            || !layout.shared.is_empty()
            || !batch.context.is_empty();
        if together {
            return None;
        }
        let relations = batch.relations.len() / layout.relation_width;
        let mut order: Vec<u32> = (0..batch.len() as u32).collect();
        order.sort_by_key(|&query| batch.relation_of[query as usize]);
        let of = |query: &u32| batch.relation_of[*query as usize] as usize;
        let begins =
            (0..=relations).map(|relation| order.partition_point(|query| of(query) < relation));
        Some(Self {
            batch: *batch,
            entity_width: layout.entity_width,
            relation_width: layout.relation_width,
            begins: begins.collect(),
            order,
        })
    }

    /// The parts that any query uses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Part<'_>> {
        let relations = self.begins.len() - 1;
        let step = (FLOATS / self.relation_width).max(1);
        let parts = (0..relations)
            .step_by(step)
            .map(move |first| self.part(first..relations.min(first + step)));
        parts.filter(|part| !part.queries.is_empty())
    }

    fn part(&self, relations: Range<usize>) -> Part<'_> {
        let queries = &self.order[self.begins[relations.start]..self.begins[relations.end]];
        let place = |&query: &u32| self.batch.relation_of[query as usize] - relations.start as u32;
        let width = self.relation_width;
        Part {
            direction: self.batch.direction,
            queries,
            anchors: gathered(self.batch.anchors, self.entity_width, queries),
            relation_rows: &self.batch.relations[relations.start * width..relations.end * width],
            relation_of: queries.iter().map(place).collect(),
            relations,
        }
    }
}

impl Part<'_> {
    /// As the scoring model takes it.
    pub(crate) fn batch(&self) -> QueryBatch<'_> {
        QueryBatch {
            direction: self.direction,
            anchors: &self.anchors,
            relations: self.relation_rows,
            relation_of: &self.relation_of,
            context: &[],
        }
    }

    /// The part's own rows of `rows`, `[batch, width]`.
    pub(crate) fn gather(&self, rows: &[f32], width: usize) -> Vec<f32> {
        gathered(rows, width, self.queries)
    }

    /// Puts the part's rows where they belong in `rows`, `[batch, width]`.
    pub(crate) fn scatter(&self, own: &[f32], width: usize, rows: &mut [f32]) {
        for (own, &query) in own.chunks_exact(width).zip(self.queries) {
            rows[query as usize * width..][..width].copy_from_slice(own);
        }
    }
}

fn gathered(rows: &[f32], width: usize, places: &[u32]) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(places.len() * width);
    for &place in places {
        gathered.extend_from_slice(&rows[place as usize * width..][..width]);
    }
    gathered
}
