//! The labels of a step by where they stand: tile by tile, and in a tile query by query.

use std::ops::Range;

use super::Labels;

/// A label of a query in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    tile: u32,
    query: u32,
    column: u32,
}

impl Hit {
    /// The query, and the candidate's place in the tile.
    pub(super) fn pair(self) -> (usize, usize) {
        (self.query as usize, self.column as usize)
    }
}

/// All labels, sorted.
#[derive(Debug, Default)]
pub(super) struct Hits(Vec<Hit>);

impl Hits {
    /// Of tiles of so many candidates.
    pub(super) fn sort(&mut self, labels: Labels<'_>, tile: usize) {
        self.0.clear();
        for query in 0..labels.queries() {
            self.0.extend(labels.of(query).iter().map(|&id| Hit {
                tile: id / tile as u32,
                query: query as u32,
                column: id % tile as u32,
            }));
        }
        self.0.sort_unstable();
    }

    /// Those of some queries in a tile.
    pub(super) fn of(&self, tile: usize, queries: Range<usize>) -> &[Hit] {
        let place = |query: usize| {
            self.0.partition_point(|hit| (hit.tile as usize, hit.query as usize) < (tile, query))
        };
        &self.0[place(queries.start)..place(queries.end)]
    }
}
