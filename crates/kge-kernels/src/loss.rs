//! The losses of a positive against sampled negatives, and their derivatives by the scores.

use crate::{
    math::{exp_negative, ln},
    row::{LANES, tree},
    simd::vectorise,
};

/// A loss of one query. Scores of minus infinity do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampledLoss {
    /// Cross-entropy of the softmax over the positive and its negatives.
    Softmax,
    /// `max(0, margin - positive + negative)`, averaged over the negatives (Bordes et al. 2013).
    Margin {
        /// The margin.
        margin: f32,
    },
    /// `softplus(-(margin + positive)) + sum_j w_j softplus(margin + negative_j)` with
    /// `w = softmax(temperature * negatives)`, through which no gradient flows (Sun et al. 2019).
    /// At temperature 0 every negative weighs the same.
    SelfAdversarial {
        /// The margin.
        margin: f32,
        /// How much the hard negatives count.
        temperature: f32,
    },
}

impl SampledLoss {
    /// The loss; its derivatives by the negatives' scores replace those, and the one by the
    /// positive's score is returned beside it.
    pub fn derive(self, positive: f32, negatives: &mut [f32]) -> (f64, f32) {
        match self {
            Self::Softmax => softmax(positive, negatives),
            Self::Margin { margin } => ranking(margin, positive, negatives),
            Self::SelfAdversarial { margin, temperature } => {
                self_adversarial(margin, temperature, positive, negatives)
            }
        }
    }
}

fn softmax(positive: f32, negatives: &mut [f32]) -> (f64, f32) {
    let (maximum, sum) = vectorise(
        #[inline(always)]
        || {
            let maximum = highest(negatives, positive);
            let mut lanes = [0.0; LANES];
            for chunk in negatives.chunks_mut(LANES) {
                for (score, lane) in chunk.iter_mut().zip(&mut lanes) {
                    *score = exp_negative(*score - maximum);
                    *lane += *score;
                }
            }
            (maximum, tree(lanes))
        },
    );
    let own = exp_negative(positive - maximum);
    let normaliser = f64::from(sum) + f64::from(own);
    scale(negatives, (1.0 / normaliser) as f32);
    let loss = f64::from(maximum) + ln(normaliser) - f64::from(positive);
    (loss, (f64::from(own) / normaliser - 1.0) as f32)
}

/// The highest of the scores and `least`.
#[inline(always)]
fn highest(scores: &[f32], least: f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = scores.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = if score > *lane { score } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(least, f32::max)
}

fn scale(scores: &mut [f32], factor: f32) {
    vectorise(
        #[inline(always)]
        || scores.iter_mut().for_each(|score| *score *= factor),
    );
}

fn ranking(margin: f32, positive: f32, negatives: &mut [f32]) -> (f64, f32) {
    let each = 1.0 / negatives.len() as f32;
    let (loss, violations) = vectorise(
        #[inline(always)]
        || {
            let (mut losses, mut violations) = ([0.0; LANES], [0.0; LANES]);
            for chunk in negatives.chunks_mut(LANES) {
                let lanes = losses.iter_mut().zip(&mut violations);
                for (score, (loss, count)) in chunk.iter_mut().zip(lanes) {
                    let violation = margin - positive + *score;
                    let counts = if violation > 0.0 { 1.0 } else { 0.0 };
                    *loss += if violation > 0.0 { violation } else { 0.0 };
                    *count += counts;
                    *score = each * counts;
                }
            }
            (tree(losses), tree(violations))
        },
    );
    (f64::from(each) * f64::from(loss), -each * violations)
}

fn self_adversarial(
    margin: f32,
    temperature: f32,
    positive: f32,
    negatives: &mut [f32],
) -> (f64, f32) {
    let (losses, normaliser) = vectorise(
        #[inline(always)]
        || {
            let most = highest(negatives, f32::NEG_INFINITY) * temperature;
            let most = if most.is_finite() { most } else { 0.0 };
            let (mut losses, mut sums) = ([0.0; LANES], [0.0; LANES]);
            for chunk in negatives.chunks_mut(LANES) {
                let lanes = losses.iter_mut().zip(&mut sums);
                for (score, (loss, sum)) in chunk.iter_mut().zip(lanes) {
                    let counts = *score > f32::NEG_INFINITY;
                    let s = if counts { *score } else { 0.0 };
                    let weight = exp_negative(temperature * s - most);
                    let weight = if counts { weight } else { 0.0 };
                    let (value, slope) = softplus(margin + s);
                    *sum += weight;
                    *loss += weight * value;
                    *score = weight * slope;
                }
            }
            (tree(losses), tree(sums))
        },
    );
    let share = if normaliser > 0.0 { 1.0 / normaliser } else { 0.0 };
    scale(negatives, share);
    let (value, slope) = softplus(-(margin + positive));
    (f64::from(value) + f64::from(losses) * f64::from(share), -slope)
}

