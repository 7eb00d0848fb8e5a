//! Ranking by AMX's tiles: exact ranks by inexact products.
//!
//! The product of rows rounded to bf16 lies near the score that the kernels in `f32` give, within a
//! bound that is known beforehand. It tells most candidates from the target. Those too close to
//! call are scored again: by a dot product in `f32` of any order, and if that is too close as well,
//! by the very chain of operations of the kernels. Where there are many of them, as among rows that
//! are all alike, the kernels score the whole side. So a rank is the same with tiles and without.

use std::cmp::Ordering;

use crate::{
    Similarity, row,
    simd::vectorise,
    tile::{
        self, Grouped, Transposed,
        amx::{self, Left, Part, Right, SIDE},
    },
};

/// A number of each query of a side.
type Lanes<T = f32> = [T; SIDE];

/// Rows wider than this are not screened: the bounds below would say little.
const WIDEST: usize = 1 << 16;

/// Of so many pairs one may be too close to call before all are scored.
const RARE: usize = 8;

/// The queries of a call and one tile of candidates, packed; kept from call to call.
#[derive(Debug, Default)]
pub(super) struct Screen {
    queries: Right,
    /// The queries' lengths, `[sides, SIDE]`.
    lengths: Vec<Lanes>,
    tile: Left,
    spans: Vec<Span>,
    /// `[candidates, SIDE]`: products with the queries of a side.
    panel: Vec<Lanes>,
    /// Candidates of the tile and lanes of the side that are too close to call.
    close: Vec<(u32, u32)>,
    /// A side and a tile as the kernels take them, and its scores.
    grouped: Grouped,
    transposed: Transposed,
    block: Vec<f32>,
}

/// How far two ways to score a candidate may differ: one of the first two times the query's length,
/// and the third.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Of rounded rows.
    rounded: f32,
    /// Of `f32` in another order.
    reordered: f32,
    more: f32,
}

/// Some rows and what is added to their scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) floats: &'a [f32],
    pub(super) width: usize,
    /// None, or one a row.
    pub(super) biases: &'a [f32],
}

impl<'a> Rows<'a> {
    fn row(&self, at: usize) -> &'a [f32] {
        &self.floats[at * self.width..][..self.width]
    }

    fn bias(&self, at: usize) -> f32 {
        self.biases.get(at).copied().unwrap_or(0.0)
    }
}

impl Span {
    /// Of a candidate. With `u = 2^-24`, a sum of `n` products in `f32` is off by `n u |q| |c|` at
    /// most, whatever its order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1, and
    /// Cauchy-Schwarz); rounding both factors adds `2^-8 |q| |c|`. Numbers below the normal ones may
    /// become 0 in each product and sum; what that does to factors, [`length_at_most`] covers. A bias
    /// rounds once more.
    fn of(candidate: &[f32], bias: f32) -> Self {
        const UNIT: f32 = 1.0 / (1 << 24) as f32;
        let (width, length) = (candidate.len() as f32, length_at_most(candidate));
        let reordered = 2.0 * (width + 8.0) * UNIT;
        Self {
            rounded: (reordered + 1.0 / 256.0) * length,
            reordered: reordered * length,
            more: 4.0 * UNIT * bias.abs() + 4.0 * width * f32::MIN_POSITIVE,
        }
    }
}

/// A bound of a row's length. The hundredth covers its own error and terms of higher order. Squares
/// may have become 0, so each number counts as `2^-63` at least: in a product, far more than what
/// a factor below the normal numbers loses.
fn length_at_most(row: &[f32]) -> f32 {
    1.01 * (row::dot(row, row) + row.len() as f32 * f32::MIN_POSITIVE).sqrt()
}

impl Screen {
    /// Whether candidates are screened at all.
    pub(super) fn fits(similarity: Similarity, width: usize) -> bool {
        similarity == Similarity::Dot && width <= WIDEST && amx::is_native()
    }

    /// Takes in the queries, `[m, width]`.
    pub(super) fn take_queries(&mut self, queries: &[f32], width: usize) {
        self.queries.pack_across(None, queries, width, &[Part::High]);
        self.lengths.clear();
        self.lengths.extend(queries.chunks(SIDE * width).map(|queries| {
            let mut lengths = [0.0; SIDE];
            for (length, query) in lengths.iter_mut().zip(queries.chunks_exact(width)) {
                *length = length_at_most(query);
            }
            lengths
        }));
    }

    /// Takes in a tile of candidates.
    pub(super) fn take_tile(&mut self, candidates: Rows<'_>) {
        let Rows { floats, width, .. } = candidates;
        self.tile.pack(floats, width, &[Part::High]);
        self.spans.clear();
        let rows = floats.chunks_exact(width).enumerate();
        self.spans.extend(rows.map(|(at, row)| Span::of(row, candidates.bias(at))));
    }

