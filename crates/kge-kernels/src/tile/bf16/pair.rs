//! Numbers in bf16, and the sum of two products of them: by the CPU's instruction or by plain
//! operations that round alike.

use crate::simd::vectorise;

/// Sums that one operation adds to.
pub(super) const LANES: usize = 16;

/// Rounds to the nearest, ties to even; what is below the normal numbers becomes 0, and what is no
/// number stays none.
#[inline(always)]
pub(super) fn round(x: f32) -> u16 {
    (round_high(x) >> 16) as u16
}

/// As [`round`], left in the upper half.
#[inline(always)]
pub(super) fn round_high(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
    let mask = |condition: bool| u32::from(condition).wrapping_neg();
    let magnitude = bits & 0x7fff_ffff;
    let (tiny, none) = (mask(magnitude < 0x0080_0000), mask(magnitude > 0x7f80_0000));
    (nearest & !tiny & !none) | (none & 0x7fc0_0000)
}

/// The `f32` of the same value.
#[inline(always)]
pub(super) fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// Two numbers side by side, the first in the lower half.
#[inline(always)]
pub(super) fn pair(first: f32, second: f32) -> u32 {
    (round_high(first) >> 16) | round_high(second)
}

/// The two of a pair.
#[inline(always)]
pub(crate) fn halves(pair: u32) -> [f32; 2] {
    [f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000)]
}

/// Loops over pairs, compiled for each way to take their products.
pub(super) trait Loops {
    fn run<D: DotPairs>(self, dot: D);
}

/// Sums of products of pairs.
pub(super) trait DotPairs: Copy {
    /// [`LANES`] sums.
    type Sums: Copy;

    fn zero(self) -> Self::Sums;

    /// Adds one pair's products with each of `others`.
    fn add(self, one: u32, others: &[u32; LANES], sums: Self::Sums) -> Self::Sums;

    fn floats(self, sums: Self::Sums) -> [f32; LANES];
}

/// Runs loops the fastest way that this process may.
pub(super) fn run(loops: impl Loops) {
    #[cfg(target_arch = "x86_64")]
    if let Some(native) = native::get() {
        struct Run<L>(native::Avx512Bf16, L);

        impl<L: Loops> pulp::NullaryFnOnce for Run<L> {
            type Output = ();

            #[inline(always)]
            fn call(self) {
                self.1.run(self.0);
            }
        }

        native.vectorize(Run(native, loops));
        return;
    }
    let mut loops = Some(loops);
    vectorise(
        #[inline(always)]
        || {
            if let Some(loops) = loops.take() {
                loops.run(Emulated);
            }
        },
    );
}

/// Whether this process takes products in bf16 by the CPU's own instruction.
pub(crate) fn is_native() -> bool {
    #[cfg(target_arch = "x86_64")]
    return native::get().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// By fused multiply-adds.
#[derive(Clone, Copy)]
pub(super) struct Emulated;

impl DotPairs for Emulated {
    type Sums = [f32; LANES];

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [0.0; LANES]
    }

    #[inline(always)]
    fn add(self, one: u32, others: &[u32; LANES], mut sums: Self::Sums) -> Self::Sums {
        let [low, high] = halves(one);
        let normal = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 * x } else { x };
        for (sum, &other) in sums.iter_mut().zip(others) {
            let [other_low, other_high] = halves(other);
            let second = normal(high.mul_add(other_high, *sum));
            *sum = normal(low.mul_add(other_low, second));
        }
        sums
    }

    #[inline(always)]
    fn floats(self, sums: Self::Sums) -> [f32; LANES] {
        sums
    }
}

#[cfg(target_arch = "x86_64")]
mod native {
    //! `vdpbf16ps`, of Cooper Lake, Zen 4 and their successors.

    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::{DotPairs, LANES};
    use crate::simd::arch;

    pulp::simd_type! {
        /// Proof that the CPU has the instruction.
        pub(super) struct Avx512Bf16 {
            avx512f: "avx512f",
            avx512bf16: "avx512bf16",
        }
    }

    /// If the CPU has it and nobody asked for less.
    pub(super) fn get() -> Option<Avx512Bf16> {
        matches!(arch(), pulp::Arch::V4(_)).then(Avx512Bf16::try_new).flatten()
    }

    impl DotPairs for Avx512Bf16 {
        type Sums = __m512;

        #[inline(always)]
        fn zero(self) -> __m512 {
            // SAFETY: the CPU has AVX-512, by `self`.
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        fn add(self, one: u32, others: &[u32; LANES], sums: __m512) -> __m512 {
            // SAFETY: the CPU has AVX-512 and its bf16, by `self`; the load is as long as `others`,
            // and vectors of 512 bits are transmuted into each other.
            unsafe {
                let one = _mm512_set1_epi32(one.cast_signed());
                let others = _mm512_loadu_si512(others.as_ptr().cast());
                let pairs = |vector: __m512i| transmute::<__m512i, __m512bh>(vector);
                _mm512_dpbf16_ps(sums, pairs(one), pairs(others))
            }
        }

        #[inline(always)]
        fn floats(self, sums: __m512) -> [f32; LANES] {
            let mut floats = [0.0; LANES];
            // SAFETY: as above; the store is as long as `floats`.
            unsafe { _mm512_storeu_ps(floats.as_mut_ptr(), sums) };
            floats
        }
    }
}
