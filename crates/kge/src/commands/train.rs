//! `kge train` and `kge evaluate`: in this process, without the queue.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use kge_embed::{Algorithm, Control, Evaluation, Loss, Optimiser, Regime, Regulariser};
use kge_graph::Split;
use kge_model::{Initialiser, PluginRef, ScoringModel};
use serde_json::{Value, json};

use super::{Failure, Result, progress::Meter};
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
    let mut algorithm = recipe(args)?;
    let catalog = open::catalog(settings)?;
    let host = open::host(settings)?;
    let dataset = catalog.find_dataset(&args.dataset).await?;

    let named = settings.plugins.join(format!("{}.wasm", algorithm.plugin));
    let file = args.plugin.clone().or_else(|| named.is_file().then_some(named));
    let bytes = match file {
        Some(file) => std::fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?
            .into(),
        None => {
            let record = catalog.plugin(&algorithm.plugin).await.map_err(|error| {
                let directory = settings.plugins.display();
                Failure::new(format!("{error}, and {directory} has none; see kge doctor"))
            })?;
            catalog.plugin_bytes(&record.sha256).await?
        }
    };
    let plugin = host.load(&bytes)?;
    let record = catalog.add_plugin(bytes, plugin.description().clone()).await?;
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

/// Flags over the preset or file over what is known to work.
fn recipe(args: &cli::Train) -> Result<Algorithm> {
    let mut algorithm = match (&args.preset, &args.algorithm) {
        (Some(name), _) => kge_embed::preset(name).ok_or_else(|| {
            let known = kge_embed::preset_names().join(", ");
            Failure::usage(format!("there is no preset \"{name}\"; known: {known}"))
        })?,
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
            serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?
        }
        (None, None) => usual(args.model.as_deref().unwrap_or("complex")),
    };
    if let Some(model) = &args.model {
        algorithm.plugin.clone_from(model);
    }
    match args.regime.as_deref() {
        None => {}
        Some("1vsall") => algorithm.regime = Regime::OneVsAll,
        Some("negative_sampling") => algorithm.regime = sampling(),
        Some(other) => {
            let message = format!("--regime {other}: expected 1vsall or negative_sampling");
            return Err(Failure::usage(message));
        }
    }
    if let Some(lr) = args.lr {
        match &mut algorithm.optimiser {
            Optimiser::Adagrad { learning_rate } | Optimiser::Adam { learning_rate } => {
                *learning_rate = lr;
            }
        }
    }
    if let Some(weight) = args.n3 {
        algorithm.regulariser = (weight > 0.0).then_some(Regulariser::N3 { weight });
    }
    algorithm.dim = args.dim.unwrap_or(algorithm.dim);
    algorithm.epochs = args.epochs.unwrap_or(algorithm.epochs);
    algorithm.batch = args.batch.unwrap_or(algorithm.batch);
    algorithm.seed = args.seed.unwrap_or(algorithm.seed);
    algorithm.validate_every = args.validate_every.unwrap_or(algorithm.validate_every);
    Ok(algorithm)
}

/// Full softmax with N3 and reciprocal relations (Lacroix et al. 2018); distances sample
/// negatives instead (Bordes et al. 2013).
fn usual(model: &str) -> Algorithm {
    let distance = model == "transe";
    Algorithm {
        plugin: model.into(),
        dim: 128,
        hyper_parameters: Default::default(),
        reciprocal: !distance,
        regime: if distance { sampling() } else { Regime::OneVsAll },
        loss: if distance { Loss::MarginRanking { margin: 2.0 } } else { Loss::Softmax },
        optimiser: Optimiser::Adagrad { learning_rate: 0.1 },
        regulariser: (!distance).then_some(Regulariser::N3 { weight: 0.05 }),
        initialiser: (!distance).then_some(Initialiser::Normal { deviation: 0.001 }),
        batch: 512,
        epochs: 20,
        seed: 1,
        validate_every: 0,
    }
}

fn sampling() -> Regime {
    Regime::NegativeSampling { negatives: 100, chunk: 64 }
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
