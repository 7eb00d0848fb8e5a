//! `/datasets/{id}/predict` and `/score`: completing triples, and judging them.

use hyper::StatusCode;
use kge_graph::Triple;
use kge_search::Question;

use super::{
    datasets::dataset_id,
    vectors::{find_entity, find_relation},
};
use crate::{
    http::{Problem, Request, json, kind},
    router::{Answer, Route, routes},
    served::blocking,
    types::{PredictAsked, PredictView, Prediction, RankView, ScoreAsked, ScoreView, ScoredTriple},
};

pub(super) fn routes() -> Vec<Route> {
    routes![predict Read, score Read]
}

/// Complete a triple
///
/// Leave out the head or the tail. Triples of the dataset are left out of the answer unless
/// `filter_known` is false.
#[utoipa::path(post, path = "/datasets/{id}/predict", tag = "questions",
    params(
        ("id" = u64, Path, description = "The dataset"),
        ("limit" = Option<usize>, Query, description = "Answers wanted, if the body does not say"),
    ),
    request_body = PredictAsked,
    responses((status = 200, description = "Best first", body = PredictView)))]
async fn predict(mut request: Request) -> Answer {
    let limit = request.query.integer("limit")?;
    let asked: PredictAsked = request.json().await?;
    let k = asked.k.or(limit).unwrap_or(10);
    let filter_known = asked.filter_known.unwrap_or(true);
    let missing = match (&asked.head, &asked.relation, &asked.tail) {
        (Some(_), Some(_), None) => "tail",
        (None, Some(_), Some(_)) => "head",
        (Some(_), None, Some(_)) => {
            return Err(Problem::new(
                &kind::UNPROCESSABLE,
                "predicting relations is not supported yet: leave out the head or the tail",
            ));
        }
        _ => {
            let words = "expected two of head, relation and tail: the one left out is predicted";
            return Err(Problem::field("", words));
        }
    };
    let (dataset, served) = request.app.served.promoted(dataset_id(&request)?).await?;
    let relation = find_relation(&dataset, &served, &asked.relation.unwrap_or_default())?;
    let question = match missing {
        "tail" => {
            let head = find_entity(&dataset, &served, &asked.head.unwrap_or_default())?;
            Question::Tail { head, relation }
        }
        _ => {
            let tail = find_entity(&dataset, &served, &asked.tail.unwrap_or_default())?;
            Question::Head { relation, tail }
        }
    };
    let view = blocking(move || {
        let answers = served.predict(question, k, filter_known)?;
        let predictions = answers.into_iter().zip(1..).map(|(answer, rank)| Prediction {
            entity: served.entity_name(answer.entity).to_owned(),
            score: answer.score,
            rank,
            known: answer.known,
        });
        Ok::<_, Problem>(PredictView {
            model: served.record.id,
            missing,
            predictions: predictions.collect(),
        })
    })
    .await??;
    Ok(json(StatusCode::OK, &view))
}

/// Score triples
///
/// The score of each, and the filtered ranks of its head and tail among all entities.
#[utoipa::path(post, path = "/datasets/{id}/score", tag = "questions",
    params(("id" = u64, Path, description = "The dataset")),
    request_body = ScoreAsked,
    responses((status = 200, description = "In the order asked", body = ScoreView)))]
async fn score(mut request: Request) -> Answer {
    let asked: ScoreAsked = request.json().await?;
    let (dataset, served) = request.app.served.promoted(dataset_id(&request)?).await?;
    let view = blocking(move || {
        let triples = asked.triples.iter().map(|names| {
            Ok(Triple {
                head: find_entity(&dataset, &served, &names.head)?,
                relation: find_relation(&dataset, &served, &names.relation)?,
                tail: find_entity(&dataset, &served, &names.tail)?,
            })
        });
        let scored = served.score(&triples.collect::<Result<Vec<_>, Problem>>()?)?;
        let scores = asked.triples.into_iter().zip(scored).map(|(triple, scored)| ScoredTriple {
            triple,
            score: scored.score,
            rank: RankView { head: scored.head_rank, tail: scored.tail_rank },
        });
        Ok::<_, Problem>(ScoreView { model: served.record.id, scores: scores.collect() })
    })
    .await??;
    Ok(json(StatusCode::OK, &view))
}
