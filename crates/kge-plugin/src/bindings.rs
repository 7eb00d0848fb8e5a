//! The host's side of `plugins/wit/kge-model.wit`, generated.
//!
//! World `model` is the part that every plugin exports, and may import. What else a component
//! exports, the `candidates` of world `projecting-model`, is called by [`candidates`](crate::candidates).

#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../../plugins/wit",
    world: "model",
});

pub(crate) use exports::kge::model::scoring::*;

/// The name of the interface that every plugin exports.
pub(crate) const SCORING: &str = "kge:model/scoring@0.1.0";
/// The name of the interface of models that project their candidates.
pub(crate) const CANDIDATES: &str = "kge:model/candidates@0.1.0";
/// The interface that a plugin may import.
pub(crate) const LINALG: &str = "kge:model/linalg@0.1.0";

/// Whether a component's `name` is `offered`, or a later release that is compatible with it.
pub(crate) fn compatible(name: &str, offered: &str) -> bool {
    let minor = offered.rsplit_once('.').map_or(offered, |(minor, _)| minor);
    name.strip_prefix(minor).is_some_and(|patch| patch.starts_with('.'))
}