    /// How the scores of the tile's candidates compare with the bars of a side's queries: `count`
    /// is told a lane and how many compare so; those below are not counted. Then single ones may be
    /// asked for.
    pub(super) fn compare<'a>(
        &'a mut self,
        (side, queries): (usize, Rows<'a>),
        candidates: Rows<'a>,
        bars: &[f32],
        mut count: impl FnMut(usize, Ordering, usize),
    ) -> Compared<'a> {
        let Self { tile, spans, panel, close, grouped, transposed, block, .. } = self;
        panel.resize(tile.rows().next_multiple_of(SIDE), [0.0; SIDE]);
        amx::panel(tile.lent(), &self.queries, side, true, panel);
        // Lanes without a query are below for sure.
        let mut lanes = [f32::INFINITY; SIDE];
        lanes[..bars.len()].copy_from_slice(bars);
        let (lengths, biases) = (&self.lengths[side], candidates.biases);
        close.clear();
        let better = vectorise(
            #[inline(always)]
            || {
                for (scores, bias) in panel.iter_mut().zip(biases) {
                    scores.iter_mut().for_each(|score| *score += bias);
                }
                sift(panel, spans, &lanes, lengths, close)
            },
        );
        let scored = close.len() > bars.len() * spans.len() / RARE;
        if scored {
            grouped.pack(queries.floats, queries.width, Similarity::Dot);
            transposed.pack(candidates.floats, candidates.width, biases);
            block.resize(tile::block_len(bars.len(), spans.len()), 0.0);
            tile::scores(Similarity::Dot, grouped, transposed, block);
        }
        let block = scored.then_some(&block[..]);
        let compared =
            Compared { count: bars.len(), panel, block, spans, lengths, queries, candidates };
        for (lane, (&bar, &better)) in bars.iter().zip(&better).enumerate() {
            if scored {
                (0..spans.len()).for_each(|at| count(lane, compared.order(at, lane, bar), 1));
            } else {
                count(lane, Ordering::Greater, better as usize);
            }
        }
        for &(candidate, lane) in close.iter().filter(|_| !scored) {
            if let Some(&bar) = bars.get(lane as usize) {
                let order = compared.closely(candidate as usize, lane as usize, bar);
                count(lane as usize, order, 1);
            }
        }
        compared
    }
}

/// What two scores that may be off by `span` tell of the exact ones, if they do.
#[inline(always)]
fn tell(off: f32, span: f32) -> Option<Ordering> {
    if off > span {
        Some(Ordering::Greater)
    } else if off < -span {
        Some(Ordering::Less)
    } else {
        None
    }
}

/// What is better for sure, a lane; what is neither that nor worse for sure goes to `close`.
#[inline(always)]
fn sift(
    panel: &[Lanes],
    spans: &[Span],
    bars: &Lanes,
    lengths: &Lanes,
    close: &mut Vec<(u32, u32)>,
) -> Lanes<u32> {
    let mut better = [0; SIDE];
    for (candidate, (scores, span)) in panel.iter().zip(spans).enumerate() {
        let mut open = [0_u32; SIDE];
        for lane in 0..SIDE {
            let (off, span) =
                (scores[lane] - bars[lane], span.rounded.mul_add(lengths[lane], span.more));
            let (above, below) = (u32::from(off > span), u32::from(off < -span));
            better[lane] += above;
            open[lane] = 1 - (above | below);
        }
        if open.iter().fold(0, |any, open| any | open) != 0 {
            let lanes = open.iter().zip(0..).filter(|(open, _)| **open == 1);
            close.extend(lanes.map(|(_, lane)| (candidate as u32, lane)));
        }
    }
    better
}

/// A side's queries and a tile's candidates.
pub(super) struct Compared<'a> {
    /// Queries of the side.
    count: usize,
    panel: &'a [Lanes],
    /// The kernels' scores, where they were asked for.
    block: Option<&'a [f32]>,
    spans: &'a [Span],
    lengths: &'a Lanes,
    queries: Rows<'a>,
    candidates: Rows<'a>,
}

impl Compared<'_> {
    /// How a candidate's score compares with a lane's bar; greater if either is no number.
    pub(super) fn order(&self, candidate: usize, lane: usize, bar: f32) -> Ordering {
        if let Some(block) = self.block {
            return super::order(block[tile::place(self.count, lane, candidate)], bar);
        }
        let Span { rounded, more, .. } = self.spans[candidate];
        let (off, span) =
            (self.panel[candidate][lane] - bar, rounded.mul_add(self.lengths[lane], more));
        tell(off, span).unwrap_or_else(|| self.closely(candidate, lane, bar))
    }

    /// The same without the rounded product.
    fn closely(&self, candidate: usize, lane: usize, bar: f32) -> Ordering {
        let (query, row) = (self.queries.row(lane), self.candidates.row(candidate));
        let bias = self.candidates.bias(candidate);
        let Span { reordered, more, .. } = self.spans[candidate];
        let (off, span) =
            (row::dot(query, row) + bias - bar, reordered.mul_add(self.lengths[lane], more));
        tell(off, span).unwrap_or_else(|| {
            let sum = vectorise(
                #[inline(always)]
                || query.iter().zip(row).fold(0.0, |sum: f32, (&q, &c)| q.mul_add(c, sum)),
            );
            super::order(sum + bias, bar)
        })
    }
}
