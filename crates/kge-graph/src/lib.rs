//! Knowledge graphs as a trainer wants them: names once, triples as numbers.
//!
//! Three types carry the crate. [`GraphBuilder`] takes [`Statement`]s in any order, in names;
//! [`Graph`] is what it builds: two [`Vocabulary`]s and, for each [`Split`], sorted [`Triple`]s.
//! A graph does not depend on the order in which its statements arrived: ids are canonical,
//! so the same set of statements gives the same ids and the same [`revision`] hash.
//!
//! ```
//! use kge_graph::{GraphBuilder, Split, read, revision};
//!
//! let text = "Madrid\tcapital_of\tSpain\nParis\tcapital_of\tFrance\n";
//! let mut builder = GraphBuilder::new();
//! read::read(read::Format::Tsv, text.as_bytes(), &mut |statement| {
//!     builder.add(Split::Train, statement);
//!     Ok(())
//! })?;
//! let graph = builder.build();
//! assert_eq!(graph.triples(Split::Train).len(), 2);
//! assert_eq!(revision::encode(&graph).hash.len(), 64);
//! # Ok::<(), kge_graph::Error>(())
//! ```
//!
//! [`mod@read`] and [`mod@write`] know the formats of the world, [`revision`] the project's own.
//! This crate knows no embedding, no network and no object store.

#![forbid(unsafe_code)]

mod answers;
mod builder;
mod error;
mod graph;
mod ids;
pub mod read;
pub mod revision;
mod split;
mod vocabulary;
pub mod write;

pub use answers::Answers;
pub use builder::{Added, GraphBuilder};
pub use error::Error;
pub use graph::{Counts, Graph, Statement};
pub use ids::{EntityId, RelationId, Triple};
pub use split::Split;
pub use vocabulary::Vocabulary;

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
