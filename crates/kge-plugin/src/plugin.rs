//! A loaded component.

use std::sync::Arc;

use kge_model::{Description, Error as ModelError, HyperParameters, Layout};

use crate::bindings::ModelPre;
use crate::candidates;
use crate::host::Clock;
use crate::model::PluginModel;
use crate::sandbox::{Sandbox, State};
use crate::{Limits, Result, layout};

/// The largest dimension a model can be configured with.
pub(crate) const MAX_DIM: usize = 65_536;

/// A component that has been loaded and has described itself. Cloning it shares it.
#[derive(Clone)]
pub struct Plugin(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) description: Description,
    pub(crate) sha256: String,
    pub(crate) instance: ModelPre<State>,
    pub(crate) limits: Limits,
    /// The interface of models that project their candidates, if the component exports it.
    pub(crate) candidates: Option<candidates::Exports>,
    // Deadlines are only kept while the clock runs.
    #[allow(dead_code, reason = "held for its thread")]
    pub(crate) clock: Arc<Clock>,
}

impl Plugin {
    /// What the model says of itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// SHA-256 of the component, in hexadecimal: what a published model records.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// The model for rows of dimension `dim`; hyper-parameters that are not given have their
    /// defaults.
    ///
    /// # Errors
    /// If the dimension or a hyper-parameter is not allowed, the model refuses them, or its layout
    /// is not one that the contract allows.
    pub fn configure(&self, dim: usize, given: &HyperParameters) -> Result<PluginModel> {
        let Loaded { description, instance, limits, candidates, .. } = &*self.0;
        let refuse = |reason| ModelError::Configuration { model: description.name.clone(), reason };
        if !(1..=MAX_DIM).contains(&dim) {
            return Err(refuse(format!("dim must lie between 1 and {MAX_DIM}, not {dim}")).into());
        }
        let hyper_parameters = description.complete(given).map_err(refuse)?;
        let settings = layout::Settings::new(description, dim, &hyper_parameters);

        let mut sandbox = Sandbox::open(&description.name, "configure", instance, limits)?;
        let scorer = sandbox.configure(&settings)?;
        let layout: Layout = layout::layout(&description.name, sandbox.layout(scorer)?)?;
        if layout.projects_candidates != candidates.is_some() {
            let reason = match layout.projects_candidates {
                true => "is true, but the component does not export candidates",
                false => "is false, but the component exports candidates",
            };
            return Err(layout::wrong(&description.name, "projects-candidates", reason.into()));
        }
        Ok(PluginModel { plugin: Arc::clone(&self.0), settings, layout, hyper_parameters })
    }
}
