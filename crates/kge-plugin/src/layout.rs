//! A plugin's layout, checked field by field: widths, tensors and bounds that later code may
//! multiply and allocate by without looking again.

use kge_model::{
    Constraint, Description, Direction, HyperParameters, Initialiser, Layout, SharedTensor,
    Similarity,
};

use crate::bindings::{self, HyperValue};
use crate::describe::{is_name, not_a_name, quote};
use crate::{Error, Result};

/// The widest entity or query row, in floats.
const ROW_WIDTH: u32 = 1 << 20;
/// The widest relation row, in floats: d x d for d = 4,096.
const RELATION_WIDTH: u32 = 1 << 24;
const SHARED_TENSORS: usize = 64;
const SHARED_RANK: usize = 8;
/// The most values of all shared tensors together: 128 MiB.
const SHARED_VALUES: usize = 1 << 25;

/// What a plugin is configured with, as the contract carries it.
pub(crate) struct Settings {
    pub(crate) dim: u32,
    pub(crate) hyper_parameters: Vec<HyperValue>,
}

impl Settings {
    /// Complete hyper-parameters in the order of the description.
    ///
    /// # Panics
    /// If `dim` is not a `u32`.
    pub(crate) fn new(description: &Description, dim: usize, complete: &HyperParameters) -> Self {
        let hyper_parameters = description
            .hyper_parameters
            .iter()
            .map(|parameter| HyperValue {
                name: parameter.name.clone(),
                value: complete.get(&parameter.name).copied().unwrap_or(parameter.default),
            })
            .collect();
        assert!(u32::try_from(dim).is_ok(), "dim is checked before");
        Self { dim: dim as u32, hyper_parameters }
    }
}

pub(crate) fn guest_direction(direction: Direction) -> bindings::Direction {
    match direction {
        Direction::Tail => bindings::Direction::Tail,
        Direction::Head => bindings::Direction::Head,
        Direction::Relation => bindings::Direction::Relation,
    }
}

/// A layout field that the contract does not allow.
pub(crate) fn wrong(plugin: &str, field: &str, reason: String) -> Error {
    Error::Field { plugin: plugin.into(), function: "layout", field: field.into(), reason }
}

/// The host's layout of a plugin's own.
pub(crate) fn layout(plugin: &str, told: bindings::Layout) -> Result<Layout> {
    let wrong = |field: &str, reason: String| wrong(plugin, field, reason);
    let width = |field, value: u32, limit: u32| match value {
        1.. if value <= limit => Ok(value as usize),
        _ => Err(wrong(field, format!("must lie between 1 and {limit}, not {value}"))),
    };
    let entity_width = width("entity-width", told.entity_width, ROW_WIDTH)?;
    let relation_width = width("relation-width", told.relation_width, RELATION_WIDTH)?;
    let query_width = width("query-width", told.query_width, ROW_WIDTH)?;

    let similarity = match told.similarity {
        bindings::Similarity::Dot => Similarity::Dot,
        bindings::Similarity::L1 => Similarity::L1,
        bindings::Similarity::L2 => Similarity::L2,
        bindings::Similarity::SquaredL2 => Similarity::SquaredL2,
        bindings::Similarity::Modulus => Similarity::Modulus,
    };
    if !told.projects_candidates && query_width != entity_width {
        let reason = format!(
            "is {query_width}, but entity-width is {entity_width} and candidates are not projected"
        );
        return Err(wrong("query-width", reason));
    }
    for (field, width, applies) in [
        ("entity-width", entity_width, told.complex),
        ("query-width", query_width, similarity == Similarity::Modulus),
    ] {
        if applies && width % 2 == 1 {
            let reason = format!("must be even, a real and an imaginary half, not {width}");
            return Err(wrong(field, reason));
        }
    }

    let mut directions: Vec<Direction> = Vec::new();
    for direction in told.directions {
        let direction = match direction {
            bindings::Direction::Tail => Direction::Tail,
            bindings::Direction::Head => Direction::Head,
            bindings::Direction::Relation => Direction::Relation,
        };
        if directions.contains(&direction) {
            return Err(wrong("directions", "names one direction twice".into()));
        }
        directions.push(direction);
    }
    if !directions.contains(&Direction::Tail) {
        return Err(wrong("directions", "must hold tail".into()));
    }
    if directions.contains(&Direction::Relation) && query_width != relation_width {
        let reason = format!(
            "holds relation, but query-width is {query_width} and relation-width {relation_width}"
        );
        return Err(wrong("directions", reason));
    }

    Ok(Layout {
        similarity,
        directions,
        bias: told.bias,
        entity_width,
        relation_width,
        query_width,
        complex: told.complex,
        projects_candidates: told.projects_candidates,
        entity_initialiser: initialiser(told.entity_initialiser)
            .map_err(|reason| wrong("entity-initialiser", reason))?,
        relation_initialiser: initialiser(told.relation_initialiser)
            .map_err(|reason| wrong("relation-initialiser", reason))?,
        entity_constraint: constraint(told.entity_constraint),
        relation_constraint: constraint(told.relation_constraint),
        shared: shared(plugin, told.shared)?,
    })
}

