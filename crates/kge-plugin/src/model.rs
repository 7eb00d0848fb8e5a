//! A configured plugin as a scoring model, and its sessions.

use std::sync::Arc;

use kge_model::{
    Description, Direction, Error as ModelError, HyperParameters, Layout, QueryBatch,
    QueryGradient, ScoringModel, Session,
};
use wasmtime::component::ResourceAny;

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

impl PluginSession<'_> {
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
        let gradients = self.run(|sandbox, scorer| sandbox.query_vjp(scorer, batch, d_query))?;
        out.anchors = gradients.d_anchors;
        out.relations = gradients.d_relations;
        out.shared = gradients.d_shared;
        self.length(FUNCTION, "d-anchors", out.anchors.len(), batch.anchors.len())?;
        self.length(FUNCTION, "d-relations", out.relations.len(), batch.relations.len())?;
        self.length(FUNCTION, "d-shared", out.shared.len(), layout.shared.len())?;
        for (gradient, tensor) in out.shared.iter().zip(&layout.shared) {
            self.length(FUNCTION, "d-shared", gradient.len(), tensor.shape.iter().product())?;
            self.finite(FUNCTION, gradient, gradient.len())?;
        }
        self.finite(FUNCTION, &out.anchors, layout.entity_width)?;
        self.finite(FUNCTION, &out.relations, layout.relation_width)
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
