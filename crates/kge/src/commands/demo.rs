//! `kge demo`: a small real graph from nothing to answers.

use std::{net::SocketAddr, time::Instant};

use kge_catalog::NewDataset;
use kge_graph::{EntityId, GraphBuilder, Split, read};
use kge_search::{Question, ServedModel};

use super::{Failure, Result, answers, import::Placing, serve, train};
use crate::{
    cli::{self, Common, Demo},
    open,
    settings::Settings,
};

const SAMPLE: &[u8] = include_bytes!("../../samples/countries.ttl");
const NAME: &str = "countries";
const ABOUT: [&str; 3] = ["Spain", "Japan", "Kenya"];

pub(super) async fn demo(mut settings: Settings, common: &Common, args: Demo) -> Result {
    let mut listen = args.listen;
    if !args.no_serve {
        listen = free_port(listen)?;
    }
    // Kept until the process ends, so that what is served stays.
    let temporary = std::env::temp_dir().join(format!("kge-demo-{}", std::process::id()));
    if common.data.is_none() {
        settings.data = temporary.display().to_string();
        settings.state = temporary.join("state");
    }
    prepare(&settings).await?;
    let began = Instant::now();
    let args_for_training = cli::Train {
        dataset: NAME.into(),
        dim: Some(32),
        epochs: Some(40),
        batch: Some(128),
        ..cli::Train::default()
    };
    let report = train::train_and_publish(&settings, &args_for_training).await?;
    if common.json {
        println!("{report}");
    } else {
        say(&settings, &report, began).await?;
    }
    if !args.no_serve {
        if !common.json {
            println!("\nServing. Try:");
            println!("  http://{listen}/docs          every call, to try out");
            println!("  http://{listen}/datasets/1    what was imported");
            println!("Ctrl-C ends it.");
        }
        let serving = cli::Serve { listen: Some(listen), ..cli::Serve::default() };
        serve::serve(settings, serving, common.json).await?;
    }
    if temporary.is_dir() {
        std::fs::remove_dir_all(&temporary)?;
    }
    Ok(())
}

async fn prepare(settings: &Settings) -> Result {
    let catalog = open::catalog(settings)?;
    if catalog.find_dataset(NAME).await.is_ok() {
        return Ok(());
    }
    let placing = Placing::parse("random:80/10/10", 1)?;
    let mut builder = GraphBuilder::new();
    read::read(read::Format::Turtle, SAMPLE, &mut |statement| {
        builder.add(placing.split(statement), statement);
        Ok(())
    })?;
    let new = NewDataset {
        name: Some(NAME.into()),
        description: "The countries of the world".into(),
        dataset_type: 0,
    };
    let dataset = catalog.create_dataset(new).await?;
    let imported = catalog.import(dataset.id, builder).await?;
    eprintln!("imported {} triples about the countries of the world", imported.added);
    Ok(())
}

async fn say(settings: &Settings, report: &serde_json::Value, began: Instant) -> Result {
    let model = open::served_model(settings, NAME).await?;
    println!("Trained and evaluated in {}.", train::took(began.elapsed()));
    if let Some(mrr) = report.pointer("/evaluation/both/mrr").and_then(|mrr| mrr.as_f64()) {
        println!("Facts it never saw: filtered MRR {mrr:.3} (1 is perfect).");
    }
    for country in ABOUT {
        let Some(id) = entity_ending(&model, country) else { continue };
        let near = answers::neighbours(&model, id, 6)?;
        let names: Vec<_> =
            near.iter().skip(1).filter_map(|n| n["entity"].as_str()).map(short).collect();
        println!("\nMost like {country}: {}", names.join(", "));
    }
    println!("\nFacts held out, and the best three answers:");
    let mut told = std::collections::BTreeSet::new();
    for &triple in model.graph.triples(Split::Test) {
        let statement = model.graph.statement(triple);
        let from_type = statement.relation.ends_with("#type");
        if from_type || told.len() == 5 || !told.insert(triple.relation) {
            continue;
        }
        let question = Question::Tail { head: triple.head, relation: triple.relation };
        let best = answers::predictions(&model, question, 3, false)?;
        let names: Vec<_> = best.iter().filter_map(|a| a["entity"].as_str()).map(short).collect();
        println!(
            "  {} {} ?  {}  (true: {})",
            short(statement.head),
            short(statement.relation),
            names.join(", "),
            short(statement.tail)
        );
    }
    Ok(())
}

fn entity_ending(model: &ServedModel, ending: &str) -> Option<EntityId> {
    let position = model.graph.entities().iter().position(|name| short(name) == ending)?;
    Some(EntityId(position as u32))
}

/// The part of an IRI that people read.
fn short(name: &str) -> &str {
    name.rsplit(['/', '#']).next().unwrap_or(name)
}

/// The address, or the same with the next port that nobody holds.
fn free_port(wanted: SocketAddr) -> Result<SocketAddr> {
    for offset in 0..100 {
        let mut address = wanted;
        address.set_port(wanted.port().saturating_add(offset));
        if std::net::TcpListener::bind(address).is_ok() {
            if offset > 0 {
                eprintln!(
                    "port {} is held by another process; taking {}",
                    wanted.port(),
                    address.port()
                );
            }
            return Ok(address);
        }
    }
    Err(Failure::new(format!("{wanted} and the hundred ports after it are held by others")))
}
