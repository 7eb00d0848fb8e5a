//! The engine, its clock, and loading a component.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

use crate::bindings::{LINALG, ModelPre, SCORING, compatible};
use crate::cache::{Cache, made_now};
use crate::candidates;
use crate::compiler::machine_code;
use crate::linalg;
use crate::plugin::Loaded;
use crate::sandbox::{Sandbox, State};
use crate::{Compiler, Error, HostConfig, Limits, Plugin, Result, describe, size};

/// How often the clock of the deadlines ticks.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The engine that runs plugins: one a process is enough. Cloning it shares it.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    limits: Limits,
    cache: Option<Cache>,
    compiler: Option<Compiler>,
    // Held so that the clock stops with the last handle; every plugin holds one too.
    clock: Arc<Clock>,
}

impl Host {
    /// Starts the engine and its clock.
    ///
    /// # Errors
    /// If the engine does not start on this machine, or the cache directory cannot be made.
    pub fn new(config: HostConfig) -> Result<Self> {
        let engine = engine(&config.limits).map_err(|error| Error::Engine(error.to_string()))?;
        let clock = Arc::new(Clock::start(engine.clone())?);
        let cache = config.cache.map(|dir| Cache::open(dir, &engine)).transpose()?;
        let HostConfig { compiler, limits, .. } = config;
        Ok(Self { shared: Arc::new(Shared { engine, limits, cache, compiler, clock }) })
    }

    /// What plugins may use.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Loads a component: compiles it, or takes its machine code from the cache, and asks it to
    /// describe itself.
    ///
    /// # Errors
    /// If it is too large, is no component, imports anything but `linalg`, lacks the contract's exports, or
    /// describes itself in a way the contract does not allow; always in words.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin> {
        let Shared { engine, limits, cache, compiler, clock } = &*self.shared;
        size::admit(bytes, limits)?;
        let sha256 = hex(&Sha256::digest(bytes));
        let compile = || machine_code(engine, compiler.as_ref(), limits, bytes);
        let component = match cache {
            Some(cache) => cache.component(engine, &sha256, compile)?,
            None => made_now(engine, &compile()?)?,
        };
        inspect(engine, &component)?;
        let unlinked = |error: wasmtime::Error| Error::NotAComponent(format!("{error:#}"));
        let mut linker = Linker::<State>::new(engine);
        linalg::offer(&mut linker).map_err(|error| Error::Engine(error.to_string()))?;
        let instance = linker.instantiate_pre(&component).map_err(unlinked)?;
        let instance = ModelPre::new(instance).map_err(unlinked)?;

        let mut sandbox = Sandbox::open("plugin", "describe", &instance, limits)?;
        let description = describe::description(sandbox.describe()?)?;
        Ok(Plugin(Arc::new(Loaded {
            description,
            sha256,
            instance,
            limits: limits.clone(),
            candidates: candidates::Exports::find(&component),
            clock: Arc::clone(clock),
        })))
    }
}

/// The engine's settings: component model, deadlines, and nothing that could make two runs differ.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .max_wasm_stack(limits.stack_bytes)
        // For stack traces, which nobody is shown; without them a plugin loads faster.
        .generate_address_map(false)
        .native_unwind_info(false);
    Engine::new(&config)
}

/// Refuses imports other than `linalg`, and a component without the contract's exports, by name.
fn inspect(engine: &Engine, component: &Component) -> Result<()> {
    let kind = component.component_type();
    let mut imports = kind.imports(engine).map(|(name, _)| name);
    if let Some(import) = imports.find(|name| !compatible(name, LINALG)) {
        return Err(Error::Import { import: import.to_owned() });
    }
    if component.get_export_index(None, SCORING).is_none() {
        let names: Vec<_> = kind.exports(engine).map(|(name, _)| name.to_owned()).collect();
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(Error::Export { expected: SCORING, found });
    }
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The thread that advances the engine's epoch, by which deadlines are counted.
pub(crate) struct Clock {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start(engine: Engine) -> Result<Self> {
        let (stop, stopped) = channel();
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new()
            .name("plugin-clock".into())
            .spawn(tick)
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread only ticks: it has nothing to report.
            let _ = thread.join();
        }
    }
}
