//! Whether a plugin keeps the contract.

use std::fmt;

use kge_model::{
    Direction, HyperParameters, QueryBatch, QueryGradient, ScoringModel as _, Session,
};
use serde::{Deserialize, Serialize};

use crate::{Plugin, PluginModel, model::direction_name};

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// One finding a property, in the order they were tried.
    pub findings: Vec<Finding>,
}

/// One property of the contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried: `gradient, direction tail`.
    pub what: String,
    /// Whether it holds.
    pub passed: bool,
    /// The figure that was found, or why it does not hold.
    pub detail: String,
}

impl CheckReport {
    /// Whether the plugin keeps the contract.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.passed)
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} ({})", self.plugin, self.version, self.sha256)?;
        for Finding { what, passed, detail } in &self.findings {
            writeln!(f, "  {} {what}: {detail}", if *passed { "ok    " } else { "FAILED" })?;
        }
        write!(f, "{}", if self.passed() { "keeps the contract" } else { "breaks the contract" })
    }
}

/// Tries the whole contract on a plugin: lengths, finite values, the same bytes from two
/// sandboxes, and gradients against central differences, in each direction it answers.
pub fn check(plugin: &Plugin) -> CheckReport {
    let mut findings = Vec::new();
    for dim in [1, 8, 33] {
        let what = format!("configuration, dim {dim}");
        match plugin.configure(dim, &HyperParameters::new()) {
            Ok(model) => {
                let layout = model.layout();
                let detail =
                    format!("rows of {} and {} floats", layout.entity_width, layout.relation_width);
                findings.push(Finding { what, passed: true, detail });
                for &direction in &layout.directions {
                    findings.push(same_bytes(&model, direction));
                    findings.push(gradient(&model, direction));
                }
            }
            // A model may refuse a dimension in words (an odd one, say), but not all of them.
            Err(error) => {
                let passed = dim == 1 || dim == 33;
                findings.push(Finding { what, passed, detail: error.to_string() });
            }
        }
    }
    CheckReport {
        plugin: plugin.description().name.clone(),
        version: plugin.description().version.clone(),
        sha256: plugin.sha256().to_owned(),
        findings,
    }
}

/// Queries of a check: two of them share a relation row.
const BATCH: usize = 5;
const RELATION_OF: [u32; BATCH] = [0, 2, 1, 2, 0];
const DISTINCT: usize = 3;
/// The step of a central difference, and how far from it a gradient may be, relative to the
/// largest component: f32 rows leave about three digits.
const STEP: f32 = 1e-2;
const TOLERANCE: f64 = 5e-3;

/// The arguments of one call.
struct Rows {
    direction: Direction,
    anchors: Vec<f32>,
    relations: Vec<f32>,
}

impl Rows {
    fn of(model: &PluginModel, direction: Direction) -> Self {
        let layout = model.layout();
        let lists = if direction == Direction::Relation { 2 } else { 1 };
        let relations = if direction == Direction::Relation { 0 } else { DISTINCT };
        Self {
            direction,
            anchors: values(lists * BATCH * layout.entity_width, 1),
            relations: values(relations * layout.relation_width, 2),
        }
    }

    fn batch(&self) -> QueryBatch<'_> {
        let of = if self.direction == Direction::Relation { &[0; BATCH] } else { &RELATION_OF };
        QueryBatch {
            direction: self.direction,
            anchors: &self.anchors,
            relations: &self.relations,
            relation_of: of,
            context: &[],
        }
    }
}

/// Values between -1 and 1 that repeat nowhere near.
fn values(count: usize, salt: u64) -> Vec<f32> {
    let mut state = salt;
    let mut draw = || {
        // Numerical Recipes' linear congruential generator: spread is all that counts here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

fn tensors(model: &PluginModel) -> Vec<Vec<f32>> {
    let shared = model.layout().shared.iter().zip(3..);
    shared.map(|(tensor, salt)| values(tensor.shape.iter().product(), salt)).collect()
}

fn open<'m>(
    model: &'m PluginModel,
    shared: &[Vec<f32>],
) -> kge_model::Result<Box<dyn Session + 'm>> {
    let mut session = model.session()?;
    if !shared.is_empty() {
        session.set_shared(shared)?;
    }
    Ok(session)
}

