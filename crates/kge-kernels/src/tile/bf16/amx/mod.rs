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
mod weigh;

use std::fmt::Debug;

use crate::{
    math::{exp_bounded, exp_coarse},
    simd::vectorise,
};
pub(crate) use native::is_native;
pub(crate) use pack::{Left, LeftShape, Lefts, Part, Right};
use weigh::Exponentials;
pub(crate) use weigh::{Columns, exponentiate, weigh};

/// Rows and columns that are multiplied at once: two tiles by two.
pub(crate) const SIDE: usize = 32;

/// The depth of a tile.
const DEPTH: usize = 32;

/// As rounded to bf16.
#[derive(Debug, Default)]
pub(crate) struct Once;

/// As the sum of two bf16.
#[derive(Debug, Default)]
pub(crate) struct Thrice;

/// What of each factor is multiplied with what of the other.
pub(crate) trait Split: Debug + Default {
    const LEFT: &'static [Part];
    const RIGHT: &'static [Part];

    /// `e^x` as exactly as what is rounded so deserves it; of numbers beyond `f32`'s exponentials,
    /// those of about the nearest.
    fn exp(x: f32) -> f32;
}

impl Split for Once {
    const LEFT: &'static [Part] = &[Part::High];
    const RIGHT: &'static [Part] = &[Part::High];

    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp_coarse(x)
    }
}

impl Split for Thrice {
    const LEFT: &'static [Part] = &[Part::High, Part::High, Part::Low];
    const RIGHT: &'static [Part] = &[Part::High, Part::Low, Part::High];

    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp_bounded(x)
    }
}

/// A way to multiply.
trait Tiles {
    /// Adds the products of [`SIDE`] rows with [`SIDE`] columns, [`DEPTH`] of the depth a step, to
    /// [`SIDE`] rows of `sums`, which begin `stride` apart; or writes them, where the sums begin.
    /// Meanwhile it may ask for what is read soon, some lines of the cache a step.
    ///
    /// # Panics
    /// If a factor or the sums are too short.
    fn product(
        &self,
        left: &[[[u16; DEPTH]; SIDE]],
        right: &[[[u32; SIDE]; DEPTH / 2]],
        begins: bool,
        sums_and_stride: (&mut [f32], usize),
        soon: &[u8],
    );

    /// Rounds two rows to the nearest bf16, ties to even, 0 instead of what is below the normal
    /// numbers: row by row, and in pairs.
    fn round(&self, rows: &[[f32; SIDE]; 2], lines: &mut [[u16; SIDE]; 2], pairs: &mut [u32; SIDE]);

    /// The product of [`SIDE`] rows with [`SIDE`] columns, and meanwhile the exponentials of an
    /// earlier one.
    fn product_beside(
        &self,
        left: &[[[u16; DEPTH]; SIDE]],
        right: &[[[u32; SIDE]; DEPTH / 2]],
        square: &mut Square,
        earlier: Exponentials<'_>,
    ) {
        self.product(left, right, true, (square.0.as_flattened_mut(), SIDE), &[]);
        self.exponentiate(earlier);
    }

    /// Makes weights `e^(score - shift)` of scores, coarsely and rounded; adds them to the totals.
    #[inline(always)]
    fn exponentiate(&self, work: Exponentials<'_>) {
        let Exponentials { scores, columns, lines, pairs, .. } = work;
        let (twos, _) = scores.as_chunks::<2>();
        let lines = lines.as_chunks_mut::<2>().0.iter_mut();
        for ((two, lines), pairs) in twos.iter().zip(lines).zip(pairs) {
            let mut weights = *two;
            weights.iter_mut().for_each(|weights| columns.exponentiate::<Once>(weights));
            self.round(&weights, lines, pairs);
        }
    }
}

/// Something to multiply, either way.
trait Multiply {
    fn by(self, tiles: &impl Tiles);
}

/// Sums whose rows are whole lines of the cache.
#[repr(align(64))]
struct Square([[f32; SIDE]; SIDE]);

