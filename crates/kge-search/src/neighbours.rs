//! What is like this? The exact scan, by angular distance.

use kge_graph::EntityId;
use kge_kernels::{rank::top_k, row};

use crate::{Error, Result, ServedModel};

/// An entity near a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The entity.
    pub entity: EntityId,
    /// `sqrt(2 - 2 cos)`, from 0 to 2.
    pub distance: f32,
}

impl ServedModel {
    /// The `k` entities nearest to a vector, nearest first; an entity's own row finds itself.
    ///
    /// # Errors
    /// If the vector's width is not the model's.
    pub fn similar(&self, vector: &[f32], k: usize) -> Result<Vec<Neighbour>> {
        let expected = self.embeddings.entity_width;
        if vector.len() != expected {
            return Err(Error::Width { expected, found: vector.len() });
        }
        let mut dots = vec![0.0; self.lengths.len()];
        row::dots(vector, &self.embeddings.entities, &mut dots);
        let length = row::length(vector);
        let cosines = (0..)
            .zip(dots)
            .zip(&self.lengths)
            .map(|((entity, dot), &other)| (entity, cosine(dot, length, other)));
        let neighbour =
            |candidate, score| Neighbour { entity: EntityId(candidate), distance: angular(score) };
        Ok(top_k(cosines, k)
            .into_iter()
            .map(|best| neighbour(best.candidate, best.score))
            .collect())
    }

    /// The distance between two entities.
    pub fn distance(&self, a: EntityId, b: EntityId) -> f32 {
        if a == b {
            return 0.0;
        }
        let dot = row::dot(self.embeddings.entity(a.0), self.embeddings.entity(b.0));
        angular(cosine(dot, self.lengths[a.index()], self.lengths[b.index()]))
    }
}

/// 0 for a row of zeros, which points nowhere.
fn cosine(dot: f32, a: f32, b: f32) -> f32 {
    let lengths = a * b;
    if lengths > 0.0 { (dot / lengths).clamp(-1.0, 1.0) } else { 0.0 }
}

fn angular(cosine: f32) -> f32 {
    (2.0 - 2.0 * cosine).max(0.0).sqrt()
}
