//! The step against shared negatives: some queries, their targets, and candidates they share.

mod blocks;
mod panels;
#[cfg(test)]
mod tests;
mod tiled;

use crate::{
    Precision, Similarity,
    loss::SampledLoss,
    precision::{ByPrecision, each},
    simd::vectorise,
    tile::{
        Bf16, F32,
        amx::{Once, Thrice},
    },
};
use blocks::Blocks;
use panels::Panels;
use tiled::Tiled;

/// What a chunk of queries is trained against: rows are `[rows, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `[queries, width]`.
    pub queries: &'a [f32],
    /// `[queries, width]`, the row of each query's own target.
    pub targets: &'a [f32],
    /// `[negatives, width]`.
    pub negatives: &'a [f32],
    /// Floats in a row.
    pub width: usize,
    /// What is added to each target's score: `[queries]`, or none at all.
    pub target_biases: &'a [f32],
    /// What is added to each negative's scores: `[negatives]`, or none at all.
    pub negative_biases: &'a [f32],
    /// `(query, negative)` pairs that do not count, sorted: the negative is the query's target.
    pub hits: &'a [(u32, u32)],
    /// Every query's share of the loss.
    pub weight: f32,
}

/// The gradients of a chunk.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[queries, width]`.
    pub queries: &'a mut [f32],
    /// `[queries, width]`.
    pub targets: &'a mut [f32],
    /// `[negatives, width]`.
    pub negatives: &'a mut [f32],
    /// As long as the targets' biases.
    pub target_biases: &'a mut [f32],
    /// As long as the negatives' biases.
    pub negative_biases: &'a mut [f32],
}

/// A step of one precision, with its buffers kept from step to step.
#[derive(Debug)]
pub struct NegativesStep(Steps);

type Steps =
    ByPrecision<Step<Panels<F32>>, Step<Panels<Bf16>>, Step<Tiled<Once>>, Step<Tiled<Thrice>>>;

impl NegativesStep {
    /// A step whose products take their factors in this precision.
    pub fn new(precision: Precision) -> Self {
        Self(Steps::new(precision))
    }

    /// Writes the loss's gradients and returns the summed loss of the queries, unweighted. The
    /// targets are compared and pulled in `f32`.
    ///
    /// # Panics
    /// If a length does not fit, or the similarity is not [`Dot`] but the precision is not
    /// [`F32`](Precision::F32).
    ///
    /// [`Dot`]: Similarity::Dot
    pub fn run(
        &mut self,
        similarity: Similarity,
        loss: SampledLoss,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        each!(&mut self.0, step => step.run(similarity, loss, problem, gradients))
    }
}

#[derive(Debug, Default)]
struct Step<B> {
    blocks: B,
    scores: Vec<f32>,
}

impl<B: Blocks> Step<B> {
    fn run(
        &mut self,
        similarity: Similarity,
        loss: SampledLoss,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        let Problem { queries, targets, negatives, width, hits, weight, .. } = *problem;
        let (target_biases, negative_biases) = (problem.target_biases, problem.negative_biases);
        assert_eq!(queries.len(), targets.len(), "a target a query");
        assert!(
            target_biases.is_empty() || target_biases.len() * width == targets.len(),
            "a bias a target, or none"
        );
        for (rows, d_rows) in [
            (queries, &gradients.queries),
            (targets, &gradients.targets),
            (negatives, &gradients.negatives),
            (target_biases, &gradients.target_biases),
            (negative_biases, &gradients.negative_biases),
        ] {
            assert_eq!(rows.len(), d_rows.len(), "a gradient has its rows' shape");
        }
        gradients.queries.fill(0.0);
        gradients.targets.fill(0.0);
        gradients.negatives.fill(0.0);
        gradients.negative_biases.fill(0.0);
        self.blocks.pack_negatives(similarity, negatives, width, negative_biases);
        self.scores.resize(negatives.len() / width, 0.0);
        let (mut sum, mut hits) = (0.0, hits);
        let blocks = queries.chunks(B::ROWS * width).zip(targets.chunks(B::ROWS * width));
        for (block, (queries, targets)) in blocks.enumerate() {
            let first = block * B::ROWS;
            let rows = first * width..first * width + queries.len();
            let d_queries = &mut gradients.queries[rows.clone()];
            let d_targets = &mut gradients.targets[rows];
            self.blocks.score(similarity, queries, width);
            let pairs = queries.chunks_exact(width).zip(targets.chunks_exact(width));
            let d_pairs = d_queries.chunks_exact_mut(width).zip(d_targets.chunks_exact_mut(width));
            for (own, ((query, target), (d_query, d_target))) in pairs.zip(d_pairs).enumerate() {
                let scores = &mut self.scores[..];
                self.blocks.read(own, scores);
                while let Some((&(hit, negative), later)) = hits.split_first()
                    && hit as usize == first + own
                {
                    scores[negative as usize] = f32::NEG_INFINITY;
                    hits = later;
                }
                let bias = target_biases.get(first + own).copied().unwrap_or(0.0);
                let positive = similarity.score(query, target) + bias;
                let (value, d_positive) = loss.derive(positive, scores);
                sum += value;
                vectorise(
                    #[inline(always)]
                    || scores.iter_mut().for_each(|d| *d *= weight),
                );
                self.blocks.write(own, scores);
                let d_positive = d_positive * weight;
                if let Some(d_bias) = gradients.target_biases.get_mut(first + own) {
                    *d_bias = d_positive;
                }
                similarity.pull(d_positive, query, target, d_query);
                similarity.pull(d_positive, target, query, d_target);
            }
            if !negative_biases.is_empty() {
                self.blocks.add_sums(gradients.negative_biases);
            }
            let candidates = (negatives, &mut *gradients.negatives);
            self.blocks.pull(similarity, (queries, d_queries), candidates);
        }
        sum
    }
}