/// `ln(1 + e^x)`, within 4e-7 of its size, and its derivative.
#[inline(always)]
fn softplus(x: f32) -> (f32, f32) {
    let small = exp_negative(-x.abs());
    let slope = if x > 0.0 { 1.0 } else { small } / (1.0 + small);
    let positive = if x > 0.0 { x } else { 0.0 };
    (positive + ln_1p(small), slope)
}

/// `ln(1 + x)` for `x` between 0 and 1: `2 artanh(x / (2 + x))`, whose argument is at most a third.
#[inline(always)]
fn ln_1p(x: f32) -> f32 {
    let t = x / (2.0 + x);
    let square = t * t;
    let mut series = 1.0 / 13.0_f32;
    for odd in [11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series.mul_add(square, 1.0 / odd);
    }
    2.0 * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [SampledLoss; 3] = [
        SampledLoss::Softmax,
        SampledLoss::Margin { margin: 0.8 },
        SampledLoss::SelfAdversarial { margin: 0.8, temperature: 0.0 },
    ];

    #[test]
    fn derivatives_match_differences_and_masked_negatives_do_not_count() {
        let scores: Vec<f32> = (0..37)
            .map(|i| if i == 2 { f32::NEG_INFINITY } else { (i * 7 % 11) as f32 * 0.31 - 1.5 })
            .collect();
        for loss in LOSSES {
            let value =
                |positive: f32, scores: &[f32]| loss.derive(positive, &mut scores.to_vec()).0;
            let mut d_scores = scores.clone();
            let (_, d_positive) = loss.derive(0.4, &mut d_scores);
            let step = 1e-2;
            let span = f64::from(2.0 * step);
            let expected = (value(0.4 + step, &scores) - value(0.4 - step, &scores)) / span;
            assert!((f64::from(d_positive) - expected).abs() < 1e-3, "{loss:?}");
            for index in (0..scores.len()).filter(|&index| index != 2) {
                let moved = |by: f32| {
                    let mut scores = scores.clone();
                    scores[index] += by;
                    value(0.4, &scores)
                };
                let expected = (moved(step) - moved(-step)) / span;
                let found = f64::from(d_scores[index]);
                assert!((found - expected).abs() < 1e-3, "{loss:?} {index} {found} {expected}");
            }
            assert_eq!(d_scores[2], 0.0);
        }
    }

    #[test]
    fn hard_negatives_weigh_more_when_it_is_hot() {
        let loss = SampledLoss::SelfAdversarial { margin: 1.0, temperature: 2.0 };
        let (mut scores, easy, hard) = ([-3.0, 1.0], -3.0_f64, 1.0_f64);
        let (value, _) = loss.derive(0.5, &mut scores);
        let weights = [(2.0 * easy).exp(), (2.0 * hard).exp()];
        let total = weights[0] + weights[1];
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = softplus(-1.5)
            + (weights[0] * softplus(1.0 + easy) + weights[1] * softplus(1.0 + hard)) / total;
        assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        let slope = 1.0 / (1.0 + (-(1.0 + hard)).exp());
        assert!((f64::from(scores[1]) - weights[1] / total * slope).abs() < 1e-6);
        // No negative that counts, and scores that would overflow.
        assert!(loss.derive(0.5, &mut [f32::NEG_INFINITY]).0.is_finite());
        assert!(loss.derive(-1e4, &mut [1e4, -1e4]).0.is_finite());
    }

    #[test]
    fn softplus_matches() {
        for step in -4000..4000 {
            let x = step as f32 * 0.01;
            let exact = if x > 30.0 { f64::from(x) } else { f64::from(x).exp().ln_1p() };
            assert!((f64::from(softplus(x).0) - exact).abs() <= 4e-7 * exact, "{x}");
        }
    }
}
