//! Calls into `candidates`, the interface of models that project their candidates.
//!
//! A second world would give the contract's types a second time; so the two functions are looked
//! up here and called with the types of the first.

use kge_model::QueryBatch;
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, Instance, Lift, ResourceAny,
};

use crate::bindings::{self, CANDIDATES, Direction};
use crate::layout::guest_direction;
use crate::sandbox::State;

/// Where a component exports the two functions.
#[derive(Clone)]
pub(crate) struct Exports {
    candidate: ComponentExportIndex,
    candidate_vjp: ComponentExportIndex,
}

/// What `candidate-vjp` gives back.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Gradients {
    #[component(name = "d-entities")]
    pub(crate) d_entities: Vec<f32>,
    #[component(name = "d-relations")]
    pub(crate) d_relations: Vec<f32>,
    #[component(name = "d-shared")]
    pub(crate) d_shared: Vec<Vec<f32>>,
}

type Rows<'a> = (ResourceAny, Direction, &'a [f32], &'a [f32], &'a [u32], &'a [f32]);
type RowsAndGradient<'a> =
    (ResourceAny, Direction, &'a [f32], &'a [f32], &'a [u32], &'a [f32], &'a [f32]);
type Answer<T> = wasmtime::Result<Result<T, bindings::Error>>;

impl Exports {
    /// The exports of a component, if it has the interface.
    pub(crate) fn find(component: &Component) -> Option<Self> {
        let candidates = component.get_export_index(None, CANDIDATES)?;
        let function = |name| component.get_export_index(Some(&candidates), name);
        Some(Self { candidate: function("candidate")?, candidate_vjp: function("candidate-vjp")? })
    }

    pub(crate) fn candidate(
        &self,
        (instance, store): (&Instance, &mut Store<State>),
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
    ) -> Answer<Vec<f32>> {
        let function = instance.get_typed_func::<Rows<'_>, (Result<Vec<f32>, bindings::Error>,)>(
            &mut *store,
            &self.candidate,
        )?;
        let direction = guest_direction(batch.direction);
        let QueryBatch { anchors, relations, relation_of, context, .. } = *batch;
        let arguments = (scorer, direction, anchors, relations, relation_of, context);
        function.call(store, arguments).map(|(answer,)| answer)
    }

    pub(crate) fn candidate_vjp(
        &self,
        (instance, store): (&Instance, &mut Store<State>),
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
    ) -> Answer<Gradients> {
        let function = instance
            .get_typed_func::<RowsAndGradient<'_>, (Result<Gradients, bindings::Error>,)>(
                &mut *store,
                &self.candidate_vjp,
            )?;
        let direction = guest_direction(batch.direction);
        let QueryBatch { anchors, relations, relation_of, context, .. } = *batch;
        let arguments = (scorer, direction, anchors, relations, relation_of, context, d_candidate);
        function.call(store, arguments).map(|(answer,)| answer)
    }
}
