//! The loops in registers: a few rows against a pair of vectors, over the whole depth.
//!
//! Sixteen registers hold six rows by two vectors of sums, or as many as the arithmetic of a
//! distance leaves room for. A group that is not full computes what nobody stores.

use std::{array::from_fn, marker::PhantomData};

use pulp::{Simd, WithSimd};

use super::{
    Columns, GROUP, Grouped, PANEL, Transposed, block_len,
    pack::VECTORS,
    panel_len, place,
    terms::{Halves, Terms},
};

/// Queries that are scored together, and those with complex rows.
pub(super) const SCORE: usize = 6;
pub(super) const SCORE_COMPLEX: usize = 4;

/// Scores of all queries against all candidates.
pub(super) struct Score<'a, T> {
    pub(super) terms: PhantomData<T>,
    pub(super) queries: &'a Grouped,
    pub(super) candidates: &'a Transposed,
    /// Whether scores get the candidates' biases.
    pub(super) biased: bool,
    pub(super) block: &'a mut [f32],
}

impl<T: Terms> WithSimd for Score<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        T::score_all(simd, self);
    }
}

impl<T: Terms> Score<'_, T> {
    /// In groups of `R` queries.
    #[inline(always)]
    pub(super) fn walk<S: Simd, const R: usize>(self, simd: S) {
        const { assert!(GROUP.is_multiple_of(R)) };
        let Self { terms: PhantomData, queries, candidates, biased, block } = self;
        let (count, width) = (queries.count(), candidates.width());
        assert_eq!(queries.width(), width, "queries and candidates of one width");
        assert_eq!(queries.data().len(), count.next_multiple_of(R) * width, "groups of {R}");
        assert_eq!(block.len(), block_len(count, candidates.count()), "a block of {count} queries");
        assert!(!T::HALVES || width.is_multiple_of(2), "complex rows have an even width");
        let side = S::F32_LANES * VECTORS;
        for (panel, packed) in candidates.data().chunks_exact(side * width).enumerate() {
            let packed = S::as_simd_f32s(packed).0;
            let biases = S::as_simd_f32s(&candidates.biases()[panel * side..][..side]).0;
            let biases: [S::f32s; VECTORS] =
                from_fn(|v| if biased { biases[v] } else { simd.splat_f32s(0.0) });
            for (group, rows) in queries.data().chunks_exact(R * width).enumerate() {
                let sums = score_group::<S, T, R>(simd, rows, packed);
                let live = R.min(count - group * R);
                for (i, sums) in sums.iter().enumerate().take(live) {
                    let at = place(count, group * R + i, panel * side);
                    let out = S::as_mut_simd_f32s(&mut block[at..][..side]).0;
                    for ((out, &sum), bias) in out.iter_mut().zip(sums).zip(biases) {
                        *out = simd.add_f32s(T::score(simd, sum), bias);
                    }
                }
            }
        }
    }
}

/// Sums of a group, `[width, R]`, against one pair of vectors of candidates, `[width, VECTORS]`.
#[inline(always)]
fn score_group<S: Simd, T: Terms, const R: usize>(
    simd: S,
    group: &[f32],
    packed: &[S::f32s],
) -> [[S::f32s; VECTORS]; R] {
    let (group, _) = group.as_chunks::<R>();
    let (packed, _) = packed.as_chunks::<VECTORS>();
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; R];
    let mut add = |rows: [&[f32; R]; 2], candidates: [&[S::f32s; VECTORS]; 2]| {
        for (i, sums) in sums.iter_mut().enumerate() {
            let query = rows.map(|row| simd.splat_f32s(row[i]));
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = T::add(simd, query, candidates.map(|vectors| vectors[v]), *sum);
            }
        }
    };
    if T::HALVES {
        let half = group.len() / 2;
        let (re, im) = (group[..half].iter().zip(&packed[..half]), &group[half..]);
        for ((re, c_re), (im, c_im)) in re.zip(im.iter().zip(&packed[half..])) {
            add([re, im], [c_re, c_im]);
        }
    } else {
        for (row, candidates) in group.iter().zip(packed) {
            add([row, row], [candidates, candidates]);
        }
    }
    sums
}

