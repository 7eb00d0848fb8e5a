//! `kge train` and `kge evaluate`: in this process, without the queue.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use kge_embed::{Control, Evaluation};
use kge_graph::Split;
use kge_model::{HyperParameters, PluginRef, ScoringModel};
use serde_json::{Value, json};

use super::{Failure, Result, progress::Meter, recipe};
use crate::{cli, open, settings::Settings};

pub(super) async fn train(settings: &Settings, args: &cli::Train, json: bool) -> Result {
    let report = train_and_publish(settings, args).await?;
    if json {
        println!("{report}");
        return Ok(());
    }
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let seconds = number("/seconds").unwrap_or_default();
    println!("model {} of dataset {}, {seconds:.1} s", report["model"], report["dataset"]);
    if let (Some(mrr), Some(hits)) =
        (number("/evaluation/both/mrr"), number("/evaluation/both/hits_at_10"))
    {
        println!("test: MRR {mrr:.4}, Hits@10 {hits:.4}");
    }
    Ok(())
}

/// Trains, evaluates the test split if there is one, publishes; returns the report.
pub(super) async fn train_and_publish(settings: &Settings, args: &cli::Train) -> Result<Value> {
    let (began, started) = (Instant::now(), jiff::Timestamp::now());
    let named = recipe::named(args)?;
    let name = args.model.as_deref().or(named.as_ref().map(|recipe| recipe.plugin.as_str()));
    let name = name.unwrap_or("complex");
    let catalog = open::catalog(settings)?;
    let host = open::host(settings)?;
    let dataset = catalog.find_dataset(&args.dataset).await?;

    let installed = settings.plugins.join(format!("{name}.wasm"));
    let file = args.plugin.clone().or_else(|| installed.is_file().then_some(installed));
    let bytes = match file {
        Some(file) => std::fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?
            .into(),
        None => {
            let record = catalog.plugin(name).await.map_err(|error| {
                let directory = settings.plugins.display();
                Failure::new(format!("{error}, and {directory} has none; see kge doctor"))
            })?;
            catalog.plugin_bytes(&record.sha256).await?
        }
    };
    let plugin = host.load(&bytes)?;
    if let Some(file) = &args.plugin {
        let report = kge_plugin::check(&plugin);
        if !report.passed() {
            let file = file.display();
            return Err(Failure::new(format!("{file} does not keep the contract\n{report}")));
        }
    }
    let record = catalog.add_plugin(bytes, plugin.description().clone()).await?;
    let mut algorithm = match named {
        Some(recipe) => recipe,
        None => {
            let dim = args.dim.unwrap_or(recipe::DIM);
            let model = plugin.configure(dim, &HyperParameters::new())?;
            recipe::usual(&record.name, model.layout())
        }
    };
    recipe::apply(args, &mut algorithm)?;
    algorithm.plugin.clone_from(&record.name);
    algorithm.validate()?;
    let model = plugin.configure(algorithm.dim, &algorithm.hyper_parameters)?;
    let hyper_parameters =
        plugin.description().complete(&algorithm.hyper_parameters).map_err(Failure::new)?;

    let (revision, graph) = catalog.seal(dataset.id).await?;
    if graph.triples(Split::Train).is_empty() {
        return Err(Failure::new(format!(
            "dataset \"{}\" has no triples to train on",
            dataset.name
        )));
    }
    // The main thread is ours, not the runtime's: numeric work may hold it.
    let trained = metered("train", settings.threads, |control| {
        kge_embed::train(&graph, &model, &algorithm, control)
    })?;
    let evaluation = if graph.triples(Split::Test).is_empty() {
        None
    } else {
        let (rows, reciprocal) = (&trained.embeddings, algorithm.reciprocal);
        Some(metered("evaluate", settings.threads, |control| {
            kge_embed::evaluate(&graph, &model, rows, reciprocal, Split::Test, control)
        })?)
    };

    let epochs = serde_json::to_value(&trained.history)?;
    let publication = kge_worker::Publication {
        model: catalog.reserve_model(dataset.id).await?,
        dataset: dataset.id,
        revision: revision.clone(),
        plugin: PluginRef { name: record.name, version: record.version, sha256: record.sha256 },
        algorithm,
        algorithm_id: None,
        hyper_parameters,
        layout: model.layout().clone(),
        trained,
        evaluation,
        token: started.as_millisecond().unsigned_abs(),
        task: 0,
        promote: !args.no_promote,
        threads: settings.threads,
        started,
    };
    let published = kge_worker::publish(&catalog, publication).await?.record;
    Ok(json!({
        "model": published.id,
        "dataset": published.dataset,
        "revision": revision,
        "plugin": published.plugin,
        "algorithm": published.algorithm,
        "epochs": epochs,
        "evaluation": published.evaluation,
        "embeddings_sha256": published.embeddings_sha256,
        "seconds": began.elapsed().as_secs_f64(),
        "peak_resident_bytes": peak_resident_bytes(),
    }))
}

pub(super) async fn evaluate(settings: &Settings, args: &cli::Evaluate, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let catalog = open::catalog(settings)?;
    let component = catalog.plugin_bytes(&model.record.plugin.sha256).await?;
    let plugin = open::host(settings)?.load(&component)?;
    let scoring = plugin.configure(model.record.dim, &model.record.hyper_parameters)?;
    let (graph, rows, reciprocal) = (&model.graph, &model.embeddings, model.record.reciprocal);
    let evaluation: Evaluation = metered("evaluate", settings.threads, |control| {
        kge_embed::evaluate(graph, &scoring, rows, reciprocal, args.split, control)
    })?;
    if json {
        println!("{}", serde_json::to_string(&evaluation)?);
        return Ok(());
    }
    for (name, metrics) in
        [("both", &evaluation.both), ("head", &evaluation.head), ("tail", &evaluation.tail)]
    {
        println!(
            "{name}: MRR {:.4}, MR {:.1}, Hits@1 {:.4}, Hits@3 {:.4}, Hits@10 {:.4}, {} queries",
            metrics.mrr,
            metrics.mr,
            metrics.hits_at_1,
            metrics.hits_at_3,
            metrics.hits_at_10,
            metrics.queries
        );
    }
    Ok(())
}

/// Numeric work with its progress shown.
fn metered<T>(name: &'static str, threads: usize, work: impl FnOnce(&Control<'_>) -> T) -> T {
    let cancel = AtomicBool::new(false);
    let meter = Meter::new(name);
    let show = |progress: &kge_embed::Progress| meter.show(progress);
    work(&Control { threads, cancel: &cancel, progress: &show })
}

/// The kernel's high-water mark of this process.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// How long something took, for people.
pub(super) fn took(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
