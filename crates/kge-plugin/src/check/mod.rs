//! Whether a plugin keeps the contract.

mod gradient;
mod trial;

use std::fmt;
use std::time::{Duration, Instant};

use kge_model::{Direction, HyperParameters, ScoringModel as _};
use serde::{Deserialize, Serialize};

use self::trial::{Function, Trial};
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

/// Dimensions that are tried: the least, an even one and an odd one. A model may refuse the odd
/// ones, but not all of them.
const DIMS: [usize; 3] = [1, 8, 33];
/// What a model is asked once under the host's limits: a batch as training has it.
/// How long a check may take: a plugin that uses up each call's deadline would take hours.
const PATIENCE: Duration = Duration::from_secs(60);
const LARGE_DIM: usize = 128;
const LARGE_BATCH: usize = 512;

/// Tries the whole contract on a plugin: lengths, finite values, the same bytes from two
/// sandboxes, gradients against central differences, and rows near the ends of what training
/// meets, in each direction it answers; then one large batch under the host's limits.
pub fn check(plugin: &Plugin) -> CheckReport {
    let mut findings = Vec::new();
    let until = Instant::now() + PATIENCE;
    for dim in DIMS.into_iter().take_while(|_| Instant::now() <= until) {
        let what = format!("configuration, dim {dim}");
        match plugin.configure(dim, &HyperParameters::new()) {
            Ok(model) => {
                findings.push(Finding { what, passed: true, detail: shape(&model) });
                for (function, direction) in functions(&model) {
                    let trial = Trial::new(&model, function, direction, trial::RELATION_OF.len());
                    let mut note = |what, outcome| {
                        findings.push(found(named(what, function, direction), outcome));
                    };
                    note("same bytes", same_bytes(&trial));
                    note("gradient", gradient::worst(&trial, until));
                    note("numerical range", finite(&trial));
                }
            }
            Err(error) => {
                let passed = dim % 2 == 1;
                findings.push(Finding { what, passed, detail: error.to_string() });
            }
        }
    }
    if Instant::now() > until {
        findings.push(found("time".into(), Ok(Err(too_slow()))));
    } else if let Ok(model) = plugin.configure(LARGE_DIM, &HyperParameters::new()) {
        for (function, direction) in functions(&model) {
            let trial = Trial::new(&model, function, direction, LARGE_BATCH);
            findings.push(found(named("limits", function, direction), large(&trial)));
        }
    }
    CheckReport {
        plugin: plugin.description().name.clone(),
        version: plugin.description().version.clone(),
        sha256: plugin.sha256().to_owned(),
        findings,
    }
}

/// A property that holds, and its figure; or why it does not.
type Outcome = Result<String, String>;

fn named(what: &str, function: Function, direction: Direction) -> String {
    match function {
        Function::Query => format!("{what}, direction {}", direction_name(direction)),
        Function::Candidate => {
            format!("{what} of candidates, direction {}", direction_name(direction))
        }
    }
}

fn shape(model: &PluginModel) -> String {
    let layout = model.layout();
    let mut shape = format!("rows of {} and {} floats", layout.entity_width, layout.relation_width);
    if layout.projects_candidates {
        shape += &format!(", candidates projected to {}", layout.query_width);
    }
    if layout.bias {
        shape += ", a bias for each entity";
    }
    for tensor in &layout.shared {
        shape += &format!(", shared {} {:?}", tensor.name, tensor.shape);
    }
    shape
}

/// What a model can be asked.
fn functions(model: &PluginModel) -> Vec<(Function, Direction)> {
    let mut functions = Vec::new();
    for &direction in &model.layout().directions {
        functions.push((Function::Query, direction));
        if model.layout().projects_candidates && direction != Direction::Relation {
            functions.push((Function::Candidate, direction));
        }
    }
    functions
}

fn found(what: String, outcome: kge_model::Result<Outcome>) -> Finding {
    let (passed, detail) = match outcome {
        Ok(Ok(detail)) => (true, detail),
        Ok(Err(detail)) => (false, detail),
        Err(error) => (false, error.to_string()),
    };
    Finding { what, passed, detail }
}

fn same_bytes(trial: &Trial<'_>) -> kge_model::Result<Outcome> {
    Ok(match trial.bits()? == trial.bits()? {
        true => Ok("two sandboxes agree".into()),
        false => Err("two sandboxes answered the same call differently".into()),
    })
}

/// Rows of zeros, tiny and large ones: every answer must be finite.
fn finite(trial: &Trial<'_>) -> kge_model::Result<Outcome> {
    const SCALES: [f32; 3] = [0.0, 1e-6, 1e3];
    for scale in SCALES {
        if let Err(error) = trial.scaled(scale).bits() {
            return Ok(Err(format!("rows times {scale:e}: {error}")));
        }
    }
    Ok(Ok(format!("finite for rows times {SCALES:?}")))
}

fn too_slow() -> String {
    format!("not everything was tried within {} s", PATIENCE.as_secs())
}

fn large(trial: &Trial<'_>) -> kge_model::Result<Outcome> {
    trial.bits()?;
    Ok(Ok(format!("{LARGE_BATCH} rows of dim {LARGE_DIM} answered")))
}
