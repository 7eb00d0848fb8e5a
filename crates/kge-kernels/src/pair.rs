//! One query row and one candidate row: their score, and how one pulls the other.
//!
//! Sixteen fixed lanes, added as a tree; square roots are the correctly rounded ones. Where many
//! queries meet many candidates, [`tile`](crate::tile) is many times faster.

use crate::{
    Similarity,
    row::{self, LANES, fold, tree},
    simd::vectorise,
};

impl Similarity {
    /// The score of one pair of rows.
    ///
    /// # Panics
    /// If the rows differ in length, or it is odd for `Modulus`.
    pub fn score(self, query: &[f32], candidate: &[f32]) -> f32 {
        let mut out = [0.0];
        self.scores(query, candidate, &mut out);
        out[0]
    }

    /// The scores of one query against a few candidates, `[out.len(), width]`, or against many
    /// that are read only once.
    ///
    /// # Panics
    /// If a length does not fit, or the width is odd for `Modulus`.
    pub fn scores(self, query: &[f32], candidates: &[f32], out: &mut [f32]) {
        let width = query.len();
        assert_eq!(candidates.len(), width * out.len(), "candidates are [{}, {width}]", out.len());
        assert!(
            self != Self::Modulus || width.is_multiple_of(2),
            "complex rows have an even width"
        );
        if width == 0 {
            out.fill(0.0);
            return;
        }
        // The similarity is chosen outside the loop over candidates.
        macro_rules! each {
            ($score:expr) => {
                vectorise(
                    #[inline(always)]
                    || {
                        for (candidate, out) in candidates.chunks_exact(width).zip(&mut *out) {
                            *out = $score(query, candidate);
                        }
                    },
                )
            };
        }
        match self {
            Self::Dot => each!(dot),
            Self::L1 => each!(l1),
            Self::L2 => each!(l2),
            Self::SquaredL2 => each!(squared_l2),
            Self::Modulus => each!(modulus),
        }
    }

    /// Adds `weight * d score / d own` to `pulled`.
    ///
    /// # Panics
    /// If the rows differ in length.
    pub fn pull(self, weight: f32, own: &[f32], other: &[f32], pulled: &mut [f32]) {
        assert!(own.len() == other.len() && own.len() == pulled.len(), "rows of one length");
        let towards = match self {
            Self::L2 => {
                let distance = -self.score(own, other);
                if distance > 0.0 { weight / distance } else { 0.0 }
            }
            Self::SquaredL2 => 2.0 * weight,
            Self::Dot | Self::L1 | Self::Modulus => weight,
        };
        vectorise(
            #[inline(always)]
            || match self {
                Self::Dot => row::add_scaled(pulled, towards, other),
                Self::L1 => {
                    for ((d, &a), &b) in pulled.iter_mut().zip(own).zip(other) {
                        *d += towards * (f32::from(u8::from(a < b)) - f32::from(u8::from(a > b)));
                    }
                }
                Self::L2 | Self::SquaredL2 => {
                    for ((d, &a), &b) in pulled.iter_mut().zip(own).zip(other) {
                        *d = towards.mul_add(b - a, *d);
                    }
                }
                Self::Modulus => {
                    let half = own.len() / 2;
                    for i in 0..half {
                        let (re, im) = (other[i] - own[i], other[half + i] - own[half + i]);
                        let length = re.mul_add(re, im * im).sqrt();
                        let pull = if length > 0.0 { towards / length } else { 0.0 };
                        pulled[i] += pull * re;
                        pulled[half + i] += pull * im;
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn dot(q: &[f32], c: &[f32]) -> f32 {
    fold(q, c, |q, c, sum| q.mul_add(c, sum))
}

#[inline(always)]
fn l1(q: &[f32], c: &[f32]) -> f32 {
    -fold(q, c, |q, c, sum| sum + (q - c).abs())
}

#[inline(always)]
fn squared_l2(q: &[f32], c: &[f32]) -> f32 {
    -fold(q, c, |q, c, sum| (q - c).mul_add(q - c, sum))
}

#[inline(always)]
fn l2(q: &[f32], c: &[f32]) -> f32 {
    -(-squared_l2(q, c)).sqrt()
}

#[inline(always)]
fn modulus(q: &[f32], c: &[f32]) -> f32 {
    let half = q.len() / 2;
    let ((q_re, q_im), (c_re, c_im)) = (q.split_at(half), c.split_at(half));
    let length = |i: usize| {
        let (re, im) = (q_re[i] - c_re[i], q_im[i] - c_im[i]);
        re.mul_add(re, im * im).sqrt()
    };
    let mut lanes = [0.0; LANES];
    let whole = half / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += length(start + lane);
        }
    }
    for i in whole..half {
        lanes[i - whole] += length(i);
    }
    -tree(lanes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::similarity::plain;

    proptest! {
        #[test]
        fn scores_and_pulls_match_plain_loops(n in 0..9_usize, half in 1..50_usize) {
            let width = 2 * half;
            let (q, c) = (plain::matrix(1, width, 1), plain::matrix(n, width, 2));
            for similarity in plain::ALL {
                let mut out = vec![f32::NAN; n];
                similarity.scores(&q, &c, &mut out);
                for (c, &found) in c.chunks(width).zip(&out) {
                    prop_assert!((f64::from(found) - plain::score(similarity, &q, c)).abs() < 1e-4);
                    let mut pulled = vec![0.5; width];
                    similarity.pull(-0.75, &q, c, &mut pulled);
                    for (found, g) in pulled.iter().zip(plain::gradient(similarity, &q, c)) {
                        prop_assert!((f64::from(*found) - (0.5 - 0.75 * g)).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn coinciding_rows_have_score_zero_and_no_pull() {
        let row = [0.5, -1.0, 2.0, 0.25];
        for similarity in &plain::ALL[1..] {
            let mut pulled = [0.0; 4];
            similarity.pull(1.0, &row, &row, &mut pulled);
            assert_eq!((similarity.score(&row, &row).abs(), pulled), (0.0, [0.0; 4]));
        }
    }
}
