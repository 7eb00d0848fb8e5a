//! The guest side of the model contract: write a scoring model as a plain Rust type.
//!
//! Implement [`Model`] and call [`export_model!`]. For wasm32 that exports the contract of
//! `wit/kge-model.wit`; on any other target it is nothing, so that a model crate also compiles
//! natively, as the reference that the sandbox is measured against.
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
//!     fn query(&self, _: Direction, h: &[f32], r: &[f32], q: &mut [f32]) {
//!         for i in 0..q.len() { q[i] = h[i] * r[i]; }
//!     }
//!     fn query_vjp(&self, _: Direction, h: &[f32], r: &[f32], d_q: &[f32], d_h: &mut [f32], d_r: &mut [f32]) {
//!         for i in 0..d_q.len() { d_h[i] = d_q[i] * r[i]; d_r[i] += d_q[i] * h[i]; }
//!     }
//! }
//! export_model!(Product);
//! ```

mod contract;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;

pub use contract::{
    Citation, Constraint, Description, Direction, HyperParameter, HyperParameterKind,
    HyperParameters, Initialiser, Layout, Model, Similarity,
};

/// Exports a [`Model`] as a component; nothing on targets other than wasm32.
#[macro_export]
macro_rules! export_model {
    ($model:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod exported {
            type Exported = $crate::guest::Component<super::$model>;
            $crate::guest::export!(Exported with_types_in $crate::guest);
        }
    };
}
