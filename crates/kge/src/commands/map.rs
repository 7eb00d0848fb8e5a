//! `kge map`: a picture of what lies near what.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use kge_graph::{EntityId, RelationId, read};
use kge_search::ServedModel;
use serde_json::json;

use super::{
    Failure, Result,
    names::{self, Labels},
};
use crate::{
    cli,
    drawing::{self, Dot, Map},
    open,
    settings::Settings,
};

/// What to draw.
pub(super) struct Wish<'a> {
    /// The dataset's name.
    pub dataset: &'a str,
    /// The relation whose values give the colours; only entities that have one are drawn.
    pub colour_by: Option<RelationId>,
    /// What things are called.
    pub labels: &'a Labels,
    /// At most so many entities, the best connected.
    pub limit: usize,
    /// Pixels from left to right.
    pub width: u16,
}

pub(super) async fn map(settings: &Settings, args: &cli::Map, json: bool) -> Result {
    let model = open::served_model(settings, &args.model).await?;
    let id = kge_catalog::DatasetId(model.record.dataset);
    let dataset = open::catalog(settings)?.dataset(id).await?.name;
    let colour_by = args.colour_by.as_deref().map(|name| names::relation(&model.graph, name));
    let labels = match &args.labels_from {
        None => Labels::default(),
        Some(file) => labels(file, &args.labels)?,
    };
    let wish = Wish {
        dataset: &dataset,
        colour_by: colour_by.transpose()?,
        labels: &labels,
        limit: args.limit,
        width: args.size,
    };
    let (svg, entities) = picture(&model, &wish)?;
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(file_name(&dataset)));
    write(&file, &svg)?;
    if json {
        println!("{}", json!({ "file": file, "entities": entities, "bytes": svg.len() }));
    } else {
        println!("{}: {entities} entities", file.display());
    }
    Ok(())
}

fn labels(file: &Path, language: &str) -> Result<Labels> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", file.display()));
    let format = read::Format::from_path(file)
        .ok_or_else(|| Failure::usage(format!("{}: which format?", file.display())))?;
    let labels = Labels::read(format, read::open(file)?, language)
        .map_err(|error| failed(&error.message))?;
    if labels.is_empty() {
        return Err(failed(&format_args!("has no labels in \"{language}\"")));
    }
    Ok(labels)
}

/// A dataset's name as a file's.
fn file_name(dataset: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    format!("{}.svg", dataset.chars().map(kept).collect::<String>().trim_start_matches('.'))
}

/// Writes a picture.
pub(super) fn write(file: &Path, svg: &str) -> Result {
    std::fs::write(file, svg).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// The picture, and how many entities it shows.
pub(super) fn picture(model: &ServedModel, wish: &Wish<'_>) -> Result<(String, usize)> {
    let values = wish.colour_by.map(|relation| values(model, relation));
    let entities = best_connected(model, wish.limit, |entity| {
        values.as_ref().is_none_or(|values| values.contains_key(entity))
    });
    let (groups, group_of) = groups(model, &entities, &values.unwrap_or_default(), wish.labels);
    let plane = model.principal(&entities, 2)?;
    let dot = |(i, &entity): (usize, &EntityId)| Dot {
        x: plane.coordinates[2 * i],
        y: plane.coordinates[2 * i + 1],
        name: wish.labels.of(model.entity_name(entity)),
        group: group_of.get(&entity).copied(),
    };
    let by = wish.colour_by.map(|relation| {
        let name = model.graph.relations().name(relation.0);
        format!(", coloured by {}", wish.labels.of(name))
    });
    let (record, share) = (&model.record, plane.shares.iter().sum::<f64>());
    let map = Map {
        title: format!("{}{}", wish.dataset, by.unwrap_or_default()),
        caption: format!(
            "{}, {} dimensions, seen along their first two principal components ({:.0} % of the variance)",
            record.plugin.name,
            record.dim,
            100.0 * share
        ),
        dots: entities.iter().enumerate().map(dot).collect(),
        groups,
    };
    Ok((drawing::draw(&map, f64::from(wish.width)), entities.len()))
}

/// Each head's values of a relation, in all splits.
fn values(model: &ServedModel, relation: RelationId) -> BTreeMap<EntityId, Vec<EntityId>> {
    let mut values: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let of_relation = model.graph.iter().filter(|(_, triple)| triple.relation == relation);
    for (_, triple) in of_relation {
        values.entry(triple.head).or_default().push(triple.tail);
    }
    values
}

/// Ids count from the entity that occurs most often.
fn best_connected(
    model: &ServedModel,
    limit: usize,
    drawn: impl Fn(&EntityId) -> bool,
) -> Vec<EntityId> {
    let all = (0..model.graph.entities().len() as u32).map(EntityId);
    all.filter(drawn).take(limit).collect()
}

/// The most frequent values, and which of them each entity has: the most frequent of its own.
fn groups(
    model: &ServedModel,
    entities: &[EntityId],
    values: &BTreeMap<EntityId, Vec<EntityId>>,
    labels: &Labels,
) -> (Vec<String>, HashMap<EntityId, usize>) {
    let mut counts: BTreeMap<EntityId, usize> = BTreeMap::new();
    for value in entities.iter().filter_map(|entity| values.get(entity)).flatten() {
        *counts.entry(*value).or_default() += 1;
    }
    let mut largest: Vec<_> = counts.into_iter().collect();
    largest.sort_by_key(|&(value, count)| (Reverse(count), value));
    largest.truncate(drawing::GROUPS);
    let position = |value: &EntityId| largest.iter().position(|(group, _)| group == value);
    let group_of = entities.iter().filter_map(|&entity| {
        let group = values.get(&entity)?.iter().filter_map(position).min()?;
        Some((entity, group))
    });
    let name = |&(value, _): &(EntityId, usize)| labels.of(model.entity_name(value));
    (largest.iter().map(name).collect(), group_of.collect())
}