fn initialiser(told: bindings::Initialiser) -> Result<Initialiser, String> {
    match told {
        bindings::Initialiser::Zeros => Ok(Initialiser::Zeros),
        bindings::Initialiser::Normal(deviation) if deviation.is_finite() && deviation >= 0.0 => {
            Ok(Initialiser::Normal { deviation })
        }
        bindings::Initialiser::Normal(deviation) => {
            Err(format!("must have a finite deviation of 0 or more, not {deviation}"))
        }
        // The span too: the host multiplies by it.
        bindings::Initialiser::Uniform((low, high))
            if low.is_finite() && (high - low).is_finite() && low <= high =>
        {
            Ok(Initialiser::Uniform { low, high })
        }
        bindings::Initialiser::Uniform((low, high)) => {
            Err(format!("must have finite ordered bounds, not {low} to {high}"))
        }
    }
}

fn constraint(told: bindings::Constraint) -> Constraint {
    match told {
        bindings::Constraint::None => Constraint::None,
        bindings::Constraint::UnitNorm => Constraint::UnitNorm,
        bindings::Constraint::UnitBall => Constraint::UnitBall,
        bindings::Constraint::Phase => Constraint::Phase,
    }
}

fn shared(plugin: &str, told: Vec<bindings::SharedTensor>) -> Result<Vec<SharedTensor>> {
    if told.len() > SHARED_TENSORS {
        let reason = format!("has {} tensors, {SHARED_TENSORS} at most", told.len());
        return Err(wrong(plugin, "shared", reason));
    }
    let mut tensors: Vec<SharedTensor> = Vec::with_capacity(told.len());
    let mut values = 0_usize;
    for (index, tensor) in told.into_iter().enumerate() {
        let wrong =
            |field: &str, reason| wrong(plugin, &format!("shared[{index}].{field}"), reason);
        if !is_name(&tensor.name) {
            return Err(wrong("name", not_a_name(&tensor.name)));
        }
        if tensors.iter().any(|other| other.name == tensor.name) {
            return Err(wrong("name", format!("repeats {}", quote(&tensor.name))));
        }
        if !(1..=SHARED_RANK).contains(&tensor.shape.len()) {
            let reason =
                format!("must have 1 to {SHARED_RANK} extents, not {}", tensor.shape.len());
            return Err(wrong("shape", reason));
        }
        let shape: Vec<usize> = tensor.shape.iter().map(|&extent| extent as usize).collect();
        let size = shape
            .iter()
            .try_fold(1_usize, |size, &extent| size.checked_mul(extent))
            .filter(|&size| size > 0);
        values = match size.and_then(|size| values.checked_add(size)) {
            Some(values) if values <= SHARED_VALUES => values,
            _ => {
                let reason = format!(
                    "{shape:?} must hold at least one value, and all tensors together \
                     {SHARED_VALUES} at most"
                );
                return Err(wrong("shape", reason));
            }
        };
        let initialiser =
            initialiser(tensor.initialiser).map_err(|reason| wrong("initialiser", reason))?;
        tensors.push(SharedTensor { name: tensor.name, shape, initialiser });
    }
    Ok(tensors)
}
