//! Negative sampling: a chunk of queries of one direction shares its negatives, drawn uniformly.
//!
//! Scores of a chunk are one small block. A negative that is a query's own target does not count
//! for that query. Where a model projects candidates by the relation, a chunk holds queries of one
//! relation, so that its candidates are projected once.
//!
//! A thread takes a [`Piece`] of the batch all the way to its gradients, so that what it works on
//! stays in its second cache.

mod chunk;

use std::sync::Mutex;

use kge_kernels::{Pool, Precision, loss::SampledLoss, prefetch, row};
use kge_model::Layout;

use crate::{
    Algorithm, Loss, Result,
    contributions::Contributions,
    parameters::{Parameters, Penalty},
    queries::{CALL, Call, Query, QueryRows, lock},
};
use chunk::{Chunk, Piece, Step, Workspace};

/// Pieces that a batch is cut into, or more, or fewer of larger chunks: threads that can work on it.
const PIECES: usize = 16;

/// The buffers of a step.
pub(crate) struct Sampled {
    /// A thread's own.
    workspaces: Vec<Mutex<Workspace>>,
    chunks: Vec<Chunk>,
    contributions: Contributions,
}

/// What a step draws, and where in the run it stands: that addresses the random stream.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    /// Negatives a side.
    pub(crate) negatives: usize,
    /// Queries that share them.
    pub(crate) chunk: usize,
    pub(crate) epoch: u64,
    pub(crate) batch: u64,
}

impl Sampled {
    pub(crate) fn new(precision: Precision, pool: &Pool) -> Self {
        let workspace = |_| Mutex::new(Workspace::new(precision));
        Self {
            workspaces: (0..pool.threads()).map(workspace).collect(),
            chunks: Vec::new(),
            contributions: Contributions::default(),
        }
    }

    /// One step over a batch, all tail queries before all head queries; returns the summed loss.
    /// For a model that projects candidates the queries are sorted first.
    pub(crate) fn step(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &mut QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &mut [Query],
        draw: Draw,
    ) -> Result<f64> {
        let used = self.cut(queries, draw.chunk, layout.projects_candidates);
        let (queries, chunks) = (&*queries, &mut self.chunks[..used]);
        let most = CALL.min(queries.len().div_ceil(PIECES));
        rows.begin(pool, &parameters.embeddings, queries, ends(chunks, most))?;
        let (model, sessions, calls) = rows.at_work();
        let step = Step {
            model,
            embeddings: &parameters.embeddings,
            queries,
            seed: algorithm.seed,
            draw,
            loss: sampled_loss(algorithm.loss),
            share: 1.0 / queries.len() as f32,
        };
        let (workspaces, mut pieces) = (&self.workspaces, pieces(chunks, calls, most));
        pool.chunks(&mut pieces, 1, |_, piece, thread| {
            let (mut session, mut own) = (lock(&sessions[thread]), lock(&workspaces[thread]));
            piece[0].outcome = step.run(&mut piece[0], &mut **session, &mut own);
        });
        pieces.into_iter().try_for_each(|piece| piece.outcome)?;
        rows.sum_shared(pool);
        self.move_rows(pool, (algorithm, layout), rows, parameters, queries, used);
        Ok(self.chunks[..used].iter().map(|chunk| chunk.loss).sum())
    }

    /// Sums what belongs to one row, in a fixed order, and moves it.
    fn move_rows(
        &mut self,
        pool: &Pool,
        (algorithm, layout): (&Algorithm, &Layout),
        rows: &QueryRows<'_>,
        parameters: &mut Parameters,
        queries: &[Query],
        used: usize,
    ) {
        let (width, count) = (layout.entity_width, queries.len());
        let chunks = &self.chunks[..used];
        // Sources: anchors, then the candidates of each chunk.
        let stride = chunks.iter().map(|chunk| chunk.ids.len()).max().unwrap_or(0);
        self.contributions.clear();
        for (index, query) in queries.iter().enumerate() {
            self.contributions.push(query.anchor, index as u32);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            for (place, &id) in chunk.ids.iter().enumerate() {
                self.contributions.push(id, (count + index * stride + place) as u32);
            }
        }
        self.contributions.group();
        let contributions = &self.contributions;
        let candidate = |source: usize| {
            let source = source - count;
            (&chunks[source / stride], source % stride)
        };

        let penalty = Penalty::new(algorithm, layout, 1.0 / count as f32);
        let mover = parameters.begin_step(algorithm, layout);
        // Its gradient, and whether the row has part in a query by it.
        let contribution = |source: usize| {
            if source < count {
                return (rows.anchor_gradient(source), true);
            }
            let (chunk, place) = candidate(source);
            (&chunk.d_candidates()[place * width..][..width], place < chunk.range.len())
        };
        parameters.move_entities(pool, mover, contributions.rows(), |index, entity, gradient| {
            contributions.sources(index + 1).for_each(|next| prefetch(contribution(next).0));
            let mut uses = 0;
            for (own, counts) in contributions.sources(index).map(contribution) {
                uses += u32::from(counts);
                row::add(gradient, own);
            }
            penalty.add(gradient, entity, uses);
        });
        parameters.move_biases(pool, mover, contributions.rows(), |index| {
            let candidates = contributions.sources(index).filter(|&source| source >= count);
            candidates.map(candidate).map(|(chunk, place)| chunk.d_biases[place]).sum()
        });
        parameters.move_shared(mover, rows.shared_gradients());
        let projections: Vec<(u32, &[f32])> =
            (chunks.iter().filter(|_| layout.projects_candidates))
                .map(|chunk| {
                    let gradient = chunk.d_projection.relations.as_slice();
                    (queries[chunk.range.start].relation, gradient)
                })
                .collect();
        parameters.move_relations(pool, mover, layout, penalty, (rows, queries), &projections);
    }

