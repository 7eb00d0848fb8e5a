//! Products as AMX's tiles take them: thirty-two products of a sum at a time.
//!
//! `tdpbf16ps` multiplies 16 rows of 32 bf16 by 32 rows of 16 and adds to 16 x 16 sums. Within it,
//! the products at even and at odd places of the depth are two chains of fused multiply-adds from
//! 0, whose sum is added at last (Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volume 2). Another order than [`vdpbf16ps`](super)'s, so other bytes, and a precision of its own;
//! where the CPU has no such tiles [`plain`] does the same operations, slowly.
//!
//! All three products of a step are [`Left`] times [`Right`], [`SIDE`] x [`SIDE`] sums at a time.
//! A number enters as its nearest bf16, or [`Thrice`]: as that and the bf16 nearest to what is left.
//! Then `a b` is taken as `a_0 b_0 + a_0 b_1 + a_1 b_0`, laid one after the other along the depth,
//! and errors are about those of `f32`.

mod native;
mod pack;
mod plain;
#[cfg(test)]
mod tests;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod trap;

use std::{fmt::Debug, marker::PhantomData};

use super::{assert_dot, pair};
use crate::{
    Similarity,
    simd::vectorise,
    tile::{Factors, block_len, place},
};
pub(crate) use native::is_native;
use pack::{Left, Part, Right, Weights};

/// Rows and columns that are multiplied at once: two tiles by two.
const SIDE: usize = 32;

/// The depth of a tile.
const DEPTH: usize = 32;

/// Sums of [`SIDE`] rows with [`SIDE`] columns.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Sums([[f32; SIDE]; SIDE]);

/// As rounded to bf16.
#[derive(Debug, Default)]
pub(crate) struct Once;

/// As the sum of two bf16.
#[derive(Debug, Default)]
pub(crate) struct Thrice;

/// What of each factor is multiplied with what of the other, and how exponentials wait.
pub(crate) trait Split: Debug + Default {
    type Kept: Copy + Debug + Default + Send + Sync;
    const LEFT: &'static [Part];
    const RIGHT: &'static [Part];

    fn keep(exponential: f32) -> Self::Kept;
    fn recall(kept: Self::Kept) -> f32;
}

impl Split for Once {
    type Kept = u16;
    const LEFT: &'static [Part] = &[Part::High];
    const RIGHT: &'static [Part] = &[Part::High];

    #[inline(always)]
    fn keep(exponential: f32) -> u16 {
        pair::round(exponential)
    }

    #[inline(always)]
    fn recall(kept: u16) -> f32 {
        pair::widen(kept)
    }
}

impl Split for Thrice {
    type Kept = f32;
    const LEFT: &'static [Part] = &[Part::High, Part::High, Part::Low];
    const RIGHT: &'static [Part] = &[Part::High, Part::Low, Part::High];

    #[inline(always)]
    fn keep(exponential: f32) -> f32 {
        exponential
    }

    #[inline(always)]
    fn recall(kept: f32) -> f32 {
        kept
    }
}

/// Factors for tiles; for [`Similarity::Dot`] alone.
#[derive(Debug, Default)]
pub(crate) struct Tiled<S>(PhantomData<S>);

/// Candidates beside each other, and their biases.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    rows: Right,
    biases: Vec<f32>,
}

impl<S: Split> Factors for Tiled<S> {
    /// Deep enough that sums are read and written seldom; the block, twice rounded, and a tile of
    /// 256 floats stay in 2 MiB.
    const ROWS: usize = 288;

    type Kept = S::Kept;
    type Queries = Left;
    type Candidates = Candidates;
    type Others = Right;
    type Scratch = Weights;

    #[inline(always)]
    fn keep(exponential: f32) -> S::Kept {
        S::keep(exponential)
    }

    #[inline(always)]
    fn recall(kept: S::Kept) -> f32 {
        S::recall(kept)
    }

    fn pack_queries(to: &mut Left, rows: &[f32], width: usize, similarity: Similarity) {
        assert_dot(similarity);
        to.pack(rows, width, S::LEFT);
    }

    fn pack_candidates(to: &mut Candidates, rows: &[f32], width: usize, biases: &[f32]) {
        assert!(
            biases.is_empty() || biases.len() == rows.len() / width,
            "a bias a candidate, or none"
        );
        to.rows.pack_across(rows, width, S::RIGHT);
        to.biases.clear();
        to.biases.extend_from_slice(biases);
        to.biases.resize(to.rows.columns.next_multiple_of(SIDE), 0.0);
    }

