//! One store and one instance: every call into a plugin goes through here, under its deadline and
//! its limits, and comes back as an answer or as an error in words.

use std::time::Duration;

use kge_model::{Error, QueryBatch, QueryGradient, Result};
use wasmtime::component::{Instance, ResourceAny};
use wasmtime::{ResourceLimiter, Store, Trap};

use crate::bindings::{self, Description, Gradients, Layout, Model, ModelPre};
use crate::candidates;
use crate::host::TICK;
use crate::layout::{Settings, guest_direction};
use crate::limits::Limits;

/// What a store knows beside the instance: how much it may still take.
pub(crate) struct State {
    limits: Limits,
    /// Bytes of all linear memories so far.
    memory_bytes: usize,
    /// Operations that the call may still have done by `linalg`.
    operations: u64,
    /// What was asked for beyond the limits.
    refused: Option<String>,
}

pub(crate) struct Sandbox {
    model: String,
    store: Store<State>,
    instance: Instance,
    scoring: Model,
    deadline: Duration,
    broken: bool,
}

impl Sandbox {
    /// A fresh instance; `function` is what the caller is about to do, for the error.
    pub(crate) fn open(
        model: &str,
        function: &'static str,
        instance: &ModelPre<State>,
        limits: &Limits,
    ) -> Result<Self> {
        let mut store = Store::new(instance.engine(), State::new(limits));
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.memory_bytes);
        store.set_epoch_deadline(ticks(limits.call_deadline));
        let opened = instance
            .instance_pre()
            .instantiate(&mut store)
            .and_then(|instance| Ok((instance, Model::new(&mut store, &instance)?)));
        match opened {
            Ok((instance, scoring)) => Ok(Self {
                model: model.to_owned(),
                store,
                instance,
                scoring,
                deadline: limits.call_deadline,
                broken: false,
            }),
            Err(error) => Err(Error::Failed {
                model: model.to_owned(),
                function,
                reason: reason(&error, store.data(), limits.call_deadline),
            }),
        }
    }

    /// Whether a call failed in a way after which the instance must not be used.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    pub(crate) fn describe(&mut self) -> Result<Description> {
        self.begin();
        self.call("describe", |_, scoring, store| {
            scoring.kge_model_scoring().call_describe(store).map(Ok)
        })
    }

    pub(crate) fn configure(&mut self, settings: &Settings) -> Result<ResourceAny> {
        self.begin();
        self.call("configure", |_, scoring, store| {
            scoring.kge_model_scoring().call_configure(
                store,
                settings.dim,
                &settings.hyper_parameters,
            )
        })
    }

    pub(crate) fn layout(&mut self, scorer: ResourceAny) -> Result<Layout> {
        self.begin();
        self.call("layout", |_, scoring, store| {
            scoring.kge_model_scoring().scorer().call_layout(store, scorer).map(Ok)
        })
    }

    /// As all that takes a batch: after [`begin`](Self::begin).
    pub(crate) fn query(
        &mut self,
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
    ) -> Result<Vec<f32>> {
        self.call("query", |_, scoring, store| {
            scoring.kge_model_scoring().scorer().call_query(
                store,
                scorer,
                guest_direction(batch.direction),
                batch.anchors,
                batch.relations,
                batch.relation_of,
                batch.context,
            )
        })
    }

    pub(crate) fn query_vjp(
        &mut self,
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
    ) -> Result<QueryGradient> {
        let told = self.call("query-vjp", |_, scoring, store| {
            scoring.kge_model_scoring().scorer().call_query_vjp(
                store,
                scorer,
                guest_direction(batch.direction),
                batch.anchors,
                batch.relations,
                batch.relation_of,
                batch.context,
                d_query,
            )
        })?;
        let Gradients { d_anchors, d_relations, d_shared } = told;
        Ok(QueryGradient { anchors: d_anchors, relations: d_relations, shared: d_shared })
    }

    pub(crate) fn set_shared(&mut self, scorer: ResourceAny, tensors: &[Vec<f32>]) -> Result<()> {
        self.begin();
        self.call("set-shared", |_, scoring, store| {
            scoring.kge_model_scoring().scorer().call_set_shared(store, scorer, tensors)
        })
    }

    pub(crate) fn candidate(
        &mut self,
        exports: &candidates::Exports,
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
    ) -> Result<Vec<f32>> {
        self.call("candidate", |instance, _, store| {
            exports.candidate((instance, store), scorer, batch)
        })
    }

    pub(crate) fn candidate_vjp(
        &mut self,
        exports: &candidates::Exports,
        scorer: ResourceAny,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
    ) -> Result<QueryGradient> {
        let told = self.call("candidate-vjp", |instance, _, store| {
            exports.candidate_vjp((instance, store), scorer, batch, d_candidate)
        })?;
        let candidates::Gradients { d_entities, d_relations, d_shared } = told;
        Ok(QueryGradient { anchors: d_entities, relations: d_relations, shared: d_shared })
    }

    /// From here on a deadline and a budget run: of one call, or of all that a batch takes.
    pub(crate) fn begin(&mut self) {
        self.store.set_epoch_deadline(ticks(self.deadline));
        let state = self.store.data_mut();
        state.operations = state.limits.call_operations;
    }

    /// One call under the deadline and the budget that run.
    fn call<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(
            &Instance,
            &Model,
            &mut Store<State>,
        ) -> wasmtime::Result<std::result::Result<T, bindings::Error>>,
    ) -> Result<T> {
        let model = || self.model.clone();
        match call(&self.instance, &self.scoring, &mut self.store) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(refused(model(), function, refusal)),
            Err(error) => {
                self.broken = true;
                let reason = reason(&error, self.store.data(), self.deadline);
                Err(Error::Failed { model: model(), function, reason })
            }
        }
    }
}

