//! The graphs in memory.

#[derive(Default)]
pub(crate) struct LiveCache {}
