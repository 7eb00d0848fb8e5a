//! What each similarity does to one vector of a query and one of a candidate.
//!
//! A complex similarity takes a vector of each half; the others take only the first.

use pulp::Simd;

use super::micro::{Places, Pull, SCORE, SCORE_COMPLEX, Score};

/// A vector of the first half, or of the row, and one of the second half.
pub(super) type Halves<V> = [V; 2];

/// One similarity's arithmetic.
pub(super) trait Terms: Copy + Sized {
    /// Whether rows are complex halves.
    const HALVES: bool;
    /// Whether a pull depends on the row that is pulled.
    const OWN: bool;

    /// Runs all scores in groups that fill the registers.
    #[inline(always)]
    fn score_all<S: Simd>(simd: S, all: Score<'_, Self>) {
        all.walk::<S, SCORE>(simd);
    }

    /// Runs all pulls in groups that fill the registers, which hold the pulled rows as well.
    #[inline(always)]
    fn pull_all<S: Simd, P: Places>(simd: S, all: Pull<'_, Self, P>) {
        all.walk::<S, 3, 2>(simd);
    }

    /// Adds what one place of the rows gives to the score.
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s;

    /// The score of a sum.
    fn score<S: Simd>(simd: S, sum: S::f32s) -> S::f32s;

    /// Adds what `other` does to `own` by `weight`.
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        own: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s>;

    /// The gradient of a sum of pulls.
    #[inline(always)]
    fn pulled<S: Simd>(_: S, sum: S::f32s) -> S::f32s {
        sum
    }
}

/// `sum_i q_i c_i`.
#[derive(Clone, Copy)]
pub(super) struct Dot;

/// `-sum_i |q_i - c_i|`.
#[derive(Clone, Copy)]
pub(super) struct L1;

/// `-sqrt(sum_i (q_i - c_i)^2)`; pulls take weights over the distance.
#[derive(Clone, Copy)]
pub(super) struct L2;

/// `-sum_i (q_i - c_i)^2`.
#[derive(Clone, Copy)]
pub(super) struct SquaredL2;

/// `-sum_j |q_j - c_j|` over complex numbers in halves.
#[derive(Clone, Copy)]
pub(super) struct Modulus;

impl Terms for Dot {
    const HALVES: bool = false;
    const OWN: bool = false;

    #[inline(always)]
    fn pull_all<S: Simd, P: Places>(simd: S, all: Pull<'_, Self, P>) {
        // Thirty-two registers hold twice the sums of sixteen.
        if S::F32_LANES == 16 {
            all.walk::<S, 12, 2>(simd);
        } else {
            all.walk::<S, 6, 2>(simd);
        }
    }

    #[inline(always)]
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s {
        simd.mul_add_f32s(q[0], c[0], sum)
    }

    #[inline(always)]
    fn score<S: Simd>(_: S, sum: S::f32s) -> S::f32s {
        sum
    }

    #[inline(always)]
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        _: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s> {
        [simd.mul_add_f32s(weight, other[0], sum[0]), sum[1]]
    }
}

impl Terms for L1 {
    const HALVES: bool = false;
    const OWN: bool = true;

    #[inline(always)]
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s {
        simd.add_f32s(sum, simd.abs_f32s(simd.sub_f32s(q[0], c[0])))
    }

    #[inline(always)]
    fn score<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
        simd.neg_f32s(sum)
    }

    #[inline(always)]
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        own: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s> {
        // Towards the other row by the weight, whatever the distance; nowhere where they are equal.
        let zero = simd.splat_f32s(0.0);
        let below = simd.less_than_f32s(own[0], other[0]);
        let above = simd.less_than_f32s(other[0], own[0]);
        let down = simd.select_f32s(above, simd.neg_f32s(weight), zero);
        [simd.add_f32s(sum[0], simd.select_f32s(below, weight, down)), sum[1]]
    }
}

impl Terms for SquaredL2 {
    const HALVES: bool = false;
    const OWN: bool = true;

    #[inline(always)]
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s {
        let difference = simd.sub_f32s(q[0], c[0]);
        simd.mul_add_f32s(difference, difference, sum)
    }

    #[inline(always)]
    fn score<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
        simd.neg_f32s(sum)
    }

    #[inline(always)]
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        own: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s> {
        L2::pull(simd, weight, own, other, sum)
    }

    #[inline(always)]
    fn pulled<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
        simd.add_f32s(sum, sum)
    }
}

impl Terms for L2 {
    const HALVES: bool = false;
    const OWN: bool = true;

    #[inline(always)]
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s {
        SquaredL2::add(simd, q, c, sum)
    }

    #[inline(always)]
    fn score<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
        simd.neg_f32s(simd.sqrt_f32s(sum))
    }

    #[inline(always)]
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        own: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s> {
        [simd.mul_add_f32s(weight, simd.sub_f32s(other[0], own[0]), sum[0]), sum[1]]
    }
}

impl Terms for Modulus {
    const HALVES: bool = true;
    const OWN: bool = true;

    #[inline(always)]
    fn score_all<S: Simd>(simd: S, all: Score<'_, Self>) {
        all.walk::<S, SCORE_COMPLEX>(simd);
    }

    #[inline(always)]
    fn pull_all<S: Simd, P: Places>(simd: S, all: Pull<'_, Self, P>) {
        all.walk::<S, 2, 1>(simd);
    }

    #[inline(always)]
    fn add<S: Simd>(simd: S, q: Halves<S::f32s>, c: Halves<S::f32s>, sum: S::f32s) -> S::f32s {
        let (re, im) = (simd.sub_f32s(q[0], c[0]), simd.sub_f32s(q[1], c[1]));
        simd.add_f32s(sum, modulus(simd, re, im))
    }

    #[inline(always)]
    fn score<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
        simd.neg_f32s(sum)
    }

    #[inline(always)]
    fn pull<S: Simd>(
        simd: S,
        weight: S::f32s,
        own: Halves<S::f32s>,
        other: Halves<S::f32s>,
        sum: Halves<S::f32s>,
    ) -> Halves<S::f32s> {
        let (re, im) = (simd.sub_f32s(other[0], own[0]), simd.sub_f32s(other[1], own[1]));
        let (length, zero) = (modulus(simd, re, im), simd.splat_f32s(0.0));
        let apart = simd.less_than_f32s(zero, length);
        let pull = simd.select_f32s(apart, simd.div_f32s(weight, length), zero);
        [simd.mul_add_f32s(pull, re, sum[0]), simd.mul_add_f32s(pull, im, sum[1])]
    }
}

/// `sqrt(re^2 + im^2)`, correctly rounded operations only.
#[inline(always)]
fn modulus<S: Simd>(simd: S, re: S::f32s, im: S::f32s) -> S::f32s {
    simd.sqrt_f32s(simd.mul_add_f32s(re, re, simd.mul_f32s(im, im)))
}
