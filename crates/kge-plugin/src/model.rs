//! A configured plugin as a scoring model, and its sessions.

use std::sync::Arc;

use kge_kernels::row::all_finite;
use kge_model::{
    Description, Direction, Error as ModelError, HyperParameters, Layout, QueryBatch,
    QueryGradient, ScoringModel, Session,
};
use wasmtime::component::ResourceAny;

use crate::candidates;
use crate::layout::Settings;
use crate::parts::Parts;
use crate::plugin::Loaded;
use crate::sandbox::Sandbox;

type Result<T> = kge_model::Result<T>;

/// A configured plugin: a scoring model that all threads share.
pub struct PluginModel {
    pub(crate) plugin: Arc<Loaded>,
    pub(crate) settings: Settings,
    pub(crate) layout: Layout,
    pub(crate) hyper_parameters: HyperParameters,
}

impl PluginModel {
    /// The hyper-parameters it was configured with, defaults filled in.
    pub fn hyper_parameters(&self) -> &HyperParameters {
        &self.hyper_parameters
    }

    /// The dimension it was configured with.
    pub fn dim(&self) -> usize {
        self.settings.dim as usize
    }
}

impl ScoringModel for PluginModel {
    fn description(&self) -> &Description {
        &self.plugin.description
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        let mut session =
            PluginSession { model: self, sandbox: None, has_shared: self.layout.shared.is_empty() };
        session.sandbox()?;
        Ok(Box::new(session))
    }
}

/// One thread's sandbox. A sandbox that failed is dropped; the next call opens a fresh one.
struct PluginSession<'a> {
    model: &'a PluginModel,
    sandbox: Option<(Sandbox, ResourceAny)>,
    /// Whether the sandbox has the shared tensors it needs.
    has_shared: bool,
}

/// What the contract calls a vector-Jacobian product and its lists.
struct GradientNames {
    function: &'static str,
    /// The gradient that it is given.
    given: &'static str,
    /// The gradient by the anchors.
    anchors: &'static str,
}

impl<'a> PluginSession<'a> {
    fn name(&self) -> &str {
        &self.model.plugin.description.name
    }

    fn sandbox(&mut self) -> Result<(&mut Sandbox, ResourceAny)> {
        if self.sandbox.is_none() {
            let Loaded { description, instance, limits, .. } = &*self.model.plugin;
            let mut sandbox = Sandbox::open(&description.name, "configure", instance, limits)?;
            let scorer = sandbox.configure(&self.model.settings)?;
            self.sandbox = Some((sandbox, scorer));
            self.has_shared = self.model.layout.shared.is_empty();
        }
        match &mut self.sandbox {
            Some((sandbox, scorer)) => Ok((sandbox, *scorer)),
            None => unreachable!("opened above"),
        }
    }

    /// Runs one call; a sandbox whose call trapped is not used again.
    fn run<T>(&mut self, call: impl FnOnce(&mut Sandbox, ResourceAny) -> Result<T>) -> Result<T> {
        let (sandbox, scorer) = self.sandbox()?;
        let answer = call(sandbox, scorer);
        if sandbox.broken() {
            self.sandbox = None;
        }
        answer
    }

    /// Checks a batch and begins its deadline and its budget.
    fn admit(&mut self, function: &'static str, batch: &QueryBatch<'_>) -> Result<()> {
        let layout = &self.model.layout;
        if !layout.answers(batch.direction) {
            return Err(ModelError::Unsupported {
                model: self.name().to_owned(),
                what: format!("direction {}", direction_name(batch.direction)),
            });
        }
        batch.verify(self.name(), layout)?;
        self.sandbox()?.0.begin();
        // A sandbox that was replaced after a failure has lost them.
        if !self.has_shared {
            return Err(ModelError::Failed {
                model: self.name().to_owned(),
                function,
                reason: "the shared tensors have not been set".into(),
            });
        }
        Ok(())
    }

