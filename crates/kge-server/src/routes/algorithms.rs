//! `/algorithms`: recipes, in the old form of three numbers or whole.

use hyper::{StatusCode, header};
use kge_catalog::AlgorithmRecord;
use kge_embed::Algorithm;
use serde_json::{Map, Value};

use super::{page, with};
use crate::{
    http::{Problem, Request, empty, from_value, json},
    router::{Answer, Route, routes},
    types::{
        AlgorithmCreated, AlgorithmId, AlgorithmView, FullAlgorithm, NewAlgorithm, OldAlgorithm,
        PresetView,
    },
};

/// The members of the old form.
const OLD: [&str; 3] = ["embedding_size", "margin", "max_epochs"];

pub(super) fn routes() -> Vec<Route> {
    routes![
        list_algorithms Read,
        create_algorithm Write,
        list_presets Read,
        get_algorithm Read,
        delete_algorithm Write,
    ]
}

/// List algorithms
#[utoipa::path(get, path = "/algorithms", tag = "algorithms",
    params(
        ("limit" = Option<u64>, Query, description = "At most so many"),
        ("cursor" = Option<u64>, Query, description = "Those after this id; see the `Link` header"),
    ),
    responses((status = 200, description = "Algorithms by id", body = Vec<AlgorithmView>)))]
async fn list_algorithms(request: Request) -> Answer {
    let query = &request.query;
    let (limit, cursor) = (query.integer("limit")?, query.integer("cursor")?);
    let records = request.app.catalog.algorithms().await?;
    let path = format!("{}/algorithms", request.app.prefix);
    let (records, link) = page(records, limit, cursor, |r| r.id.0, query, &path);
    let views = records.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let reply = json(StatusCode::OK, &views);
    Ok(link.into_iter().fold(reply, |reply, link| with(reply, header::LINK, &link)))
}

/// Store an algorithm
///
/// The old form (`embedding_size`, `margin`, `max_epochs`; at least two of them) trains TransE;
/// the full form names everything.
#[utoipa::path(post, path = "/algorithms", tag = "algorithms",
    request_body = NewAlgorithm,
    responses((status = 201, description = "Stored", body = AlgorithmCreated)))]
async fn create_algorithm(mut request: Request) -> Answer {
    let body: NewAlgorithm = request.json().await?;
    let algorithm = read(body.algorithm, "/algorithm")?;
    let json_form = serde_json::to_value(&algorithm).map_err(|e| Problem::internal(&e))?;
    let id = request.app.catalog.create_algorithm(json_form).await?.0;
    let message = format!("Algorithm {id} created");
    let created = AlgorithmCreated { status: 202, message, algorithm: AlgorithmId { id } };
    let reply = json(StatusCode::CREATED, &created);
    Ok(with(reply, header::LOCATION, &format!("{}/algorithms/{id}", request.app.prefix)))
}

/// List presets
///
/// Recipes that come with this release; `?algorithm=` takes their names.
#[utoipa::path(get, path = "/algorithms/presets", tag = "algorithms",
    responses((status = 200, description = "Presets by name", body = Vec<PresetView>)))]
async fn list_presets(_request: Request) -> Answer {
    let presets = kge_embed::preset_names().iter().filter_map(|&preset| {
        let algorithm = full(&serde_json::to_value(kge_embed::preset(preset)?).ok()?).ok()?;
        Some(PresetView { preset, algorithm })
    });
    Ok(json(StatusCode::OK, &presets.collect::<Vec<_>>()))
}

/// Get an algorithm
#[utoipa::path(get, path = "/algorithms/{id}", tag = "algorithms",
    params(("id" = u64, Path, description = "The algorithm")),
    responses((status = 200, description = "The algorithm", body = AlgorithmView)))]
async fn get_algorithm(request: Request) -> Answer {
    let id = kge_catalog::AlgorithmId(request.number("algorithm", "id")?);
    Ok(json(StatusCode::OK, &view(request.app.catalog.algorithm(id).await?)?))
}

/// Delete an algorithm
#[utoipa::path(delete, path = "/algorithms/{id}", tag = "algorithms",
    params(("id" = u64, Path, description = "The algorithm")),
    responses((status = 204, description = "Gone")))]
