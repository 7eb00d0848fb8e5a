//! What ranking counts: better and equal candidates, and the best few.

mod screen;

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::{
    Similarity,
    simd::vectorise,
    tile::{self, Grouped, ROWS, TILE, Transposed, amx::SIDE},
};
use screen::{Rows, Screen};

/// How many candidates stand before a target, and how many beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Candidates with a higher score.
    pub better: usize,
    /// Other candidates with the same score.
    pub equal: usize,
}

impl Standing {
    /// The realistic rank, from 1: the mean of the best and the worst place among equals
    /// (Berrendorf et al. 2020).
    pub fn rank(self) -> f64 {
        1.0 + self.better as f64 + self.equal as f64 / 2.0
    }
}

/// Where `target` stands among `scores`, one a candidate, when the candidates in `left_out` do not
/// count. `left_out` is sorted, without repetition; the target never counts.
///
/// A score that is not a number counts as better: a model that has diverged ranks last.
///
/// # Panics
/// If the target or a left-out candidate has no score.
pub fn standing(scores: &[f32], target: usize, left_out: &[u32]) -> Standing {
    let bar = scores[target];
    let mut standing = count(scores, bar);
    left_out.iter().map(|&c| c as usize).filter(|&c| c != target).for_each(|candidate| {
        standing.forget(order(scores[candidate], bar));
    });
    standing.forget(order(bar, bar));
    standing
}

fn count(scores: &[f32], bar: f32) -> Standing {
    vectorise(
        #[inline(always)]
        || {
            let (mut better, mut equal) = (0, 0);
            // Counters of 32 bits vectorise; a block keeps them from overflowing.
            for block in scores.chunks(1 << 20) {
                let (mut b, mut e) = (0_u32, 0_u32);
                for &score in block {
                    b += u32::from(is_better(score, bar));
                    e += u32::from(score == bar);
                }
                better += b as usize;
                equal += e as usize;
            }
            Standing { better, equal }
        },
    )
}

#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "what is not a number is better")]
fn is_better(score: f32, bar: f32) -> bool {
    !(score <= bar)
}

/// Greater where either is no number, as [`is_better`] says.
fn order(score: f32, bar: f32) -> Ordering {
    score.partial_cmp(&bar).unwrap_or(Ordering::Greater)
}

impl Standing {
    fn add(&mut self, order: Ordering, count: usize) {
        match order {
            Ordering::Greater => self.better += count,
            Ordering::Equal => self.equal += count,
            Ordering::Less => {}
        }
    }

    fn forget(&mut self, order: Ordering) {
        match order {
            Ordering::Greater => self.better -= 1,
            Ordering::Equal => self.equal -= 1,
            Ordering::Less => {}
        }
    }
}

/// Filtered ranking of many queries, tile by tile: the buffers, kept from call to call.
#[derive(Debug, Default)]
pub struct Ranker {
    blocks: Vec<Grouped>,
    transposed: Transposed,
    targets: Vec<f32>,
    target_biases: Vec<f32>,
    block: Vec<f32>,
    bars: Vec<f32>,
    screen: Screen,
}

impl Ranker {
    /// Where each query's target stands among all candidates. `queries` is `[m, width]`,
    /// `candidates` `[n, width]`; `biases`, `[n]` or none, are added to their scores. `left_out[i]`
    /// are the candidates that do not count for query `i`, sorted, without repetition; the target
    /// never counts. Where there are AMX's tiles they tell most dot products apart; the ranks are
    /// the same.
    ///
    /// # Panics
    /// If a length does not fit or a target is no candidate.
    pub fn standings(
        &mut self,
        similarity: Similarity,
        (queries, candidates, width): (&[f32], &[f32], usize),
        biases: &[f32],
        targets: &[u32],
        left_out: &[&[u32]],
        standings: &mut [Standing],
    ) {
        let screens = Screen::fits(similarity, width);
        let rows = (queries, candidates, width);
        self.run((similarity, screens), rows, biases, targets, left_out, standings);
    }

