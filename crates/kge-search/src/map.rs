//! Where do entities lie to each other? Their rows along the principal axes, for a map.

use kge_graph::EntityId;
use kge_kernels::principal::{Principal, principal};

use crate::{Error, Result, ServedModel};

impl ServedModel {
    /// The entities' rows along the `axes` directions in which they differ most. Rows count by
    /// direction, as in [`similar`](Self::similar): each is scaled to length 1 first.
    ///
    /// # Errors
    /// If a row holds a number that is not finite.
    pub fn principal(&self, entities: &[EntityId], axes: usize) -> Result<Principal> {
        let width = self.embeddings.entity_width;
        let mut rows = Vec::with_capacity(entities.len() * width);
        for entity in entities {
            let length = self.lengths[entity.index()];
            let scale = if length > 0.0 { length.recip() } else { 0.0 };
            rows.extend(self.embeddings.entity(entity.0).iter().map(|value| value * scale));
        }
        principal(&rows, width, axes).ok_or(Error::NotFinite { model: self.record.id })
    }
}
