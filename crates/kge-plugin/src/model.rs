//! A configured plugin as a scoring model, and its sessions.

use std::sync::Arc;

use kge_model::{
    Description, Direction, Error as ModelError, HyperParameters, Layout, QueryBatch,
    QueryGradient, ScoringModel, Session,
};
use wasmtime::component::ResourceAny;

use crate::candidates;
use crate::layout::Settings;
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

    fn admit(&self, function: &'static str, batch: &QueryBatch<'_>) -> Result<()> {
        let layout = &self.model.layout;
        if !layout.answers(batch.direction) {
            return Err(ModelError::Unsupported {
                model: self.name().to_owned(),
                what: format!("direction {}", direction_name(batch.direction)),
            });
        }
        batch.verify(self.name(), layout)?;
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

    /// Whether gradients have the lengths of what they are by, and finite values.
    fn sound(
        &self,
        function: &'static str,
        by_anchors: &'static str,
        batch: &QueryBatch<'_>,
        gradient: &QueryGradient,
    ) -> Result<()> {
        let layout = &self.model.layout;
        self.length(function, by_anchors, gradient.anchors.len(), batch.anchors.len())?;
        self.length(function, "d-relations", gradient.relations.len(), batch.relations.len())?;
        self.length(function, "d-shared", gradient.shared.len(), layout.shared.len())?;
        for (gradient, tensor) in gradient.shared.iter().zip(&layout.shared) {
            self.length(function, "d-shared", gradient.len(), tensor.shape.iter().product())?;
            self.finite(function, gradient, gradient.len())?;
        }
        self.finite(function, &gradient.anchors, layout.entity_width)?;
        self.finite(function, &gradient.relations, layout.relation_width)
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
        // All exponent bits set: without branches, so that it takes a fraction of the copy.
        const EXPONENT: u32 = 0x7f80_0000;
        let unsound = |any, value: &f32| any | (value.to_bits() & EXPONENT == EXPONENT);
        if !rows.iter().fold(false, unsound) {
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
        self.admit("query", batch)?;
        let width = self.model.layout.query_width;
        *out = self.run(|sandbox, scorer| sandbox.query(scorer, batch))?;
        self.length("query", "query rows", out.len(), batch.len() * width)?;
        self.finite("query", out, width)
    }

    fn query_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        const FUNCTION: &str = "query-vjp";
        self.admit(FUNCTION, batch)?;
        let layout = &self.model.layout;
        self.length(FUNCTION, "d-query", d_query.len(), batch.len() * layout.query_width)?;
        let told = self.run(|sandbox, scorer| sandbox.query_vjp(scorer, batch, d_query))?;
        *out = QueryGradient {
            anchors: told.d_anchors,
            relations: told.d_relations,
            shared: told.d_shared,
        };
        self.sound(FUNCTION, "d-anchors", batch, out)
    }

    fn candidate(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        const FUNCTION: &str = "candidate";
        let exports = self.projecting(batch)?;
        self.admit(FUNCTION, batch)?;
        let width = self.model.layout.query_width;
        *out = self.run(|sandbox, scorer| sandbox.candidate(exports, scorer, batch))?;
        self.length(FUNCTION, "candidate rows", out.len(), batch.len() * width)?;
        self.finite(FUNCTION, out, width)
    }

    fn candidate_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        const FUNCTION: &str = "candidate-vjp";
        let exports = self.projecting(batch)?;
        self.admit(FUNCTION, batch)?;
        let expected = batch.len() * self.model.layout.query_width;
        self.length(FUNCTION, "d-candidate", d_candidate.len(), expected)?;
        let told =
            self.run(|sandbox, scorer| sandbox.candidate_vjp(exports, scorer, batch, d_candidate))?;
        *out = QueryGradient {
            anchors: told.d_entities,
            relations: told.d_relations,
            shared: told.d_shared,
        };
        self.sound(FUNCTION, "d-entities", batch, out)
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