/// Ticks after which a call that takes this long has certainly had its time.
fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// What happened, in the words of the contract.
fn reason(error: &wasmtime::Error, state: &State, deadline: Duration) -> String {
    if let Some(refused) = &state.refused {
        return format!("plugin asked for more than {refused}");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!("plugin timed out after {} s", deadline.as_secs_f64()),
        Some(trap) => {
            format!("plugin trapped: {}", trap.to_string().trim_start_matches("wasm trap: "))
        }
        None => format!("plugin broke the contract: {}", error.root_cause()),
    }
}

/// The model's own refusal, in words.
fn refused(model: String, function: &'static str, refusal: bindings::Error) -> Error {
    let reason = match refusal {
        bindings::Error::Unsupported(what) => return Error::Unsupported { model, what },
        bindings::Error::Invalid(reason) if function == "configure" => {
            return Error::Configuration { model, reason };
        }
        bindings::Error::Invalid(reason) | bindings::Error::OutOfRange(reason) => reason,
        bindings::Error::Length(bindings::WrongLength { what, expected, found }) => {
            format!("plugin was given {found} floats in {what}, expected {expected}")
        }
    };
    Error::Failed { model, function, reason }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.limits.memory_bytes {
            return self.refuse(memory_size(self.limits.memory_bytes));
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            return self.refuse(format!("{} table elements", self.limits.table_elements));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

impl State {
    pub(crate) fn new(limits: &Limits) -> Self {
        let operations = limits.call_operations;
        Self { limits: limits.clone(), memory_bytes: 0, operations, refused: None }
    }

    /// Takes `operations` off the batch's budget, if it has them and `floats` fit into memory.
    ///
    /// # Errors
    /// Ends the call if not.
    pub(crate) fn afford(&mut self, floats: u128, operations: u128) -> wasmtime::Result<()> {
        let fits = floats.saturating_mul(4) <= self.limits.memory_bytes as u128;
        match u64::try_from(operations).ok().and_then(|some| self.operations.checked_sub(some)) {
            Some(left) if fits => {
                self.operations = left;
                Ok(())
            }
            _ => self.refuse("its budget".into()).map(drop),
        }
    }

    /// Ends the call: a plugin that needs more than its limit would only limp on.
    fn refuse(&mut self, limit: String) -> wasmtime::Result<bool> {
        let error = wasmtime::Error::msg(format!("asked for more than {limit}"));
        self.refused = Some(limit);
        Err(error)
    }
}

fn memory_size(bytes: usize) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}
