//! In what precision products are taken.

use crate::tile;

/// The precision of a product's factors. Sums, losses, gradients and rows are `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As the rows are: the same bytes on every x86-64 CPU with AVX2 and FMA.
    #[default]
    F32,
    /// Rounded to bf16, eight bits of a number; for dot products. Fast where the CPU has AVX-512
    /// BF16 and is not Intel's, the same bytes elsewhere.
    Bf16,
    /// Rounded to bf16, and summed as AMX's tiles sum: for CPUs that have them; slow but the same
    /// bytes elsewhere.
    Bf16Amx,
    /// Each factor as the sum of two bf16, three products in the place of one, by AMX's tiles: near
    /// to `f32`, and slow where the CPU has none.
    Bf16x3,
}

/// One of four steps, by precision.
#[derive(Debug)]
pub(crate) enum ByPrecision<F, B, A, T> {
    F32(F),
    Bf16(B),
    Bf16Amx(A),
    Bf16x3(T),
}

impl<F: Default, B: Default, A: Default, T: Default> ByPrecision<F, B, A, T> {
    pub(crate) fn new(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(F::default()),
            Precision::Bf16 => Self::Bf16(B::default()),
            Precision::Bf16Amx => Self::Bf16Amx(A::default()),
            Precision::Bf16x3 => Self::Bf16x3(T::default()),
        }
    }
}

/// The same of every precision's step.
macro_rules! each {
    ($by:expr, $step:ident => $done:expr) => {
        match $by {
            $crate::precision::ByPrecision::F32($step) => $done,
            $crate::precision::ByPrecision::Bf16($step) => $done,
            $crate::precision::ByPrecision::Bf16Amx($step) => $done,
            $crate::precision::ByPrecision::Bf16x3($step) => $done,
        }
    };
}
pub(crate) use each;

impl Precision {
    /// Whether this process has instructions of the CPU's for it.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => tile::bf16::is_native(),
            Self::Bf16Amx | Self::Bf16x3 => tile::amx::is_native(),
        }
    }

    /// Whether this CPU multiplies faster in it than in `f32`: Intel's take `vdpbf16ps` so slowly
    /// that [`Bf16`](Self::Bf16) takes twice as long there.
    pub fn is_fast(self) -> bool {
        match self {
            Self::F32 => false,
            Self::Bf16 => self.is_native() && !is_intels(),
            Self::Bf16Amx | Self::Bf16x3 => self.is_native(),
        }
    }
}

fn is_intels() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let vendor = std::arch::x86_64::__cpuid(0);
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
