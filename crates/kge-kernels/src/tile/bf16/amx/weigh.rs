//! Scores that become weights while they are near: a square of [`SIDE`] rows and columns at a time.

use std::marker::PhantomData;

use super::{
    super::pair::widen, DEPTH, Left, LeftShape, Lefts, Multiply, Part, Right, SIDE, Split, Square,
    Tiles, run,
};
use crate::aligned::Line;

/// Scores of [`SIDE`] columns, with what their exponentials become.
pub(super) struct Exponentials<'a> {
    pub(super) scores: &'a [[f32; SIDE]; SIDE],
    pub(super) columns: &'a mut Columns,
    pub(super) lines: &'a mut [[u16; SIDE]; SIDE],
    pub(super) pairs: &'a mut [[u32; SIDE]; SIDE / 2],
    /// Bytes from the lines to those that are written next.
    pub(super) next_lines: usize,
}

/// What is taken from the scores of [`SIDE`] columns before they are exponentiated, and the sums of
/// their exponentials.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Columns {
    pub(crate) shifts: [f32; SIDE],
    pub(crate) totals: [f32; SIDE],
}

impl Columns {
    /// Replaces a row of scores by `e^(score - shift)`, and adds these.
    #[inline(always)]
    pub(crate) fn exponentiate<S: Split>(&mut self, scores: &mut [f32; SIDE]) {
        let Self { shifts, totals } = self;
        for ((score, shift), total) in scores.iter_mut().zip(shifts).zip(totals) {
            *score = S::exp(*score - *shift);
            *total += *score;
        }
    }
}

/// Scores one side of the columns of `right` against the rows of `left`, [`SIDE`] at a time, and
/// gives the scores and which row is their first to `weigh`, which makes weights of them. These are
/// factors at once: of the rows, in `lines` at the side's place of their depth; and of the side's
/// columns, which are all of `by_column`'s.
///
/// # Panics
/// If the depths differ or the weights do not fit.
#[inline(always)]
pub(crate) fn weigh<S: Split>(
    (left, right, side): (&Left, &Right, usize),
    weigh: impl FnMut(usize, &mut [[f32; SIDE]]),
    (lines, shape): (&mut [Line], LeftShape),
    by_column: &mut Right,
) {
    struct Weigh<'a, S, F> {
        factors: (Lefts<'a>, &'a [[[u32; SIDE]; DEPTH / 2]]),
        weigh: F,
        side: usize,
        by_row: (&'a mut [Line], LeftShape),
        by_column: &'a mut Right,
        split: PhantomData<S>,
    }

    impl<S: Split, F: FnMut(usize, &mut [[f32; SIDE]])> Multiply for Weigh<'_, S, F> {
        #[inline(always)]
        fn by(mut self, tiles: &impl Tiles) {
            let (left, right) = self.factors;
            let (by_row, shape) = self.by_row;
            let Square(square) = &mut Square([[0.0; SIDE]; SIDE]);
            for (index, rows) in left.sides().enumerate() {
                tiles.product(rows, right, true, (square.as_flattened_mut(), SIDE), &[]);
                let live = SIDE.min(left.rows() - index * SIDE);
                (self.weigh)(index * SIDE, &mut square[..live]);
                square[live..].fill([0.0; SIDE]);
                for (two, rows) in square.as_chunks::<2>().0.iter().enumerate() {
                    let (row, pair) = (index * SIDE + 2 * two, index * SIDE / 2 + two);
                    let lines = shape.two_lines(by_row, row, 0, self.side);
                    tiles.round(rows, lines, self.by_column.pair(pair, 0));
                    if S::LEFT.len() == 1 {
                        continue;
                    }
                    let (high, high_pair) = (*lines, *self.by_column.pair(pair, 0));
                    let (mut low, mut low_pair) = ([[0; SIDE]; 2], [0; SIDE]);
                    tiles.round(&rests(rows, &high), &mut low, &mut low_pair);
                    for (part, (left, right)) in S::LEFT.iter().zip(S::RIGHT).enumerate().skip(1) {
                        *shape.two_lines(by_row, row, part, self.side) =
                            if *left == Part::High { high } else { low };
                        *self.by_column.pair(pair, part) =
                            if *right == Part::High { high_pair } else { low_pair };
                    }
                }
            }
        }
    }

    const { assert!(matches!((S::LEFT[0], S::RIGHT[0]), (Part::High, Part::High))) };
    assert_eq!(left.lent().depth(), right.depth(), "factors of one depth");
    assert_eq!(by_column.columns(), SIDE, "one side of columns");
    run(Weigh::<S, _> {
        factors: (left.lent(), right.side(side)),
        weigh,
        side,
        by_row: (lines, shape),
        by_column,
        split: PhantomData,
    });
}

/// As [`weigh`] with weights `e^(score - shift)`, rounded [`Once`], which are added to the totals of
/// their columns. Scores are multiplied while earlier ones are exponentiated.
///
/// # Panics
/// As for it.
pub(crate) fn exponentiate(
    (left, right, side): (&Left, &Right, usize),
    columns: &mut Columns,
    (lines, shape): (&mut [Line], LeftShape),
    by_column: &mut Right,
) {
    struct Exponentiate<'a> {
        factors: (Lefts<'a>, &'a [[[u32; SIDE]; DEPTH / 2]]),
        columns: &'a mut Columns,
        side: usize,
        by_row: (&'a mut [Line], LeftShape),
        by_column: &'a mut Right,
    }

    impl Multiply for Exponentiate<'_> {
        #[inline(always)]
        fn by(self, tiles: &impl Tiles) {
            let Self { factors: (left, right), columns, side, by_row, by_column } = self;
            let (lines, shape) = by_row;
            let mut squares = [Square([[0.0; SIDE]; SIDE]), Square([[0.0; SIDE]; SIDE])];
            let [mut scores, mut next] = squares.each_mut();
            let mut earlier = None;
            for (index, rows) in left.sides().enumerate() {
                match earlier {
                    None => {
                        let sums = (scores.0.as_flattened_mut(), SIDE);
                        tiles.product(rows, right, true, sums, &[]);
                    }
                    Some(earlier) => {
                        let work = Exponentials {
                            scores: &scores.0,
                            columns,
                            lines: shape.square(lines, earlier, side),
                            pairs: by_column.square(earlier),
                            next_lines: shape.next_square(),
                        };
                        tiles.product_beside(rows, right, next, work);
                        std::mem::swap(&mut scores, &mut next);
                    }
                }
                earlier = Some(index);
            }
            if let Some(last) = earlier {
                scores.0[left.rows() - last * SIDE..].fill([f32::NEG_INFINITY; SIDE]);
                tiles.exponentiate(Exponentials {
                    scores: &scores.0,
                    columns,
                    lines: shape.square(lines, last, side),
                    pairs: by_column.square(last),
                    next_lines: 0,
                });
            }
        }
    }

    assert_eq!(left.lent().depth(), right.depth(), "factors of one depth");
    assert_eq!(by_column.columns(), SIDE, "one side of columns");
    run(Exponentiate {
        factors: (left.lent(), right.side(side)),
        columns,
        side,
        by_row: (lines, shape),
        by_column,
    });
}

/// What rounding leaves of two rows.
#[inline(always)]
fn rests(rows: &[[f32; SIDE]; 2], rounded: &[[u16; SIDE]; 2]) -> [[f32; SIDE]; 2] {
    let mut rests = *rows;
    for (rests, rounded) in rests.iter_mut().zip(rounded) {
        for (rest, &rounded) in rests.iter_mut().zip(rounded) {
            *rest -= widen(rounded);
        }
    }
    rests
}
