//! A published model, in memory and ready to be asked.

use std::sync::{Arc, OnceLock};

use kge_graph::{Answers, EntityId, Graph};
use kge_kernels::row;
use kge_model::{Embeddings, ModelRecord, ScoringModel};

use crate::{Error, Result};

/// A model's rows, names and scoring model.
pub struct ServedModel {
    /// What `model.json` says.
    pub record: ModelRecord,
    /// The revision it was trained on.
    pub graph: Arc<Graph>,
    /// Its rows.
    pub embeddings: Embeddings,
    pub(crate) model: Box<dyn ScoringModel>,
    /// Each entity row's Euclidean length.
    pub(crate) lengths: Vec<f32>,
    answers: OnceLock<Answers>,
}

impl ServedModel {
    /// Joins the parts of a model.
    ///
    /// # Errors
    /// If the rows do not belong to the graph.
    pub fn new(
        record: ModelRecord,
        graph: Arc<Graph>,
        embeddings: Embeddings,
        model: Box<dyn ScoringModel>,
    ) -> Result<Self> {
        let relations = graph.relations().len();
        let relation_rows = if record.reciprocal { 2 * relations } else { relations };
        for (what, expected, found) in [
            ("entity", graph.entities().len(), embeddings.entity_count()),
            ("relation", relation_rows, embeddings.relation_rows()),
        ] {
            if expected != found {
                return Err(Error::OtherGraph { model: record.id, what, expected, found });
            }
        }
        let mut lengths = vec![0.0; embeddings.entity_count()];
        row::lengths(&embeddings.entities, embeddings.entity_width, &mut lengths);
        Ok(Self { record, graph, embeddings, model, lengths, answers: OnceLock::new() })
    }

    /// The name of an entity.
    pub fn entity_name(&self, entity: EntityId) -> &str {
        self.graph.entities().name(entity.0)
    }

    /// Known answers, gathered when first asked for.
    pub(crate) fn answers(&self) -> &Answers {
        self.answers.get_or_init(|| Answers::of(&self.graph))
    }
}
