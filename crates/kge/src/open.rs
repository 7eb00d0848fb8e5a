//! Opens what commands work on: store, queue, plugins, models.

use std::sync::Arc;

use kge_catalog::{Catalog, Dataset, ModelId, PluginRecord};
use kge_jobs::{JobStore, RedisJobs, SqliteJobs};
use kge_model::{Embeddings, ModelRecord};
use kge_plugin::{Compiler, Host, HostConfig};
use kge_search::ServedModel;
use kge_store::Store;

use crate::{commands::Failure, settings::Settings};

type Result<T, E = Failure> = std::result::Result<T, E>;

/// The catalogue of the data directory.
pub(crate) fn catalog(settings: &Settings) -> Result<Catalog> {
    Ok(Catalog::new(Store::open(&settings.data)?))
}

/// The queue. One that is reached over a network may be away for now, which its answers say.
pub(crate) fn jobs(settings: &Settings) -> Result<Arc<dyn JobStore>> {
    std::fs::create_dir_all(&settings.state)
        .map_err(|error| Failure::new(format!("{}: {error}", settings.state.display())))?;
    match settings.jobs.as_str() {
        "sqlite" => Ok(Arc::new(SqliteJobs::open(&settings.state.join("jobs.sqlite"))?)),
        address if address.contains("://") => {
            Ok(Arc::new(RedisJobs::open(address).map_err(Failure::usage)?))
        }
        other => Err(Failure::usage(format!(
            "jobs = \"{other}\": expected sqlite, or a Redis as redis://HOST, rediss://HOST or \
             redis+unix:///PATH"
        ))),
    }
}

/// Whether the queue can be used, before anything is promised: one that is away may come back,
/// one that refuses will not.
pub(crate) async fn check_jobs(jobs: &dyn JobStore) -> Result<()> {
    match jobs.ping().await {
        Err(error @ kge_jobs::Error::Unavailable { .. }) => {
            tracing::warn!(%error, "tasks have to wait");
            Ok(())
        }
        answer => Ok(answer?),
    }
}

/// The sandbox of plugins, compiled code kept in the state directory.
pub(crate) fn host(settings: &Settings) -> Result<Arc<Host>> {
    let cache = Some(settings.state.join("compiled-plugins"));
    Ok(Arc::new(Host::new(HostConfig { cache, compiler: compiler(), ..HostConfig::default() })?))
}

/// This program as a process of its own; none if nobody knows where it lies.
pub(crate) fn compiler() -> Option<Compiler> {
    let program = std::env::current_exe().ok()?;
    Some(Compiler { program, arguments: vec!["plugin".into(), "compile".into()] })
}

/// Brings every component of the plugins directory into the store, where tasks find it.
pub(crate) async fn enter_plugins(
    settings: &Settings,
    catalog: &Catalog,
    host: &Host,
) -> Result<Vec<PluginRecord>> {
    let mut records = Vec::new();
    if !settings.plugins.is_dir() {
        tracing::warn!(dir = %settings.plugins.display(), "no plugins directory; run `make plugins`");
        return Ok(records);
    }
    for file in kge_plugin::component_files(&settings.plugins)? {
        let bytes = std::fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        match host.load(&bytes) {
            Ok(plugin) => {
                let description = plugin.description().clone();
                records.push(catalog.add_plugin(bytes.into(), description).await?);
            }
            Err(error) => tracing::warn!(file = %file.display(), %error, "plugin is left out"),
        }
    }
    Ok(records)
}

/// A model by id, or the promoted one of a dataset.
pub(crate) async fn model_record(catalog: &Catalog, name: &str) -> Result<ModelRecord> {
    if let Ok(id) = name.parse() {
        return Ok(catalog.model(ModelId(id)).await?);
    }
    let dataset: Dataset = catalog.find_dataset(name).await?;
    let promoted = dataset.promoted.ok_or_else(|| {
        Failure::new(format!(
            "dataset \"{name}\" has no model yet; train one: kge train --dataset {name}"
        ))
    })?;
    Ok(catalog.model(promoted).await?)
}

/// A model with everything that answering needs.
pub(crate) async fn served_model(settings: &Settings, name: &str) -> Result<ServedModel> {
    let catalog = catalog(settings)?;
    let record = model_record(&catalog, name).await?;
    let graph = catalog.revision(&record.revision).await?;
    let bytes = catalog.model_part(ModelId(record.id), "embeddings.safetensors").await?;
    let embeddings = Embeddings::from_bytes(&record.layout, &bytes)?;
    let component = catalog.plugin_bytes(&record.plugin.sha256).await?;
    let model =
        host(settings)?.load(&component)?.configure(record.dim, &record.hyper_parameters)?;
    Ok(ServedModel::new(record, graph, embeddings, Box::new(model))?)
}
