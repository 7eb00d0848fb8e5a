//! `kge predict`, `similar`, `score`, `distance`: questions to a published model.

use kge_graph::{EntityId, Triple};
use kge_search::{Question, ServedModel};
use serde_json::{Value, json};

use super::{
    Failure, Result,
    names::{entity, relation},
};
use crate::{cli, open, settings::Settings};

pub(super) async fn predict(settings: &Settings, args: &cli::Predict, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let relation = relation(&model.graph, &args.relation)?;
    let question = match (&args.head, &args.tail) {
        (Some(head), None) => Question::Tail { head: entity(&model.graph, head)?, relation },
        (None, Some(tail)) => Question::Head { relation, tail: entity(&model.graph, tail)? },
        _ => return Err(Failure::usage("give --head or --tail, not both")),
    };
    let answers = predictions(&model, question, args.k, args.filter_known)?;
    print(json, &answers, |answer| {
        let known = if answer["known"] == true { "  (known)" } else { "" };
        format!("{:>10.4}  {}{known}", answer["score"].as_f64().unwrap_or(f64::NAN), text(answer))
    })
}

pub(super) fn predictions(
    model: &ServedModel,
    question: Question,
    k: usize,
    filter_known: bool,
) -> Result<Vec<Value>> {
    let answers = model.predict(question, k, filter_known)?;
    let name = |id: EntityId| model.graph.entities().name(id.0);
    Ok(answers
        .iter()
        .map(|a| json!({ "entity": name(a.entity), "score": a.score, "known": a.known }))
        .collect())
}

pub(super) async fn similar(settings: &Settings, args: &cli::Similar, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let id = entity(&model.graph, &args.entity)?;
    let neighbours = neighbours(&model, id, args.k)?;
    print(json, &neighbours, |neighbour| {
        let distance = neighbour["distance"].as_f64().unwrap_or(f64::NAN);
        format!("{distance:>10.4}  {}", text(neighbour))
    })
}

pub(super) fn neighbours(model: &ServedModel, id: EntityId, k: usize) -> Result<Vec<Value>> {
    let neighbours = model.similar(model.embeddings.entity(id.0), k)?;
    let name = |id: EntityId| model.graph.entities().name(id.0);
    let row =
        |n: &kge_search::Neighbour| json!({ "entity": name(n.entity), "distance": n.distance });
    Ok(neighbours.iter().map(row).collect())
}

pub(super) async fn score(settings: &Settings, args: &cli::Score, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let triple = Triple {
        head: entity(&model.graph, &args.head)?,
        relation: relation(&model.graph, &args.relation)?,
        tail: entity(&model.graph, &args.tail)?,
    };
    let scored = model.score(&[triple])?;
    let Some(scored) = scored.first() else { return Err(Failure::new("no score")) };
    let (score, head, tail) = (scored.score, scored.head_rank, scored.tail_rank);
    let candidates = model.graph.entities().len();
    if json {
        println!("{}", json!({ "score": score, "head_rank": head, "tail_rank": tail }));
    } else {
        println!("score {score:.4}; rank {head} as head, {tail} as tail, of {candidates}");
    }
    Ok(())
}

pub(super) async fn distance(settings: &Settings, args: &cli::Distance, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let distance = model.distance(entity(&model.graph, &args.a)?, entity(&model.graph, &args.b)?);
    if json {
        println!("{}", json!({ "distance": distance }));
    } else {
        println!("{distance}");
    }
    Ok(())
}

fn print(json: bool, answers: &[Value], line: impl Fn(&Value) -> String) -> Result {
    if json {
        println!("{}", serde_json::to_string(answers)?);
    } else {
        answers.iter().for_each(|answer| println!("{}", line(answer)));
    }
    Ok(())
}

fn text(answer: &Value) -> &str {
    answer["entity"].as_str().unwrap_or_default()
}