    /// Cuts both halves of a batch into chunks, by relation if asked; returns how many.
    fn cut(&mut self, queries: &mut [Query], chunk: usize, by_relation: bool) -> usize {
        let half = queries.len() / 2;
        if by_relation {
            queries[..half].sort_by_key(|query| query.relation);
            queries[half..].sort_by_key(|query| query.relation);
        }
        let mut used = 0;
        let mut start = 0;
        while start < queries.len() {
            let end = if start < half { half } else { queries.len() };
            let together =
                |query: &&Query| !by_relation || query.relation == queries[start].relation;
            let length = queries[start..end].iter().take(chunk).take_while(together).count();
            if used == self.chunks.len() {
                self.chunks.push(Chunk::default());
            }
            self.chunks[used].range = start..start + length;
            used += 1;
            start += length;
        }
        used
    }
}

/// Of chunks that follow each other, those of the first piece: as many as have so many queries, or
/// one.
fn piece_len(chunks: &[Chunk], most: usize) -> usize {
    let fits = |chunk: &Chunk| chunk.range.end <= chunks[0].range.start + most;
    chunks.partition_point(fits).max(1).min(chunks.len())
}

/// The places in the batch where pieces end.
fn ends(mut chunks: &[Chunk], most: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let (piece, later) = chunks.split_at(piece_len(chunks, most));
        chunks = later;
        piece.last().map(|chunk| chunk.range.end)
    })
}

/// Chunks with the calls of the scoring model that were cut at their [`ends`].
fn pieces<'a>(
    mut chunks: &'a mut [Chunk],
    mut calls: &'a mut [Call],
    most: usize,
) -> Vec<Piece<'a>> {
    let (mut pieces, mut first) = (Vec::new(), 0);
    while !chunks.is_empty() {
        let count = piece_len(chunks, most);
        let (own, later) = chunks.split_at_mut(count);
        let end = own[count - 1].range.end;
        let asked = calls.partition_point(|call| call.range.start < end);
        let (own_calls, later_calls) = calls.split_at_mut(asked);
        pieces.push(Piece { first, chunks: own, calls: own_calls, outcome: Ok(()) });
        (chunks, calls, first) = (later, later_calls, first + count);
    }
    pieces
}

/// The loss as kernels know it.
fn sampled_loss(loss: Loss) -> SampledLoss {
    match loss {
        Loss::MarginRanking { margin } => SampledLoss::Margin { margin },
        Loss::Logistic => SampledLoss::SelfAdversarial { margin: 0.0, temperature: 0.0 },
        Loss::SelfAdversarial { margin, temperature } => {
            SampledLoss::SelfAdversarial { margin, temperature }
        }
        // Binary cross-entropy over all entities is refused before training.
        Loss::Softmax | Loss::BinaryCrossEntropy => SampledLoss::Softmax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_take_all_chunks_in_order() {
        for lengths in [vec![], vec![300], vec![64; 9], vec![100, 100, 57, 1, 300, 256, 2]] {
            let mut start = 0;
            let mut chunks: Vec<_> = lengths
                .iter()
                .map(|length| {
                    let mut chunk = Chunk::default();
                    chunk.range = start..start + length;
                    start = chunk.range.end;
                    chunk
                })
                .collect();
            let all: Vec<_> = chunks.iter().map(|chunk| chunk.range.clone()).collect();
            for most in [1, 100, 256] {
                let ends: Vec<_> = ends(&chunks, most).collect();
                let pieces = pieces(&mut chunks, &mut [], most);
                let own = |piece: &Piece<'_>| -> Vec<_> {
                    piece.chunks.iter().map(|chunk| chunk.range.clone()).collect()
                };
                assert_eq!(pieces.iter().flat_map(own).collect::<Vec<_>>(), all);
                assert_eq!(pieces.len(), ends.len());
                for (piece, end) in pieces.iter().zip(ends) {
                    let (first, last) = (&piece.chunks[0], piece.chunks.last().unwrap());
                    assert_eq!(first.range, all[piece.first]);
                    assert_eq!(last.range.end, end);
                    assert!(piece.chunks.len() == 1 || end - first.range.start <= most);
                }
            }
        }
    }
}