fn found(what: String, outcome: kge_model::Result<Result<String, String>>) -> Finding {
    match outcome {
        Ok(Ok(detail)) => Finding { what, passed: true, detail },
        Ok(Err(detail)) => Finding { what, passed: false, detail },
        Err(error) => Finding { what, passed: false, detail: error.to_string() },
    }
}

fn same_bytes(model: &PluginModel, direction: Direction) -> Finding {
    let what = format!("same bytes, direction {}", direction_name(direction));
    let run = || -> kge_model::Result<Vec<u32>> {
        let (rows, mut session) = (Rows::of(model, direction), open(model, &tensors(model))?);
        let (mut queries, mut gradient) = (Vec::new(), QueryGradient::default());
        session.query(&rows.batch(), &mut queries)?;
        session.query_vjp(&rows.batch(), &values(queries.len(), 4), &mut gradient)?;
        let all = queries.iter().chain(&gradient.anchors).chain(&gradient.relations);
        Ok(all.chain(gradient.shared.iter().flatten()).map(|value| value.to_bits()).collect())
    };
    let compare = || -> kge_model::Result<Result<String, String>> {
        Ok(if run()? == run()? {
            Ok("two sandboxes agree".into())
        } else {
            Err("two sandboxes answered the same call differently".into())
        })
    };
    found(what, compare())
}

fn gradient(model: &PluginModel, direction: Direction) -> Finding {
    let what = format!("gradient, direction {}", direction_name(direction));
    found(what, worst_gradient(model, direction))
}

/// The largest difference between a gradient and central differences, relative to the largest
/// component.
fn worst_gradient(
    model: &PluginModel,
    direction: Direction,
) -> kge_model::Result<Result<String, String>> {
    let (mut rows, mut shared) = (Rows::of(model, direction), tensors(model));
    let mut session = open(model, &shared)?;
    let weights = values(BATCH * model.layout().query_width, 4);
    let mut exact = QueryGradient::default();
    session.query_vjp(&rows.batch(), &weights, &mut exact)?;
    let mut queries = Vec::new();
    let mut loss = |rows: &Rows, shared: Option<&[Vec<f32>]>| -> kge_model::Result<f64> {
        if let Some(shared) = shared {
            session.set_shared(shared)?;
        }
        session.query(&rows.batch(), &mut queries)?;
        Ok(queries.iter().zip(&weights).map(|(q, w)| f64::from(*q) * f64::from(*w)).sum())
    };
    let all = exact.anchors.iter().chain(&exact.relations).chain(exact.shared.iter().flatten());
    let scale = all.fold(1e-3_f64, |largest, value| largest.max(f64::from(value.abs())));
    let mut worst = (0.0_f64, String::new());
    let mut note = |list: &str, at: usize, exact: f32, up: f64, down: f64, span: f32| {
        let off = (f64::from(exact) - (up - down) / f64::from(span)).abs() / scale;
        if off > worst.0 || off.is_nan() {
            worst = (off, format!("{list}[{at}]"));
        }
    };
    for list in ["anchors", "relations"] {
        let (gradient, slot): (_, fn(&mut Rows) -> &mut Vec<f32>) = match list {
            "anchors" => (&exact.anchors, |rows| &mut rows.anchors),
            _ => (&exact.relations, |rows| &mut rows.relations),
        };
        for (at, &exact) in gradient.iter().enumerate() {
            let old = slot(&mut rows)[at];
            let (high, low) = (old + STEP, old - STEP);
            slot(&mut rows)[at] = high;
            let up = loss(&rows, None)?;
            slot(&mut rows)[at] = low;
            let down = loss(&rows, None)?;
            slot(&mut rows)[at] = old;
            note(list, at, exact, up, down, high - low);
        }
    }
    for tensor in 0..shared.len() {
        for at in 0..shared[tensor].len() {
            let old = shared[tensor][at];
            let (high, low) = (old + STEP, old - STEP);
            shared[tensor][at] = high;
            let up = loss(&rows, Some(&shared))?;
            shared[tensor][at] = low;
            let down = loss(&rows, Some(&shared))?;
            shared[tensor][at] = old;
            note("shared", at, exact.shared[tensor][at], up, down, high - low);
        }
    }
    let (off, place) = worst;
    Ok(if off <= TOLERANCE {
        Ok(format!("within {off:.1e} of central differences"))
    } else {
        Err(format!(
            "d-{place} is {off:.1e} away from central differences, at most {TOLERANCE:.0e} is allowed"
        ))
    })
}