    fn pack_others(to: &mut Right, rows: &[f32], width: usize, similarity: Similarity) {
        assert_dot(similarity);
        to.pack_down(rows, width, S::RIGHT);
    }

    fn scores(similarity: Similarity, queries: &Left, candidates: &Candidates, block: &mut [f32]) {
        assert_dot(similarity);
        let (count, Candidates { rows, biases }) = (queries.rows, candidates);
        assert_eq!(block.len(), block_len(count, rows.columns), "a block of {count} queries");
        multiply(
            queries,
            rows,
            #[inline(always)]
            |first, column, sums| {
                let biases = &biases[column..][..SIDE];
                for (row, sums) in sums.iter().enumerate().take(count - first) {
                    let out = &mut block[place(count, first + row, column)..][..SIDE];
                    for ((out, sum), bias) in out.iter_mut().zip(sums).zip(biases) {
                        *out = sum + bias;
                    }
                }
            },
        );
    }

    fn pulling(
        _: Similarity,
        weights: &mut [f32],
        (queries, candidates): (usize, usize),
        _: (&Left, &Candidates),
        scratch: &mut Weights,
    ) {
        scratch.round(weights, queries, candidates, S::LEFT);
    }

    fn pull_queries(
        _: Similarity,
        (_, weights): (&[f32], &Weights),
        queries: &[f32],
        candidates: &Right,
        d_queries: &mut [f32],
    ) {
        assert_eq!(queries.len(), d_queries.len(), "a gradient has its rows' shape");
        pull(&weights.by_query, candidates, d_queries);
    }

    fn pull_candidates(
        _: Similarity,
        (_, weights): (&[f32], &Weights),
        candidates: &[f32],
        queries: &Right,
        d_candidates: &mut [f32],
    ) {
        assert_eq!(candidates.len(), d_candidates.len(), "a gradient has its rows' shape");
        pull(&weights.by_candidate, queries, d_candidates);
    }
}

/// Adds the products of weights with rows that pull to `[weights.rows, others.columns]`.
fn pull(weights: &Left, others: &Right, pulled: &mut [f32]) {
    let (count, width) = (weights.rows, others.columns);
    assert_eq!(pulled.len(), count * width, "a gradient a row of weights");
    multiply(
        weights,
        others,
        #[inline(always)]
        |first, column, sums| {
            let length = SIDE.min(width - column);
            for (row, sums) in sums.iter().enumerate().take(count - first) {
                let out = &mut pulled[(first + row) * width + column..][..length];
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            }
        },
    );
}

/// A way to multiply.
trait Tiles {
    /// Writes the products of [`SIDE`] rows of `left`, which begin `stride` apart, with `right`,
    /// whose rows are pairs of the depth.
    ///
    /// # Panics
    /// If `left` is too short, or the depth no multiple of [`DEPTH`].
    fn product(&self, left: &[u16], stride: usize, right: &[[u32; SIDE]], sums: &mut Sums);
}

/// Hands on the sums from each row and column that is a multiple of [`SIDE`]. The rows and columns
/// that fill the last of them up hold anything.
fn multiply(left: &Left, right: &Right, mut to: impl FnMut(usize, usize, &[[f32; SIDE]; SIDE])) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if let Some(amx) = native::get() {
        let tiles = amx.configure();
        vectorise(
            #[inline(always)]
            || multiply_by(&tiles, left, right, &mut to),
        );
        return;
    }
    vectorise(
        #[inline(always)]
        || multiply_by(&plain::Plain, left, right, &mut to),
    );
}

#[inline(always)]
fn multiply_by(
    tiles: &impl Tiles,
    left: &Left,
    right: &Right,
    to: &mut impl FnMut(usize, usize, &[[f32; SIDE]; SIDE]),
) {
    assert_eq!(left.depth, right.depth, "factors of one depth");
    let mut sums = Sums([[0.0; SIDE]; SIDE]);
    let numbers = left.numbers();
    for (side, pairs) in right.pairs().chunks_exact((right.depth / 2).max(1)).enumerate() {
        for first in (0..left.rows).step_by(SIDE) {
            tiles.product(&numbers[first * left.depth..], left.depth, pairs, &mut sums);
            to(first, side * SIDE, &sums.0);
        }
    }
}