/// Where the weights of some rows lie in a block.
pub(super) trait Places: Copy {
    /// From one row of a group to the next.
    const ROW: usize;
    /// From one of the rows that pull to the next.
    const STEP: usize;

    /// Of a row that starts a group, the place of its first weight.
    fn base(self, row: usize) -> usize;

    /// The rows that pull, in stretches: how many one holds, and from one to the next.
    fn stretch(self) -> (usize, usize);

    /// Floats of a block for so many rows and so many that pull.
    fn block(self, rows: usize, others: usize) -> usize;
}

/// Queries are pulled; the panels have this many floats.
#[derive(Clone, Copy)]
pub(super) struct Rows(pub(super) usize);

impl Places for Rows {
    const ROW: usize = PANEL;
    const STEP: usize = 1;

    #[inline(always)]
    fn base(self, row: usize) -> usize {
        row * PANEL
    }

    #[inline(always)]
    fn stretch(self) -> (usize, usize) {
        (PANEL, self.0)
    }

    fn block(self, rows: usize, others: usize) -> usize {
        assert_eq!(panel_len(rows), self.0, "panels of {rows} queries");
        block_len(rows, others)
    }
}

/// Candidates are pulled; the panels have this many floats.
#[derive(Clone, Copy)]
pub(super) struct Sides(pub(super) usize);

impl Places for Sides {
    const ROW: usize = 1;
    const STEP: usize = PANEL;

    #[inline(always)]
    fn base(self, row: usize) -> usize {
        row / PANEL * self.0 + row % PANEL
    }

    #[inline(always)]
    fn stretch(self) -> (usize, usize) {
        (self.0 / PANEL, 0)
    }

    fn block(self, rows: usize, others: usize) -> usize {
        assert_eq!(panel_len(others), self.0, "panels of {others} queries");
        block_len(others, rows)
    }
}

/// What all `others` do to each of `rows`, added to `pulled`.
pub(super) struct Pull<'a, T, P> {
    pub(super) terms: PhantomData<T>,
    pub(super) places: P,
    pub(super) weights: &'a [f32],
    pub(super) rows: &'a [f32],
    pub(super) others: &'a Columns,
    pub(super) pulled: &'a mut [f32],
}

impl<T: Terms, P: Places> WithSimd for Pull<'_, T, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        T::pull_all(simd, self);
    }
}

impl<T: Terms, P: Places> Pull<'_, T, P> {
    /// In groups of `R` rows and `V` vectors.
    #[inline(always)]
    pub(super) fn walk<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        const { assert!(PANEL.is_multiple_of(R) && GROUP.is_multiple_of(R)) };
        let Self { terms: PhantomData, places, weights, rows, others, pulled } = self;
        let (width, side) = (others.width(), S::F32_LANES * VECTORS);
        let count = rows.len() / width;
        assert_eq!(rows.len(), count * width, "rows are [m, {width}]");
        assert_eq!(rows.len(), pulled.len(), "a gradient has its rows' shape");
        assert_eq!(weights.len(), places.block(count, others.count()), "a weight a pair");
        assert_eq!(others.parts(), if T::HALVES { 2 } else { 1 }, "columns for this similarity");
        if others.count() == 0 {
            return;
        }
        let part = width / others.parts();
        let half = if T::HALVES { part } else { 0 };
        let floats = others.count() * side;
        let panels = part.div_ceil(side);
        let panel = |index: usize| {
            let vectors = S::as_simd_f32s(&others.data()[index * floats..][..floats]).0;
            vectors.as_chunks::<VECTORS>().0
        };
        for index in 0..panels {
            let pair = [panel(index), panel(if T::HALVES { panels + index } else { index })];
            for vector in (0..VECTORS).step_by(V) {
                let column = index * side + vector * S::F32_LANES;
                let length = (V * S::F32_LANES).min(part.saturating_sub(column));
                if length == 0 {
                    continue;
                }
                for first in (0..count).step_by(R) {
                    let live = R.min(count - first);
                    let at = |i: usize, half: usize| (first + i) * width + half + column;
                    for i in 0..live {
                        prefetch(&pulled[at(i, 0)]);
                    }
                    // Whole, not row by row as they come: arrays that are filled in a loop of
                    // unknown length stay in memory.
                    let own: [[Halves<S::f32s>; V]; R] = from_fn(|i| {
                        if !T::OWN {
                            return [[simd.splat_f32s(0.0); 2]; V];
                        }
                        let row = i.min(live - 1);
                        let first = load::<S, V>(simd, &rows[at(row, 0)..][..length]);
                        let second = load::<S, V>(simd, &rows[at(row, half)..][..length]);
                        from_fn(|v| [first[v], second[v]])
                    });
                    let sums = pull_group::<S, T, P, R, V>(
                        simd, places, weights, first, own, pair, vector,
                    );
                    for (i, sums) in sums.iter().enumerate().take(live) {
                        let part = |which: usize| from_fn(|v| T::pulled(simd, sums[v][which]));
                        add::<S, V>(simd, &mut pulled[at(i, 0)..][..length], part(0));
                        if T::HALVES {
                            add::<S, V>(simd, &mut pulled[at(i, half)..][..length], part(1));
                        }
                    }
                }
            }
        }
    }
}

