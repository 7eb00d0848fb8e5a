//! The tile instructions, of Sapphire Rapids and its successors. They are no intrinsics of this
//! compiler's yet, so they are written as assembly.

/// Whether this process multiplies by the CPU's tiles.
pub(crate) fn is_native() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return get().is_some();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
pub(super) use linux::Amx;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use linux::get;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::{
        arch::{asm, x86_64::__cpuid_count},
        marker::PhantomData,
        sync::LazyLock,
    };

    use super::super::{DEPTH, SIDE, Tiles};
    use crate::simd::arch;

    /// Proof that the CPU has tiles and that the kernel lets this process use them.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Amx(());

    /// If they may be used and nobody asked for less.
    pub(in super::super) fn get() -> Option<Amx> {
        static PERMITTED: LazyLock<bool> = LazyLock::new(|| exists() && permitted());
        (matches!(arch(), pulp::Arch::V4(_)) && *PERMITTED).then_some(Amx(()))
    }

    /// CPUID leaf 7: AMX-BF16 and AMX-TILE.
    fn exists() -> bool {
        let highest = __cpuid_count(0, 0).eax;
        let wanted = 1 << 22 | 1 << 24;
        highest >= 7 && __cpuid_count(7, 0).edx & wanted == wanted
    }

    /// Asks the kernel for room to keep tiles in, for all threads of this process.
    fn permitted() -> bool {
        const ARCH_PRCTL: isize = 158;
        const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
        const XTILEDATA: usize = 18;
        let mut result = ARCH_PRCTL;
        // SAFETY: the call touches no memory of this process; kernels that don't know it refuse.
        unsafe {
            asm!(
                "syscall",
                inout("rax") result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XTILEDATA,
                out("rcx") _,
                out("r11") _,
                options(nomem, nostack),
            );
        }
        result == 0
    }

    /// What `ldtilecfg` reads.
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_a_row: [u16; 16],
        rows: [u8; 16],
    }

    /// All eight tiles of 16 rows of 64 bytes.
    static WHOLE: Configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_a_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    impl Amx {
        /// The CPU's, or such as trap and are done by plain operations then.
        #[cfg(test)]
        pub(in super::super) fn anyhow() -> Self {
            get().unwrap_or_else(|| {
                super::super::trap::install();
                Self(())
            })
        }

        /// This thread's tiles, until dropped.
        pub(in super::super) fn configure(self) -> Configured {
            // SAFETY: the CPU has tiles and the kernel lets us, by `self`; the operand is 64 bytes of
            // a configuration of palette 1.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
            Configured(PhantomData)
        }
    }

    /// Tiles of the thread that made it.
    pub(in super::super) struct Configured(PhantomData<*const ()>);

    impl Drop for Configured {
        fn drop(&mut self) {
            // SAFETY: the tiles are this thread's; the kernel need not keep them any more.
            unsafe { asm!("tilerelease", options(nomem, nostack)) };
        }
    }

    /// The products, after what makes sums begin.
    macro_rules! multiply {
        ($($begin:literal),* => $left:ident, $right:ident, $sums:ident, $stride:ident) => {
            asm!(
                $($begin,)*
                "2:",
                "tileloadd tmm4, [{left} + {line}]",
                "tileloadd tmm6, [{right} + 2 * {line}]",
                "tileloadd tmm7, [{right} + 2 * {line} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 2048",
                "add {right}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {stride}], tmm0",
                "tilestored [{sums} + {stride} + 64], tmm1",
                "tilestored [{below} + {stride}], tmm2",
                "tilestored [{below} + {stride} + 64], tmm3",
                left = inout(reg) $left.as_ptr() => _,
                right = inout(reg) $right.as_ptr() => _,
                steps = inout(reg) $left.len() => _,
                line = in(reg) size_of::<[u16; DEPTH]>(),
                sums = in(reg) $sums.as_mut_ptr(),
                below = in(reg) $sums.as_mut_ptr().wrapping_add(SIDE / 2 * $stride),
                stride = in(reg) $stride * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }

    impl Tiles for Configured {
        #[inline(always)]
        fn product(
            &self,
            left: &[[[u16; DEPTH]; SIDE]],
            right: &[[[u32; SIDE]; DEPTH / 2]],
            begins: bool,
            (sums, stride): (&mut [f32], usize),
        ) {
            assert!(!left.is_empty() && left.len() == right.len(), "factors of one depth");
            assert!(sums.len() >= (SIDE - 1) * stride + SIDE, "{SIDE} rows of sums");
            // SAFETY: tiles are configured, by `self`. Each step loads an element of either factor,
            // 2,048 bytes; there are as many as steps. Sums are loaded from and stored to 32 rows
            // of 32, `stride` apart, within `sums` as was asserted. No register of a tile is read
            // by another block of assembly.
            unsafe {
                if begins {
                    multiply!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"
                        => left, right, sums, stride);
                } else {
                    multiply!(
                        "tileloadd tmm0, [{sums} + {stride}]",
                        "tileloadd tmm1, [{sums} + {stride} + 64]",
                        "tileloadd tmm2, [{below} + {stride}]",
                        "tileloadd tmm3, [{below} + {stride} + 64]"
                        => left, right, sums, stride);
                }
            }
        }
    }
}
