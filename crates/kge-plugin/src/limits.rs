//! What a plugin may use, and how the host is set up.

use std::path::PathBuf;
use std::time::Duration;

use crate::Compiler;

/// How a [`Host`](crate::Host) is set up.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// A directory of our own for compiled plugins; none compiles on every load.
    pub cache: Option<PathBuf>,
    /// What compiles, in a process of its own; none compiles in this one.
    pub compiler: Option<Compiler>,
    /// What a plugin may use.
    pub limits: Limits,
}

/// What a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories of one sandbox together; also the most that one call may hand
    /// back.
    pub memory_bytes: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Core instances in one sandbox.
    pub instances: usize,
    /// Tables in one sandbox.
    pub tables: usize,
    /// Linear memories in one sandbox.
    pub memories: usize,
    /// Bytes of WebAssembly stack.
    pub stack_bytes: usize,
    /// How long the calls of one batch may take together.
    pub call_deadline: Duration,
    /// Floating-point operations that the calls of one batch may have done by `linalg`.
    pub call_operations: u64,
    /// Bytes of a component that are compiled at all.
    pub component_bytes: usize,
    /// Bytes of one function.
    pub function_bytes: usize,
    /// Functions of all modules in a component together.
    pub functions: usize,
    /// How long a [`Compiler`] may take.
    pub compile_deadline: Duration,
    /// Bytes of a [`Compiler`]'s address space.
    pub compile_memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            table_elements: 100_000,
            instances: 16,
            tables: 16,
            memories: 16,
            stack_bytes: 512 << 10,
            call_deadline: Duration::from_secs(5),
            // Some seconds of one core: what `call_deadline` is to instructions.
            call_operations: 400_000_000_000,
            component_bytes: 16 << 20,
            function_bytes: 256 << 10,
            functions: 20_000,
            compile_deadline: Duration::from_secs(120),
            compile_memory_bytes: 4 << 30,
        }
    }
}
