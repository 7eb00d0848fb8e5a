//! `kge dataset`, `kge model`, `kge tasks`: what there is.

use kge_catalog::Dataset;
use kge_jobs::{Filter, TaskId};
use kge_model::ModelRecord;
use serde::Serialize;

use super::Result;
use crate::{
    cli::{ListShow, Tasks},
    open,
    settings::Settings,
};

pub(super) async fn datasets(settings: &Settings, args: ListShow, json: bool) -> Result {
    let catalog = open::catalog(settings)?;
    match args {
        ListShow::Show { name } => whole(&catalog.find_dataset(&name).await?),
        ListShow::List => list(&catalog.datasets().await?, json, dataset_line),
    }
}

fn dataset_line(dataset: &Dataset) -> String {
    let counts = &dataset.counts;
    format!(
        "{:>4}  {}: {} entities, {} relations, {} triples, {} models",
        dataset.id,
        dataset.name,
        counts.entities,
        counts.relations,
        counts.triples(),
        dataset.models.len()
    )
}

pub(super) async fn models(settings: &Settings, args: ListShow, json: bool) -> Result {
    let catalog = open::catalog(settings)?;
    if let ListShow::Show { name } = args {
        return whole(&open::model_record(&catalog, &name).await?);
    }
    let mut models = Vec::new();
    for dataset in catalog.datasets().await? {
        models.extend(catalog.models(dataset.id).await?);
    }
    list(&models, json, model_line)
}

fn model_line(model: &ModelRecord) -> String {
    let mrr = model.evaluation.as_ref().and_then(|e| e.pointer("/both/mrr")?.as_f64());
    let mrr = mrr.map(|mrr| format!(", test MRR {mrr:.4}")).unwrap_or_default();
    let ModelRecord { id, dataset, plugin, dim, created, .. } = model;
    format!("{id:>4}  {} dim {dim}, dataset {dataset}{mrr}, {created}", plugin.name)
}

pub(super) async fn tasks(settings: &Settings, args: Tasks, json: bool) -> Result {
    let jobs = open::jobs(settings)?;
    match args {
        Tasks::Show { id } => whole(&jobs.task(TaskId(id)).await?),
        Tasks::Cancel { id } => whole(&jobs.cancel(TaskId(id)).await?),
        Tasks::List => list(&jobs.tasks(Filter::default(), None, 100).await?, json, |task| {
            format!("{:>4}  {:?} {:?}, made {}", task.id, task.kind, task.state, task.created)
        }),
    }
}

fn list<T: Serialize>(things: &[T], json: bool, line: impl Fn(&T) -> String) -> Result {
    if json {
        println!("{}", serde_json::to_string(things)?);
    } else {
        things.iter().for_each(|thing| println!("{}", line(thing)));
    }
    Ok(())
}

fn whole(thing: &impl Serialize) -> Result {
    println!("{}", serde_json::to_string_pretty(thing)?);
    Ok(())
}
