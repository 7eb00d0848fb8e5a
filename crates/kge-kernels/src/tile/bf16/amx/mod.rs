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

use std::fmt::Debug;

use super::pair;
use crate::simd::vectorise;
pub(crate) use native::is_native;
pub(crate) use pack::{Left, Part, Right};

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

/// A way to multiply.
trait Tiles {
    /// Adds the products of [`SIDE`] rows with [`SIDE`] columns, [`DEPTH`] of the depth a step, to
    /// [`SIDE`] rows of `sums`, which begin `stride` apart; or writes them, where the sums begin.
    ///
    /// # Panics
    /// If a factor or the sums are too short.
    fn product(
        &self,
        left: &[[[u16; DEPTH]; SIDE]],
        right: &[[[u32; SIDE]; DEPTH / 2]],
        begins: bool,
        sums_and_stride: (&mut [f32], usize),
    );
}

/// Something to multiply, either way.
trait Multiply {
    fn by(self, tiles: &impl Tiles);
}

fn run(work: impl Multiply) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if let Some(amx) = native::get() {
        work.by(&amx.configure());
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
    left: &Left,
    right: &Right,
    side: usize,
    begins: bool,
    sums: &mut [[f32; SIDE]],
) {
    struct Panel<'a>(&'a Left, &'a [[[u32; SIDE]; DEPTH / 2]], bool, &'a mut [[f32; SIDE]]);

    impl Multiply for Panel<'_> {
        #[inline(always)]
        fn by(self, tiles: &impl Tiles) {
            let Self(left, right, begins, sums) = self;
            for (rows, sums) in left.sides().zip(sums.chunks_exact_mut(SIDE)) {
                tiles.product(rows, right, begins, (sums.as_flattened_mut(), SIDE));
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
pub(crate) fn product(left: &Left, right: &Right, begins: bool, sums: &mut [f32]) {
    struct Product<'a>(&'a Left, &'a Right, bool, &'a mut [f32]);

    impl Multiply for Product<'_> {
        #[inline(always)]
        fn by(self, tiles: &impl Tiles) {
            let Self(left, right, begins, sums) = self;
            let width = right.columns();
            for (side, column) in (0..width).step_by(SIDE).enumerate() {
                let columns = SIDE.min(width - column);
                let right = right.side(side);
                for (rows, sums) in left.sides().zip(sums.chunks_mut(SIDE * width)) {
                    if columns == SIDE && sums.len() == SIDE * width {
                        tiles.product(rows, right, begins, (&mut sums[column..], width));
                        continue;
                    }
                    let mut whole = [[0.0; SIDE]; SIDE];
                    if !begins {
                        for (whole, sums) in whole.iter_mut().zip(sums.chunks_exact(width)) {
                            whole[..columns].copy_from_slice(&sums[column..][..columns]);
                        }
                    }
                    let all = (whole.as_flattened_mut(), SIDE);
                    tiles.product(rows, right, begins, all);
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