    /// [`standings`](Self::standings), with tiles of bf16 or without.
    fn run(
        &mut self,
        (similarity, screens): (Similarity, bool),
        (queries, candidates, width): (&[f32], &[f32], usize),
        biases: &[f32],
        targets: &[u32],
        left_out: &[&[u32]],
        standings: &mut [Standing],
    ) {
        let m = targets.len();
        assert_eq!(queries.len(), m * width, "queries are [{m}, {width}]");
        assert_eq!(standings.len(), m, "a standing a query");
        assert_eq!(left_out.len(), m, "a list of what is left out a query");
        standings.fill(Standing::default());
        self.find_bars(similarity, (queries, candidates, width), biases, targets);
        let problem = Problem { queries, candidates, width, biases, targets, left_out };
        if screens {
            self.screened(problem, standings);
        } else {
            self.scored(similarity, problem, standings);
        }
    }

    /// Packs the queries and scores each one's target. The bars come from the same kernel as the
    /// scores: a target equals itself.
    fn find_bars(
        &mut self,
        similarity: Similarity,
        (queries, candidates, width): (&[f32], &[f32], usize),
        biases: &[f32],
        targets: &[u32],
    ) {
        self.blocks.resize_with(targets.len().div_ceil(ROWS), Grouped::default);
        self.bars.clear();
        for (rows, (packed, targets)) in
            queries.chunks(ROWS * width).zip(self.blocks.iter_mut().zip(targets.chunks(ROWS)))
        {
            packed.pack(rows, width, similarity);
            self.targets.clear();
            self.target_biases.clear();
            for &target in targets {
                let row = &candidates[target as usize * width..][..width];
                self.targets.extend_from_slice(row);
                self.target_biases.extend(biases.get(target as usize));
            }
            self.transposed.pack(&self.targets, width, &self.target_biases);
            self.block.resize(tile::block_len(targets.len(), targets.len()), 0.0);
            tile::scores(similarity, packed, &self.transposed, &mut self.block);
            let bar = |i| self.block[tile::place(targets.len(), i, i)];
            self.bars.extend((0..targets.len()).map(bar));
        }
    }

    /// Every candidate is scored.
    fn scored(
        &mut self,
        similarity: Similarity,
        Problem { candidates, width, biases, targets, left_out, .. }: Problem<'_>,
        standings: &mut [Standing],
    ) {
        for (tile, rows) in candidates.chunks(TILE * width).enumerate() {
            let (start, length) = (tile * TILE, rows.len() / width);
            let tile_biases = biases.get(start..start + length).unwrap_or_default();
            self.transposed.pack(rows, width, tile_biases);
            for (block, packed) in self.blocks.iter().enumerate() {
                let count = packed.count();
                self.block.resize(tile::block_len(count, length), 0.0);
                tile::scores(similarity, packed, &self.transposed, &mut self.block);
                for query in 0..count {
                    let i = block * ROWS + query;
                    let (bar, standing) = (self.bars[i], &mut standings[i]);
                    for scores in tile::row(&self.block, count, length, query) {
                        let found = self::count(scores, bar);
                        standing.better += found.better;
                        standing.equal += found.equal;
                    }
                    for c in here(left_out[i], targets[i], start, length) {
                        standing.forget(order(self.block[tile::place(count, query, c)], bar));
                    }
                }
            }
        }
    }

    /// Only what is too close to a target is scored.
    fn screened(
        &mut self,
        Problem { queries, candidates, width, biases, targets, left_out }: Problem<'_>,
        standings: &mut [Standing],
    ) {
        let Self { bars, screen, .. } = self;
        screen.take_queries(queries, width);
        for (tile, rows) in candidates.chunks(TILE * width).enumerate() {
            let (start, length) = (tile * TILE, rows.len() / width);
            let biases = biases.get(start..start + length).unwrap_or_default();
            let rows = Rows { floats: rows, width, biases };
            screen.take_tile(rows);
            for (side, bars) in bars.chunks(SIDE).enumerate() {
                let first = side * SIDE;
                let floats = &queries[first * width..][..bars.len() * width];
                let asked = (side, Rows { floats, width, biases: &[] });
                let standings = &mut standings[first..][..bars.len()];
                let compared = screen.compare(asked, rows, bars, |lane, order, count| {
                    standings[lane].add(order, count);
                });
                for (lane, (standing, &bar)) in standings.iter_mut().zip(bars).enumerate() {
                    let own = here(left_out[first + lane], targets[first + lane], start, length);
                    for candidate in own {
                        standing.forget(compared.order(candidate, lane, bar));
                    }
                }
            }
        }
    }
}