fn run(work: impl Multiply) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if let Some(amx) = native::get() {
        let mut work = Some(work);
        vectorise(
            #[inline(always)]
            || {
                if let Some(work) = work.take() {
                    work.by(&amx.configure());
                }
            },
        );
        return;
    }
    let mut work = Some(work);
    vectorise(
        #[inline(always)]
        || {
            if let Some(work) = work.take() {
                work.by(&plain::Plain);
            }
        },
    );
}

/// Adds the products of `left`'s rows with one side of `right`'s columns to `sums`,
/// `[rows, SIDE]`; or writes them, where the sums begin. Rows up to a multiple of [`SIDE`] are sums
/// too, of anything.
///
/// # Panics
/// If the depths differ or there are fewer sums.
pub(crate) fn panel(
    left: Lefts<'_>,
    right: &Right,
    side: usize,
    begins: bool,
    sums: &mut [[f32; SIDE]],
) {
    struct Panel<'a>(Lefts<'a>, &'a [[[u32; SIDE]; DEPTH / 2]], bool, &'a mut [[f32; SIDE]]);

    impl Multiply for Panel<'_> {
        #[inline(always)]
        fn by(self, tiles: &impl Tiles) {
            let Self(left, right, begins, sums) = self;
            for (index, rows) in left.sides().enumerate() {
                let (own, next) = sums[index * SIDE..].split_at_mut(SIDE);
                tiles.product(
                    rows,
                    right,
                    begins,
                    (own.as_flattened_mut(), SIDE),
                    bytemuck::cast_slice(next),
                );
            }
        }
    }

    assert_eq!(left.depth(), right.depth(), "factors of one depth");
    assert!(sums.len() >= left.rows().next_multiple_of(SIDE), "sums of {} rows", left.rows());
    run(Panel(left, right.side(side), begins, sums));
}

/// Adds the product of `left` and `right` to `sums`, `[rows, columns]`; or writes it, where the sums
/// begin.
///
/// # Panics
/// If the depths differ or there are more or fewer sums.
pub(crate) fn product(left: Lefts<'_>, right: &Right, begins: bool, sums: &mut [f32]) {
    struct Product<'a>(Lefts<'a>, &'a Right, bool, &'a mut [f32]);

    impl Multiply for Product<'_> {
        #[inline(always)]
        fn by(self, tiles: &impl Tiles) {
            let Self(left, right, begins, sums) = self;
            let width = right.columns();
            let mut next = left.sides().skip(1);
            for (rows, sums) in left.sides().zip(sums.chunks_mut(SIDE * width)) {
                let mut next =
                    next.next().unwrap_or_default().chunks(rows.len().div_ceil(right.sides()));
                for (side, column) in (0..width).step_by(SIDE).enumerate() {
                    let (columns, right) = (SIDE.min(width - column), right.side(side));
                    let soon = bytemuck::cast_slice(next.next().unwrap_or_default());
                    if columns == SIDE && sums.len() == SIDE * width {
                        tiles.product(rows, right, begins, (&mut sums[column..], width), soon);
                        continue;
                    }
                    let Square(whole) = &mut Square([[0.0; SIDE]; SIDE]);
                    if !begins {
                        for (whole, sums) in whole.iter_mut().zip(sums.chunks_exact(width)) {
                            whole[..columns].copy_from_slice(&sums[column..][..columns]);
                        }
                    }
                    let all = (whole.as_flattened_mut(), SIDE);
                    tiles.product(rows, right, begins, all, &[]);
                    for (whole, sums) in whole.iter().zip(sums.chunks_exact_mut(width)) {
                        sums[column..][..columns].copy_from_slice(&whole[..columns]);
                    }
                }
            }
        }
    }

    assert_eq!(left.depth(), right.depth(), "factors of one depth");
    assert_eq!(sums.len(), left.rows() * right.columns(), "a sum a row and column");
    run(Product(left, right, begins, sums));
}