async fn delete_algorithm(request: Request) -> Answer {
    let id = kge_catalog::AlgorithmId(request.number("algorithm", "id")?);
    request.app.catalog.delete_algorithm(id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// An algorithm in either form; `root` is where it stands in the body.
///
/// # Errors
/// 400 with a JSON pointer.
pub(super) fn read(form: Value, root: &str) -> Result<Algorithm, Problem> {
    let Value::Object(mut members) = form else {
        return Err(Problem::field(root, "expected an object"));
    };
    members.remove("id");
    let algorithm = match members.contains_key("plugin") {
        true => from_value::<Algorithm>(Value::Object(members), root)?,
        false => old(members, root)?,
    };
    algorithm.validate().map_err(|error| match &error {
        kge_embed::Error::Algorithm { field, reason } => {
            Problem::field(format!("{root}/{}", field.replace('.', "/")), reason.clone())
        }
        _ => Problem::field(root, error.to_string()),
    })?;
    Ok(algorithm)
}

fn old(mut members: Map<String, Value>, root: &str) -> Result<Algorithm, Problem> {
    if let Some(unknown) = members.keys().find(|name| !OLD.contains(&name.as_str())) {
        return Err(Problem::field(
            format!("{root}/{unknown}"),
            format!("unknown member; the old form has {}, the full form a plugin", OLD.join(", ")),
        ));
    }
    if members.len() < 2 {
        let words = format!("expected at least two of {}, or the full form", OLD.join(", "));
        return Err(Problem::field(root, words));
    }
    for value in members.values_mut() {
        let number = value.as_str().and_then(|text| serde_json::from_str(text.trim()).ok());
        if let Some(number) = number {
            *value = Value::Number(number);
        }
        // 50.0 is a whole number too.
        if let Some(whole) = value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15) {
            *value = (whole as i64).into();
        }
    }
    let old: OldAlgorithm = from_value(Value::Object(members), root)?;
    Ok(Algorithm::from_old_form(old.embedding_size, old.margin as f32, old.max_epochs))
}

fn view(record: AlgorithmRecord) -> Result<AlgorithmView, Problem> {
    let full = full(&record.algorithm)?;
    let margin = record.algorithm.pointer("/loss/margin_ranking/margin").and_then(Value::as_f64);
    Ok(AlgorithmView {
        id: record.id.0,
        embedding_size: full.dim,
        margin,
        max_epochs: full.epochs,
        full,
    })
}

fn full(algorithm: &Value) -> Result<FullAlgorithm, Problem> {
    serde_json::from_value(algorithm.clone()).map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_old_form_is_read_as_the_old_service_read_it() {
        let transe = |size, margin, epochs| Some(Algorithm::from_old_form(size, margin, epochs));
        for (form, expected) in [
            (json!({"embedding_size": 50, "margin": 2, "max_epochs": 80}), transe(50, 2.0, 80)),
            (json!({"embedding_size": "50", "max_epochs": "7"}), transe(50, 2.0, 7)),
            (json!({"id": 9, "embedding_size": 20.0, "margin": "1.5"}), transe(20, 1.5, 80)),
            (json!({"embedding_size": 50}), None),
            (json!({"id": 9, "embedding_size": 50}), None),
            (json!({"embedding_size": 50, "margin": 2, "colour": "red"}), None),
            (json!({"embedding_size": "many", "margin": 2}), None),
            (json!({"embedding_size": 0, "margin": 2}), None),
            (json!([1]), None),
        ] {
            assert_eq!(read(form.clone(), "/algorithm").ok(), expected, "{form}");
        }
    }

    #[test]
    fn the_full_form_points_at_its_faults() {
        let mut form = serde_json::to_value(kge_embed::preset("complex").unwrap()).unwrap();
        assert!(read(form.clone(), "/algorithm").is_ok());
        form["optimiser"] = json!({"adagrad": {"learning_rate": "fast"}});
        let problem = format!("{:?}", read(form, "/algorithm").unwrap_err());
        assert!(problem.contains("/algorithm/optimiser"), "{problem}");
    }
}
