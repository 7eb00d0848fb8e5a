//! `kge demo`: a small real graph from nothing to answers.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use kge_catalog::NewDataset;
use kge_graph::{EntityId, GraphBuilder, RelationId, Split, Triple, read};
use kge_search::{Question, ServedModel};
use serde_json::{Value, json};

use super::{
    Failure, Result,
    import::Placing,
    map,
    names::{self, Labels},
    serve, train,
};
use crate::{
    cli::{self, Common, Demo},
    open,
    settings::Settings,
};

const SAMPLE: &[u8] = include_bytes!("../../samples/countries.ttl");
const NAME: &str = "countries";
const ABOUT: [&str; 5] = ["Spain", "Portugal", "Japan", "Kenya", "Brazil"];
/// What is asked about; who and what the answers are comes from the model.
const ASKED: [&str; 6] =
    ["continent", "borders", "officialLanguage", "memberOf", "currency", "capital"];

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
    let outcome = from_nothing_to_answers(settings, common.json, &args, listen).await;
    if temporary.is_dir() {
        std::fs::remove_dir_all(&temporary)?;
    }
    outcome
}

async fn from_nothing_to_answers(
    settings: Settings,
    json: bool,
    args: &Demo,
    listen: SocketAddr,
) -> Result {
    prepare(&settings).await?;
    let began = Instant::now();
    let args_for_training = cli::Train {
        dataset: NAME.into(),
        dim: Some(64),
        epochs: Some(40),
        batch: Some(128),
        n3: Some(0.085),
        ..cli::Train::default()
    };
    let mut report = train::train_and_publish(&settings, &args_for_training).await?;
    let model = open::served_model(&settings, NAME).await?;
    let picture = draw(&model)?;
    if json {
        report["map"] = json!(picture);
        println!("{report}");
    } else {
        say(&model, &report, &picture, began).await?;
    }
    if !args.no_serve {
        if !json {
            addresses(listen, &model);
        }
        let serving = cli::Serve { listen: Some(listen), ..cli::Serve::default() };
        serve::serve(settings, serving, json).await?;
    }
    Ok(())
}

fn addresses(listen: SocketAddr, model: &ServedModel) {
    let (dataset, model) = (model.record.dataset, model.record.id);
    println!("\nServing. Open next:");
    for (path, what) in [
        ("/docs".into(), "every call, to try out"),
        (format!("/datasets/{dataset}"), "what was imported"),
        (format!("/models/{model}/evaluation"), "how good it is, relation by relation"),
        (
            format!(
                "/datasets/{dataset}/similar_entities/\
                 https%3A%2F%2Fkge-server.example%2Fcountries%2FPortugal"
            ),
            "what is most like Portugal",
        ),
    ] {
        println!("  http://{listen}{path}\n      {what}");
    }
    println!("Ctrl-C ends it.");
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

async fn say(model: &ServedModel, report: &Value, picture: &Path, began: Instant) -> Result {
    let labels = labels()?;
    let name = |id: EntityId| labels.of(model.entity_name(id));
    println!("Trained and evaluated in {}.", train::took(began.elapsed()));
    if let Some(mrr) = report.pointer("/evaluation/both/mrr").and_then(Value::as_f64) {
        println!("Facts it never saw: filtered MRR {mrr:.3} (1 is perfect).");
    }
    println!();
    for country in ABOUT {
        let id = names::entity(&model.graph, country)?;
        let near = model.similar(model.embeddings.entity(id.0), 6)?;
        let near: Vec<_> = near.iter().skip(1).map(|near| name(near.entity)).collect();
        println!("Most like {country}: {}", near.join(", "));
    }
    let entities = model.graph.entities().len();
    println!(
        "\nFacts held out of training; the truth's rank among {entities} names, and the best guesses:"
    );
    for relation in ASKED {
        let relation = names::relation(&model.graph, relation)?;
        let Some(triple) = held_out(model, relation) else { continue };
        let question = Question::Tail { head: triple.head, relation };
        // What it was told is no guess; the truth is in the graph too, though not in training.
        let answers = model.predict(question, 100, false)?;
        let guesses = answers.iter().filter(|answer| {
            answer.entity == triple.tail || !answer.known && answer.entity != triple.head
        });
        let guesses: Vec<_> = guesses.take(3).map(|answer| name(answer.entity)).collect();
        let rank = model.score(&[triple])?.first().map_or(f64::NAN, |scored| scored.tail_rank);
        let asked = labels.of(model.graph.relations().name(relation.0));
        println!(
            "  {:<30} {:<18} {rank:>4.0}   {}",
            format!("{}, {asked}?", name(triple.head)),
            name(triple.tail),
            guesses.join(", "),
        );
    }
    println!("\nA map of the countries, to open in a browser: {}", picture.display());
    Ok(())
}

/// The tested fact of a relation whose ends are best known otherwise (ids count from the entity
/// that occurs most often); none where all that is known of the truth is what kind of thing it is.
fn held_out(model: &ServedModel, relation: RelationId) -> Option<Triple> {
    let trained = model.graph.triples(Split::Train);
    let facts = |entity: EntityId| {
        trained.iter().filter(|triple| triple.head == entity || triple.tail == entity).count()
    };
    let mut tested = model.graph.triples(Split::Test).to_vec();
    tested.retain(|triple| triple.relation == relation);
    tested.sort_by_key(|triple| (triple.head.max(triple.tail), triple.head));
    tested.into_iter().find(|triple| facts(triple.tail) > 1)
}

fn labels() -> Result<Labels> {
    Labels::read(read::Format::Turtle, SAMPLE, "en")
}

/// The countries, coloured by continent, in a file that outlives the demo's data.
fn draw(model: &ServedModel) -> Result<PathBuf> {
    let wish = map::Wish {
        dataset: NAME,
        colour_by: Some(names::relation(&model.graph, "continent")?),
        labels: &labels()?,
        limit: usize::MAX,
        width: 840,
    };
    let file = std::env::temp_dir().join(format!("kge-demo-{}.svg", std::process::id()));
    map::write(&file, &map::picture(model, &wish)?.0)?;
    Ok(file)
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
