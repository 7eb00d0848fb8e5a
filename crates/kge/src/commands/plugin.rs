//! `kge plugin`: scoring models, for those who use them and those who write them.

use std::path::Path;

use kge_model::{Description, HyperParameterKind, Layout, ScoringModel as _};
use kge_plugin::CheckReport;
use serde::Serialize;
use serde_json::json;

use super::{Failure, Result};
use crate::{cli::Plugin, open, settings::Settings};

pub(super) async fn plugin(settings: &Settings, args: Plugin, json: bool) -> Result {
    match args {
        Plugin::List => list(settings, json).await,
        Plugin::New { name, into } => new(&into, &name, json),
        Plugin::Build { source, out } => build(&source, out.as_deref(), json),
        Plugin::Compile { memory } => compile(memory),
        Plugin::Check { plugin } => check(settings, &plugin, json).await,
        Plugin::Describe { plugin, dim } => describe(settings, &plugin, dim, json).await,
        Plugin::Bench { plugin, dim, batch } => bench(settings, &plugin, dim, batch, json).await,
        Plugin::Add { file } => add(settings, &file, json).await,
    }
}

/// Prints a report, as JSON if asked for.
fn print(report: &(impl Serialize + std::fmt::Display), json: bool) -> Result {
    match json {
        true => println!("{}", serde_json::to_string(report)?),
        false => println!("{report}"),
    }
    Ok(())
}

/// A component on standard input to machine code on standard output, for a server.
fn compile(memory: u64) -> Result {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
    setrlimit(Resource::As, limit)
        .map_err(|error| Failure::new(format!("a limit of {memory} bytes: {error}")))?;
    Ok(kge_plugin::compile_for_parent(std::io::stdin().lock(), std::io::stdout().lock())?)
}

async fn list(settings: &Settings, json: bool) -> Result {
    let catalog = open::catalog(settings)?;
    open::enter_plugins(settings, &catalog, &*open::host(settings)?).await?;
    let plugins = catalog.plugins().await?;
    if json {
        println!("{}", serde_json::to_string(&plugins)?);
        return Ok(());
    }
    for plugin in plugins {
        println!("{:<12} {}  {}", plugin.name, plugin.version, plugin.sha256);
    }
    Ok(())
}

fn new(into: &Path, name: &str, json: bool) -> Result {
    let directory = kge_plugin::template::create(into, name)?;
    if json {
        println!("{}", json!({ "directory": directory }));
        return Ok(());
    }
    let shown = directory.display();
    println!("made {shown}; its model is in {shown}/src/lib.rs");
    println!("next: kge plugin build {shown}");
    Ok(())
}

fn build(source: &Path, out: Option<&Path>, json: bool) -> Result {
    let is_module = source.is_file();
    let folder = if is_module { source.parent().unwrap_or(Path::new("")) } else { source };
    let out = out.map_or_else(|| folder.join("components"), Path::to_owned);
    let built = match is_module {
        true => vec![kge_plugin::toolchain::componentise(source, out)?],
        false => kge_plugin::toolchain::build(source, out)?,
    };
    if json {
        println!("{}", json!({ "components": built }));
    } else {
        built.iter().for_each(|file| println!("{}", file.display()));
    }
    Ok(())
}

async fn bench(settings: &Settings, plugin: &str, dim: usize, batch: usize, json: bool) -> Result {
    let source = Path::new(plugin);
    let (plugin, native) = if source.join("Cargo.toml").is_file() {
        let native = kge_plugin::NativeModel::build(source)?;
        (open::host(settings)?.load(&kge_plugin::toolchain::build_one(source)?)?, Some(native))
    } else {
        (load(settings, plugin).await?, None)
    };
    print(&kge_plugin::bench(&plugin, native.as_ref(), dim, batch.max(1))?, json)
}

async fn check(settings: &Settings, plugin: &str, json: bool) -> Result {
    let report = kge_plugin::check(&load(settings, plugin).await?);
    print(&report, json)?;
    answered(&report)
}

fn answered(report: &CheckReport) -> Result {
    match report.passed() {
        true => Ok(()),
        false => Err(Failure::answered("the plugin does not keep the contract")),
    }
}

async fn describe(settings: &Settings, plugin: &str, dim: usize, json: bool) -> Result {
    let plugin = load(settings, plugin).await?;
    let description = plugin.description();
    let model = plugin.configure(dim, &Default::default())?;
    if json {
        let (sha256, layout) = (plugin.sha256(), model.layout());
        let all =
            json!({ "description": description, "sha256": sha256, "dim": dim, "layout": layout });
        println!("{all}");
        return Ok(());
    }
    println!("{} {}: {}", description.name, description.version, description.summary);
    println!("  sha256 {}", plugin.sha256());
    people(description);
    rows(dim, model.layout());
    Ok(())
}

/// Where a model comes from, and what can be set.
fn people(description: &Description) {
    if let Some(paper) = &description.citation {
        println!("  paper  {} ({}): {}", paper.authors, paper.year, paper.title);
        if !paper.identifier.is_empty() {
            println!("         {}", paper.identifier);
        }
    }
    for parameter in &description.hyper_parameters {
        let range = match parameter.kind {
            HyperParameterKind::Boolean => "0 or 1".to_owned(),
            _ => format!("{} to {}", parameter.minimum, parameter.maximum),
        };
        println!(
            "  {:<6} {} ({range}; default {})",
            parameter.name, parameter.summary, parameter.default
        );
    }
}

/// The shape of its rows.
fn rows(dim: usize, layout: &Layout) {
    let Layout { entity_width, relation_width, query_width, .. } = layout;
    println!(
        "  dim {dim}: entities {entity_width}, relations {relation_width}, queries {query_width} floats"
    );
    println!("  {:?} similarity; directions {:?}", layout.similarity, layout.directions);
    for (holds, words) in [
        (layout.bias, "a bias for each entity"),
        (layout.complex, "rows are complex halves"),
        (layout.projects_candidates, "candidates are projected by the relation"),
    ] {
        if holds {
            println!("  {words}");
        }
    }
    for tensor in &layout.shared {
        println!("  shared {} {:?}", tensor.name, tensor.shape);
    }
}

async fn add(settings: &Settings, file: &Path, json: bool) -> Result {
    let bytes = read(file)?;
    let plugin = open::host(settings)?.load(&bytes)?;
    let report = kge_plugin::check(&plugin);
    if !report.passed() {
        print(&report, json)?;
        return answered(&report);
    }
    let catalog = open::catalog(settings)?;
    let record = catalog.add_plugin(bytes.into(), plugin.description().clone()).await?;
    match json {
        true => println!("{}", serde_json::to_string(&record)?),
        false => println!("{} {}  {}", record.name, record.version, record.sha256),
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// A plugin by its file, by a name in the plugins directory, or by one in the store.
async fn load(settings: &Settings, plugin: &str) -> Result<kge_plugin::Plugin> {
    let host = open::host(settings)?;
    let named = settings.plugins.join(format!("{plugin}.wasm"));
    let file = if Path::new(plugin).is_file() { Path::new(plugin) } else { &named };
    if file.is_file() {
        return Ok(host.load(&read(file)?)?);
    }
    let catalog = open::catalog(settings)?;
    let record = catalog.plugin(plugin).await?;
    Ok(host.load(&catalog.plugin_bytes(&record.sha256).await?)?)
}
