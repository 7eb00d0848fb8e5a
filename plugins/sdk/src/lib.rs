//! The guest side of the model contract: write a scoring model as a plain Rust type.
//!
//! A type that implements [`Model`] says what it is, and with [`Forward`] how a query row comes
//! from an anchor and a relation row; the gradient is derived. Or it computes both [`ByHand`].
//! [`export_model!`] makes it a component of `wit/kge-model.wit` for wasm32; on any other target
//! the crate is the native reference that the sandbox is measured against.
//!
//! ```
//! use kge_plugin_sdk::*;
//!
//! /// score = sum h r t
//! pub struct Product { dim: usize }
//!
//! impl Model for Product {
//!     fn describe() -> Description {
//!         Description::new("product", "0.1.0", "the product of all three rows")
//!     }
//!     fn configure(dim: usize, _: &HyperParameters) -> Result<Self, String> {
//!         Ok(Self { dim })
//!     }
//!     fn layout(&self) -> Layout {
//!         Layout::of_width(Similarity::Dot, self.dim)
//!     }
//! }
//!
//! impl Forward for Product {
//!     fn query<'g>(&self, _: Direction, anchor: Row<'g>, relation: Row<'g>) -> Row<'g> {
//!         anchor * relation
//!     }
//! }
//!
//! export_model!(Product);
//! ```

#[doc(hidden)]
pub mod by_hand;
mod contract;
mod export;
#[doc(hidden)]
pub mod forward;
mod graph;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod linalg;
mod scoring;
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod timing;
#[cfg(not(target_arch = "wasm32"))]
pub mod trial;

pub use by_hand::ByHand;
pub use contract::{
    Citation, Constraint, Description, Direction, HyperParameter, HyperParameterKind,
    HyperParameters, Initialiser, Layout, Model, SharedTensor, Similarity,
};
pub use forward::Forward;
pub use graph::{Operation, Row};
pub use scoring::{Batch, Gradients, Scoring};