/// Sums of what the other rows, one pair of vectors of each, do to the group that starts at
/// `first`.
#[inline(always)]
fn pull_group<S: Simd, T: Terms, P: Places, const R: usize, const V: usize>(
    simd: S,
    places: P,
    weights: &[f32],
    first: usize,
    own: [[Halves<S::f32s>; V]; R],
    others: [&[[S::f32s; VECTORS]]; 2],
    vector: usize,
) -> [[Halves<S::f32s>; V]; R] {
    let (stretch, next) = places.stretch();
    let mut sums = [[[simd.splat_f32s(0.0); 2]; V]; R];
    let mut base = places.base(first);
    for (firsts, seconds) in others[0].chunks(stretch).zip(others[1].chunks(stretch)) {
        // The group's weights by each of these rows, and no more.
        let span = (firsts.len() - 1) * P::STEP + (R - 1) * P::ROW + 1;
        let mut weight = weights[base..][..span].as_ptr();
        for (first, second) in firsts.iter().zip(seconds) {
            for (i, (own, sums)) in own.iter().zip(&mut sums).enumerate() {
                // SAFETY: the last of them is the last of the span that was cut out above.
                let weight = simd.splat_f32s(unsafe { *weight.add(i * P::ROW) });
                for (v, (sum, &own)) in sums.iter_mut().zip(own).enumerate() {
                    let other = [first[vector + v], second[vector + v]];
                    *sum = T::pull(simd, weight, own, other, *sum);
                }
            }
            weight = weight.wrapping_add(P::STEP);
        }
        base += next;
    }
    sums
}

/// Asks for the cache line of a float that is wanted after the next loop.
#[inline(always)]
fn prefetch(float: &f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(float).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = float;
}

/// `V` vectors from as many floats or fewer, filled up with zeros.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, row: &[f32]) -> [S::f32s; V] {
    let (whole, rest) = S::as_simd_f32s(row);
    from_fn(|v| match whole.get(v) {
        Some(&vector) => vector,
        None if v == whole.len() => simd.partial_load_f32s(rest),
        None => simd.splat_f32s(0.0),
    })
}

/// Adds `V` vectors to as many floats or fewer.
#[inline(always)]
fn add<S: Simd, const V: usize>(simd: S, row: &mut [f32], vectors: [S::f32s; V]) {
    let (whole, rest) = S::as_mut_simd_f32s(row);
    let count = whole.len();
    for (out, vector) in whole.iter_mut().zip(vectors) {
        *out = simd.add_f32s(*out, vector);
    }
    if let Some(&vector) = vectors.get(count)
        && !rest.is_empty()
    {
        let sum = simd.add_f32s(simd.partial_load_f32s(rest), vector);
        simd.partial_store_f32s(rest, sum);
    }
}
