//! Models in memory, ready to answer.
//!
//! A model is built once from its parts, however many requests wait for it, and the ones used
//! least recently are let go. Which model answers for a dataset stands in its manifest, which
//! is read again at most once a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kge_catalog::{Catalog, Dataset, DatasetId, ModelId};
use kge_model::Embeddings;
use kge_plugin::Host;
use kge_search::ServedModel;
use tokio::sync::OnceCell;

use crate::http::{Problem, kind};

/// How long a manifest read may be trusted.
const FRESH: Duration = Duration::from_secs(1);

/// The models that answer.
pub(crate) struct ServedModels {
    catalog: Catalog,
    host: Arc<Host>,
    capacity: usize,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Most recently used last.
    models: Vec<(ModelId, Arc<OnceCell<Arc<ServedModel>>>)>,
    promoted: HashMap<DatasetId, (Instant, Dataset)>,
}

impl ServedModels {
    pub(crate) fn new(catalog: Catalog, host: Arc<Host>, capacity: usize) -> Self {
        Self { catalog, host, capacity: capacity.max(1), memory: Mutex::default() }
    }

    /// The promoted model of a dataset, and the dataset as it was read last.
    ///
    /// # Errors
    /// 404 without such a dataset, 409 before it has a model, 500 if the model cannot be loaded.
    pub(crate) async fn promoted(
        &self,
        id: DatasetId,
    ) -> Result<(Dataset, Arc<ServedModel>), Problem> {
        let held = self.memory().promoted.get(&id).cloned();
        let dataset = match held {
            Some((read, dataset)) if read.elapsed() < FRESH && dataset.promoted.is_some() => {
                dataset
            }
            _ => {
                let dataset = self.catalog.dataset(id).await;
                let mut memory = self.memory();
                match &dataset {
                    Ok(dataset) => {
                        let before = memory
                            .promoted
                            .insert(id, (Instant::now(), dataset.clone()))
                            .and_then(|(_, before)| before.promoted);
                        if before.is_some() && before != dataset.promoted {
                            memory.models.retain(|(model, _)| Some(*model) != before);
                        }
                    }
                    Err(_) => {
                        memory.promoted.remove(&id);
                    }
                }
                drop(memory);
                dataset?
            }
        };
        let Some(model) = dataset.promoted else {
            let words = format!(
                "dataset {id} has no model yet: start one with POST /datasets/{id}/train and wait \
                 for its task"
            );
            return Err(Problem::new(&kind::NOT_TRAINED, words));
        };
        Ok((dataset, self.model(model).await?))
    }

    /// Reads the manifest of a dataset anew for the next question.
    pub(crate) fn forget(&self, id: DatasetId) {
        self.memory().promoted.remove(&id);
    }

    async fn model(&self, id: ModelId) -> Result<Arc<ServedModel>, Problem> {
        let cell = {
            let mut memory = self.memory();
            let models = &mut memory.models;
            let cell = match models.iter().position(|(model, _)| *model == id) {
                Some(place) => models.remove(place).1,
                None => Arc::default(),
            };
            if models.len() >= self.capacity {
                models.remove(0);
            }
            models.push((id, Arc::clone(&cell)));
            cell
        };
        cell.get_or_try_init(|| self.load(id)).await.cloned()
    }

    async fn load(&self, id: ModelId) -> Result<Arc<ServedModel>, Problem> {
        let started = Instant::now();
        let record = self.catalog.model(id).await?;
        let (graph, rows, component) = tokio::try_join!(
            self.catalog.revision(&record.revision),
            self.catalog.model_part(id, "embeddings.safetensors"),
            self.catalog.plugin_bytes(&record.plugin.sha256),
        )?;
        let host = Arc::clone(&self.host);
        let served = blocking(move || {
            let failed = |error: &dyn std::fmt::Display| {
                let words = format!("model {id} could not be loaded: {error}");
                Problem::new(&kind::MODEL_FAILED, words)
            };
            let plugin = host.load(&component).map_err(|error| failed(&error))?;
            let model = plugin
                .configure(record.dim, &record.hyper_parameters)
                .map_err(|error| failed(&error))?;
            let embeddings =
                Embeddings::from_bytes(&record.layout, &rows).map_err(|error| failed(&error))?;
            ServedModel::new(record, graph, embeddings, Box::new(model))
                .map_err(|error| failed(&error))
        })
        .await??;
        tracing::info!(model = id.0, seconds = started.elapsed().as_secs_f64(), "model loaded");
        Ok(Arc::new(served))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs CPU-heavy work away from tokio's threads.
///
/// # Errors
/// 500 if it panics.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|error| Problem::internal(&error))
}