    /// The interface of a model that projects its candidates, for a batch it can be asked.
    fn projecting(&self, batch: &QueryBatch<'_>) -> Result<&'a candidates::Exports> {
        let model = self.model;
        let unsupported = |what: &str| ModelError::Unsupported {
            model: model.plugin.description.name.clone(),
            what: what.to_owned(),
        };
        match &model.plugin.candidates {
            None => Err(unsupported("projecting candidates")),
            Some(_) if batch.direction == Direction::Relation => {
                Err(unsupported("projecting relations"))
            }
            Some(exports) => Ok(exports),
        }
    }

    /// The rows that a function makes of a batch, in one call or in [`Parts`].
    fn rows(
        &mut self,
        function: &'static str,
        what: &'static str,
        batch: &QueryBatch<'_>,
        out: &mut Vec<f32>,
        mut call: impl FnMut(&mut Sandbox, ResourceAny, &QueryBatch<'_>) -> Result<Vec<f32>>,
    ) -> Result<()> {
        self.admit(function, batch)?;
        let width = self.model.layout.query_width;
        match Parts::of(batch, &self.model.layout) {
            None => {
                *out = self.run(|sandbox, scorer| call(sandbox, scorer, batch))?;
                self.length(function, what, out.len(), batch.len() * width)?;
            }
            Some(parts) => {
                out.resize(batch.len() * width, 0.0);
                for part in parts.iter() {
                    let rows = self.run(|sandbox, scorer| call(sandbox, scorer, &part.batch()))?;
                    self.length(function, what, rows.len(), part.queries.len() * width)?;
                    part.scatter(&rows, width, out);
                }
            }
        }
        self.finite(function, out, width)
    }

    /// The gradients that a function makes of a batch, in one call or in [`Parts`].
    fn gradients(
        &mut self,
        names: &GradientNames,
        batch: &QueryBatch<'_>,
        d_rows: &[f32],
        out: &mut QueryGradient,
        mut call: impl FnMut(
            &mut Sandbox,
            ResourceAny,
            &QueryBatch<'_>,
            &[f32],
        ) -> Result<QueryGradient>,
    ) -> Result<()> {
        self.admit(names.function, batch)?;
        let Layout { query_width, entity_width, relation_width, .. } = self.model.layout;
        self.length(names.function, names.given, d_rows.len(), batch.len() * query_width)?;
        match Parts::of(batch, &self.model.layout) {
            None => {
                *out = self.run(|sandbox, scorer| call(sandbox, scorer, batch, d_rows))?;
                self.fits(names, batch, out)?;
            }
            Some(parts) => {
                out.shared.clear();
                out.anchors.resize(batch.anchors.len(), 0.0);
                out.relations.clear();
                let mut sound = true;
                for part in parts.iter() {
                    let (asked, d_rows) = (part.batch(), part.gather(d_rows, query_width));
                    let told =
                        self.run(|sandbox, scorer| call(sandbox, scorer, &asked, &d_rows))?;
                    self.fits(names, &asked, &told)?;
                    // Here, where they are in the cache.
                    sound &= all_finite(&told.anchors) && all_finite(&told.relations);
                    part.scatter(&told.anchors, entity_width, &mut out.anchors);
                    // Those that no query uses lie between the parts.
                    out.relations.resize(part.relations.start * relation_width, 0.0);
                    out.relations.extend_from_slice(&told.relations);
                }
                out.relations.resize(batch.relations.len(), 0.0);
                if sound {
                    return Ok(());
                }
            }
        }
        for shared in &out.shared {
            self.finite(names.function, shared, shared.len())?;
        }
        self.finite(names.function, &out.anchors, entity_width)?;
        self.finite(names.function, &out.relations, relation_width)
    }

    /// Whether gradients have the lengths of what they are by.
    fn fits(
        &self,
        &GradientNames { function, anchors, .. }: &GradientNames,
        batch: &QueryBatch<'_>,
        gradient: &QueryGradient,
    ) -> Result<()> {
        let shared = &self.model.layout.shared;
        self.length(function, anchors, gradient.anchors.len(), batch.anchors.len())?;
        self.length(function, "d-relations", gradient.relations.len(), batch.relations.len())?;
        self.length(function, "d-shared", gradient.shared.len(), shared.len())?;
        for (gradient, tensor) in gradient.shared.iter().zip(shared) {
            self.length(function, "d-shared", gradient.len(), tensor.shape.iter().product())?;
        }
        Ok(())
    }

    fn length(
        &self,
        function: &'static str,
        what: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(ModelError::Length { model: self.name().into(), function, what, expected, found })
    }

    fn finite(&self, function: &'static str, rows: &[f32], width: usize) -> Result<()> {
        if all_finite(rows) {
            return Ok(());
        }
        match rows.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(index) => Err(ModelError::NotFinite {
                model: self.name().into(),
                function,
                row: index / width.max(1),
                value: rows[index],
            }),
        }
    }
}

impl Session for PluginSession<'_> {
    fn query(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        self.rows("query", "query rows", batch, out, |sandbox, scorer, batch| {
            sandbox.query(scorer, batch)
        })
    }

    fn query_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        const NAMES: GradientNames =
            GradientNames { function: "query-vjp", given: "d-query", anchors: "d-anchors" };
        self.gradients(&NAMES, batch, d_query, out, |sandbox, scorer, batch, d_query| {
            sandbox.query_vjp(scorer, batch, d_query)
        })
    }

    fn candidate(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        let exports = self.projecting(batch)?;
        self.rows("candidate", "candidate rows", batch, out, |sandbox, scorer, batch| {
            sandbox.candidate(exports, scorer, batch)
        })
    }

    fn candidate_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        const NAMES: GradientNames = GradientNames {
            function: "candidate-vjp",
            given: "d-candidate",
            anchors: "d-entities",
        };
        let exports = self.projecting(batch)?;
        self.gradients(&NAMES, batch, d_candidate, out, |sandbox, scorer, batch, d_candidate| {
            sandbox.candidate_vjp(exports, scorer, batch, d_candidate)
        })
    }

    fn set_shared(&mut self, tensors: &[Vec<f32>]) -> Result<()> {
        const FUNCTION: &str = "set-shared";
        let shared = &self.model.layout.shared;
        self.length(FUNCTION, "tensors", tensors.len(), shared.len())?;
        for (values, tensor) in tensors.iter().zip(shared) {
            self.length(FUNCTION, "tensors", values.len(), tensor.shape.iter().product())?;
        }
        if !shared.is_empty() {
            self.run(|sandbox, scorer| sandbox.set_shared(scorer, tensors))?;
            self.has_shared = true;
        }
        Ok(())
    }
}

pub(crate) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Tail => "tail",
        Direction::Head => "head",
        Direction::Relation => "relation",
    }
}