/// What is ranked.
#[derive(Clone, Copy)]
struct Problem<'a> {
    queries: &'a [f32],
    candidates: &'a [f32],
    width: usize,
    biases: &'a [f32],
    targets: &'a [u32],
    /// Of each query.
    left_out: &'a [&'a [u32]],
}

/// Which of a tile's candidates do not count: those left out, and the target.
fn here(
    left_out: &[u32],
    target: u32,
    start: usize,
    length: usize,
) -> impl Iterator<Item = usize> + use<'_> {
    let place = move |id: u32| (id as usize).checked_sub(start).filter(|&c| c < length);
    let first = left_out.partition_point(|&id| (id as usize) < start);
    let others = left_out[first..].iter().map_while(move |&id| place(id).map(|c| (id, c)));
    others.filter(move |&(id, _)| id != target).map(|(_, c)| c).chain(place(target))
}

/// A candidate with its score; greater is better, and of equals the lower id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The candidate.
    pub candidate: u32,
    /// Its score.
    pub score: f32,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` best candidates, best first; of equal scores the lower id comes first.
pub fn top_k(scores: impl IntoIterator<Item = (u32, f32)>, k: usize) -> Vec<Scored> {
    let mut worst_first = BinaryHeap::with_capacity(k.min(1 << 16) + 1);
    for (candidate, score) in scores {
        let scored = std::cmp::Reverse(Scored { candidate, score });
        if worst_first.len() < k {
            worst_first.push(scored);
        } else if let Some(mut worst) = worst_first.peek_mut()
            && scored < *worst
        {
            *worst = scored;
        }
    }
    worst_first.into_sorted_vec().into_iter().map(|std::cmp::Reverse(scored)| scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_read_like_a_table() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.5, 0.7];
        for (target, left_out, better, equal, rank) in [
            (0, &[][..], 2, 2, 4.0),
            (0, &[1], 1, 2, 3.0),
            (0, &[0, 1, 2, 4, 5], 0, 0, 1.0),
            (1, &[], 0, 0, 1.0),
            (3, &[], 5, 0, 6.0),
        ] {
            let found = standing(&scores, target, left_out);
            assert_eq!(found, Standing { better, equal }, "target {target}");
            assert_eq!(found.rank(), rank);
        }
    }

    #[test]
    fn what_is_no_number_ranks_last() {
        assert_eq!(standing(&[f32::NAN, 1.0, 2.0], 0, &[]).rank(), 3.0);
        assert_eq!(standing(&[f32::NAN, 1.0, 2.0], 2, &[]).rank(), 2.0);
        assert_eq!(standing(&[f32::NAN; 4], 1, &[2]).rank(), 3.0);
    }

    /// Tile by tile as one row after the other, ties included.
    #[test]
    fn tiles_rank_as_rows_do() {
        use crate::similarity::plain;
        let (m, width) = (131, 6);
        for n in [1, 95, 480, 481, 1300] {
            // Few different values: many ties.
            let coarse = |rows, salt| {
                let values = plain::matrix(rows, width, salt);
                values.iter().map(|x| (x * 2.0).round()).collect::<Vec<f32>>()
            };
            let (queries, candidates) = (coarse(m, 1), coarse(n, 2));
            let biases = if n == 481 { coarse(n, 3)[..n].to_vec() } else { Vec::new() };
            let targets: Vec<u32> = (0..m).map(|i| (i * 37 % n) as u32).collect();
            let mut left_out: Vec<Vec<u32>> = (0..m)
                .map(|i| (0..i % 40).map(|k| ((i * 31 + k * 57) % n) as u32).collect())
                .collect();
            for list in &mut left_out {
                list.sort_unstable();
                list.dedup();
            }
            let screens = plain::ALL.map(|similarity| (similarity, false)).into_iter();
            for (similarity, screens) in screens.chain([(Similarity::Dot, true)]) {
                let mut found = vec![Standing { better: 7, equal: 7 }; m];
                Ranker::default().run(
                    (similarity, screens),
                    (&queries, &candidates, width),
                    &biases,
                    &targets,
                    &left_out.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                    &mut found,
                );
                let (mut grouped, mut transposed) = (Grouped::default(), Transposed::default());
                grouped.pack(&queries, width, similarity);
                transposed.pack(&candidates, width, &biases);
                let mut block = vec![0.0; tile::block_len(m, n)];
                tile::scores(similarity, &grouped, &transposed, &mut block);
                for i in 0..m {
                    let mut scores = vec![0.0; n];
                    tile::read_row(&block, m, i, &mut scores);
                    let expected = standing(&scores, targets[i] as usize, &left_out[i]);
                    assert_eq!(found[i], expected, "{similarity:?}, {n} candidates, query {i}");
                }
            }
        }
    }

    /// Rows of all sizes and signs, near-ties, and what is no number: rounded products change no
    /// rank.
    #[test]
    fn a_screen_changes_no_rank() {
        use crate::similarity::plain;
        let (m, n) = (70, 1000);
        let scales = [
            (7, 1.0, 1.0),
            (64, 1e-3, 1e-3),
            (200, 1e-19, 1e-19),
            (33, 1e18, 1e18),
            (40, 1e-30, 1e-30),
            // Squares that are no normal numbers, and factors that are none.
            (8, 1.0, 1e-23),
            (8, 1e-23, 1.0),
            (64, 1.0, 1e-20),
            (16, 1e10, 1e-39),
            (16, 1e-39, 1e10),
        ];
        for (width, asked, scale) in scales {
            let (mut queries, mut candidates) =
                (plain::matrix(m, width, 1), plain::matrix(n, width, 2));
            for (at, rows) in candidates.chunks_exact_mut(width).enumerate() {
                rows.iter_mut().for_each(|x| *x *= scale * (1.0 + (at % 7) as f32));
            }
            // Nearly the same rows, and the very same.
            for at in (10..n).step_by(10) {
                candidates.copy_within(0..width, at * width);
                candidates[at * width] *= 1.0 + (at % 30) as f32 * f32::EPSILON;
            }
            queries.iter_mut().for_each(|x| *x *= asked);
            candidates[501 * width] = f32::NAN;
            candidates[502 * width] = f32::INFINITY;
            queries[3 * width] = f32::NAN;
            queries[4 * width] = f32::NEG_INFINITY;
            let targets: Vec<u32> = (0..m).map(|i| (i * 370 % n) as u32).collect();
            let biases: Vec<f32> =
                plain::matrix(n, 1, 3).iter().map(|x| x * asked * scale).collect();
            let left_out: Vec<&[u32]> = (0..m)
                .map(|i| if i % 2 == 0 { &[0, 10, 11, 500, 501, 502, 999][..] } else { &[] })
                .collect();
            for biases in [&[][..], &biases] {
                let ranks = |screens| {
                    let mut found = vec![Standing::default(); m];
                    Ranker::default().run(
                        (Similarity::Dot, screens),
                        (&queries, &candidates, width),
                        biases,
                        &targets,
                        &left_out,
                        &mut found,
                    );
                    found
                };
                assert_eq!(ranks(true), ranks(false), "{width} floats of {asked} and {scale}");
            }
        }
    }

    /// The queries differ in width from a side's, and most candidates are one row.
    #[test]
    fn a_screen_changes_no_rank_among_rows_that_are_alike() {
        use crate::similarity::plain;
        let (n, width) = (700, 24);
        let mut candidates = plain::matrix(1, width, 2).repeat(n);
        candidates[300 * width..400 * width].copy_from_slice(&plain::matrix(100, width, 5));
        candidates[..50 * width].fill(0.0);
        for m in [1, 33] {
            let queries = plain::matrix(m, width, 1);
            let targets: Vec<u32> = (0..m).map(|i| (i * 61 % n) as u32).collect();
            let left_out = vec![&[3, 299, 300, 350, 699][..]; m];
            let ranks = |screens| {
                let mut found = vec![Standing::default(); m];
                let rows = (&queries[..], &candidates[..], width);
                let how = (Similarity::Dot, screens);
                Ranker::default().run(how, rows, &[], &targets, &left_out, &mut found);
                found
            };
            assert_eq!(ranks(true), ranks(false), "{m} queries");
        }
    }

    #[test]
    fn the_best_come_first_and_ties_go_to_the_lower_id() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.9, 0.7];
        let best = |k| -> Vec<u32> {
            let scores = scores.iter().enumerate().map(|(i, &s)| (i as u32, s));
            top_k(scores, k).iter().map(|s| s.candidate).collect()
        };
        assert_eq!(best(0), []);
        assert_eq!(best(4), [1, 4, 5, 0]);
        assert_eq!(best(100), [1, 4, 5, 0, 2, 3]);
    }
}
