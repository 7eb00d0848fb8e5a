//! In what precision products are taken.

use crate::tile;

/// The precision of a product's factors. Sums, losses, gradients and rows are `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As the rows are: the same bytes on every x86-64 CPU with AVX2 and FMA.
    #[default]
    F32,
    /// Rounded to bf16, eight bits of a number; for dot products. Fast where the CPU has AVX-512
    /// BF16, the same bytes elsewhere.
    Bf16,
    /// Rounded to bf16, and summed as AMX's tiles sum: for CPUs that have them; slow but the same
    /// bytes elsewhere.
    Bf16Amx,
    /// Each factor as the sum of two bf16, three products in the place of one, by AMX's tiles: near
    /// to `f32`, and slow where the CPU has none.
    Bf16x3,
}

impl Precision {
    /// Whether this process has instructions of the CPU's for it.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => tile::bf16_is_native(),
            Self::Bf16Amx | Self::Bf16x3 => tile::amx::is_native(),
        }
    }
}
