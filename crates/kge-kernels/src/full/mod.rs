//! The step against all candidates: every candidate is scored, and both gradients come back.
//!
//! [`softmax`](FullStep::softmax) needs two passes, since its normaliser is known last;
//! [`binary`](FullStep::binary) cross-entropy needs one.

mod binary;
mod blocks;
mod distances;
mod hits;
mod paired;
mod panels;
mod softmax;
mod step;
#[cfg(test)]
mod tests;
mod tiled;

use crate::{
    Pool, Precision, Similarity,
    precision::{ByPrecision, each},
    tile::amx::{Once, Thrice},
};
use paired::Paired;
use panels::Panels;
use step::Step;
use tiled::Tiled;

/// One step's problem: rows are `[rows, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `[queries, width]`.
    pub queries: &'a [f32],
    /// `[candidates, width]`.
    pub candidates: &'a [f32],
    /// Floats in a row.
    pub width: usize,
    /// What is added to each candidate's scores: one a candidate, or none at all.
    pub biases: &'a [f32],
    /// The candidates that each query should find.
    pub labels: Labels<'a>,
    /// The share of a label's weight that is spread over all candidates: 0 gives none
    /// (Szegedy et al. 2016, label smoothing).
    pub smoothing: f32,
    /// Every query's share of the loss; 1 / queries gives the mean.
    pub weight: f32,
}

impl Problem<'_> {
    /// What smoothing takes from each weight of a softmax.
    fn spread(&self) -> f32 {
        self.smoothing * self.weight / (self.candidates.len() / self.width) as f32
    }

    /// What each label of a query adds to its weight in a softmax.
    fn hit_weight(&self, query: usize) -> f32 {
        -self.weight * (1.0 - self.smoothing) / self.labels.of(query).len() as f32
    }
}

/// Lists of candidates, one a query: those of query `i` are `ids[starts[i]..starts[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// `[queries + 1]`, rising from 0.
    pub starts: &'a [u32],
    /// Candidates; each once in a list.
    pub ids: &'a [u32],
}

impl<'a> Labels<'a> {
    /// Lists.
    pub fn queries(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The labels of one query.
    pub fn of(&self, query: usize) -> &'a [u32] {
        &self.ids[self.starts[query] as usize..self.starts[query + 1] as usize]
    }
}

/// Where a step writes its gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[queries, width]`.
    pub queries: &'a mut [f32],
    /// `[candidates, width]`.
    pub candidates: &'a mut [f32],
    /// As long as the biases.
    pub biases: &'a mut [f32],
}

/// A step of one precision, with its buffers kept from step to step.
#[derive(Debug)]
pub struct FullStep(Steps);

type Steps = ByPrecision<Step<Panels>, Step<Paired>, Step<Tiled<Once>>, Step<Tiled<Thrice>>>;

impl Default for FullStep {
    fn default() -> Self {
        Self::new(Precision::F32)
    }
}

impl FullStep {
    /// A step whose products take their factors in this precision.
    pub fn new(precision: Precision) -> Self {
        Self(Steps::new(precision))
    }

    /// The cross-entropy of the softmax over the candidates against the mean of a query's labels.
    /// Writes the loss's gradients and returns the loss.
    ///
    /// # Panics
    /// If a length does not fit, a label is no candidate, or the similarity is not [`Dot`] but
    /// the precision is not [`F32`](Precision::F32).
    ///
    /// [`Dot`]: Similarity::Dot
    pub fn softmax(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        let keep = softmax::KEPT_BYTES;
        if similarity == Similarity::Dot {
            return each!(&mut self.0, step => step.softmax(keep, pool, problem, gradients));
        }
        match &mut self.0 {
            Steps::F32(step) => {
                step.softmax_of_distances(keep, pool, similarity, problem, gradients)
            }
            _ => panic!("bf16 is for dot products"),
        }
    }

    /// `sum_j softplus(s_j) - y_j s_j`, where `y` is 1 at a query's labels and 0 elsewhere, then
    /// smoothed. Writes the loss's gradients and returns the loss.
    ///
    /// # Panics
    /// As for [`softmax`](Self::softmax).
    pub fn binary(
        &mut self,
        pool: &Pool,
        similarity: Similarity,
        problem: &Problem<'_>,
        gradients: Gradients<'_>,
    ) -> f64 {
        each!(&mut self.0, step => step.binary(pool, similarity, problem, gradients))
    }
}
