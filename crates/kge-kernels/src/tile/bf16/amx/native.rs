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

    use super::super::{DEPTH, Exponentials, SIDE, Square, Tiles};
    use crate::{
        math::{COARSE, Coarse},
        simd::arch,
    };

    static NUMBERS: Coarse = COARSE;

    /// Proof that the CPU has tiles and that the kernel lets this process use them.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Amx(());

    /// If they may be used and nobody asked for less.
    pub(in super::super) fn get() -> Option<Amx> {
        static PERMITTED: LazyLock<bool> = LazyLock::new(|| exists() && permitted());
        (matches!(arch(), pulp::Arch::V4(_)) && *PERMITTED).then_some(Amx(()))
    }

    /// CPUID leaf 7: AMX-BF16 and AMX-TILE; and AVX512-BF16 of its first subleaf.
    fn exists() -> bool {
        let highest = __cpuid_count(0, 0).eax;
        let wanted = 1 << 22 | 1 << 24;
        highest >= 7
            && __cpuid_count(7, 0).edx & wanted == wanted
            && __cpuid_count(7, 1).eax & 1 << 5 != 0
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
        ($($begin:literal),* => $left:ident, $right:ident, $sums:ident, $stride:ident, $soon:ident) => {
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
                "prefetcht1 [{soon}]",
                "prefetcht1 [{soon} + 64]",
                "prefetcht1 [{soon} + 128]",
                "prefetcht1 [{soon} + 192]",
                "prefetchw [{own}]",
                "prefetchw [{own} + 64]",
                "prefetchw [{own} + 127]",
                "add {own}, {stride}",
                "add {left}, 2048",
                "add {right}, 2048",
                "add {soon}, 256",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {stride}], tmm0",
                "tilestored [{sums} + {stride} + 64], tmm1",
                "tilestored [{below} + {stride}], tmm2",
                "tilestored [{below} + {stride} + 64], tmm3",
                left = inout(reg) $left.as_ptr() => _,
                right = inout(reg) $right.as_ptr() => _,
                soon = inout(reg) $soon.as_ptr() => _,
                steps = inout(reg) $left.len() => _,
                line = in(reg) size_of::<[u16; DEPTH]>(),
                own = inout(reg) $sums.as_mut_ptr() => _,
                sums = in(reg) $sums.as_mut_ptr(),
                below = in(reg) $sums.as_mut_ptr().wrapping_add(SIDE / 2 * $stride),
                stride = in(reg) $stride * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }

    /// Writes two rounded rows, halves in `ymm0` to `ymm3`: row by row, and in pairs.
    macro_rules! write_rounded {
        () => {
            concat!(
                "vmovups [{lines}], ymm0\n",
                "vmovups [{lines} + 32], ymm1\n",
                "vmovups [{lines} + 64], ymm2\n",
                "vmovups [{lines} + 96], ymm3\n",
                "vpmovzxwd zmm0, ymm0\n",
                "vpmovzxwd zmm1, ymm1\n",
                "vpmovzxwd zmm2, ymm2\n",
                "vpmovzxwd zmm3, ymm3\n",
                "vpslld zmm2, zmm2, 16\n",
                "vpslld zmm3, zmm3, 16\n",
                "vpord zmm0, zmm0, zmm2\n",
                "vpord zmm1, zmm1, zmm3\n",
                "vmovups [{pairs}], zmm0\n",
                "vmovups [{pairs} + 64], zmm1\n",
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
            soon: &[u8],
        ) {
            assert!(!left.is_empty() && left.len() == right.len(), "factors of one depth");
            assert!(sums.len() >= (SIDE - 1) * stride + SIDE, "{SIDE} rows of sums");
            // Or for what is there.
            let soon = if soon.is_empty() { bytemuck::cast_slice(left) } else { soon };
            // SAFETY: tiles are configured, by `self`. Each step loads an element of either factor,
            // 2,048 bytes; there are as many as steps. Sums are loaded from and stored to 32 rows
            // of 32, `stride` apart, within `sums` as was asserted. No register of a tile is read
            // by another block of assembly.
            unsafe {
                if begins {
                    multiply!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"
                        => left, right, sums, stride, soon);
                } else {
                    multiply!(
                        "tileloadd tmm0, [{sums} + {stride}]",
                        "tileloadd tmm1, [{sums} + {stride} + 64]",
                        "tileloadd tmm2, [{below} + {stride}]",
                        "tileloadd tmm3, [{below} + {stride} + 64]"
                        => left, right, sums, stride, soon);
                }
            }
        }

        #[inline(always)]
        fn product_beside(
            &self,
            left: &[[[u16; DEPTH]; SIDE]],
            right: &[[[u32; SIDE]; DEPTH / 2]],
            square: &mut Square,
            earlier: Exponentials<'_>,
        ) {
            assert!(!left.is_empty() && left.len() == right.len(), "factors of one depth");
            let Exponentials { scores, columns, lines, pairs, next_lines } = earlier;
            // SAFETY: as for `product`, with sums of whole rows. Two rows of scores, 256 bytes, are
            // read at a time, and two lines and pairs of as many columns written, 128 bytes each:
            // sixteen times, as these are long. The CPU has AVX-512 and converts to bf16, as was
            // made sure of.
            unsafe {
                asm!(
                    "vmovups zmm16, [{columns}]",
                    "vmovups zmm17, [{columns} + 64]",
                    "vbroadcastss zmm18, [{now}]",
                    "vbroadcastss zmm19, [{now} + 4]",
                    "vbroadcastss zmm20, [{now} + 8]",
                    "vbroadcastss zmm21, [{now} + 12]",
                    "vbroadcastss zmm22, [{now} + 16]",
                    "vbroadcastss zmm23, [{now} + 20]",
                    "vbroadcastss zmm24, [{now} + 24]",
                    "vbroadcastss zmm25, [{now} + 28]",
                    "vbroadcastss zmm26, [{now} + 32]",
                    "vmovups zmm27, [{columns} + 128]",
                    "vmovups zmm28, [{columns} + 192]",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    // A step of the product, and its share of the twos.
                    "2:",
                    "tileloadd tmm4, [{left} + {line}]",
                    "tileloadd tmm6, [{right} + 2 * {line}]",
                    "tileloadd tmm7, [{right} + 2 * {line} + 64]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{left} + {line} + 1024]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "prefetchw [{next}]",
                    "prefetchw [{next} + 64]",
                    "prefetchw [{next} + 128]",
                    "prefetchw [{next} + 192]",
                    "add {next}, 256",
                    "add {left}, 2048",
                    "add {right}, 2048",
                    "dec {steps}",
                    "mov {now:e}, {share:e}",
                    // After the last step, all that is left.
                    "cmovz {now:e}, {twos:e}",
                    "3:",
                    "test {twos:e}, {twos:e}",
                    "jz 4f",
                    "dec {now:e}",
                    "js 4f",
                    "dec {twos:e}",
                    "vmovups zmm0, [{scores}]",
                    "vmovups zmm1, [{scores} + 64]",
                    "vmovups zmm2, [{scores} + 128]",
                    "vmovups zmm3, [{scores} + 192]",
                    "vsubps zmm0, zmm0, zmm16",
                    "vsubps zmm1, zmm1, zmm17",
                    "vsubps zmm2, zmm2, zmm16",
                    "vsubps zmm3, zmm3, zmm17",
                    "vmulps zmm0, zmm0, zmm18",
                    "vmulps zmm1, zmm1, zmm18",
                    "vmulps zmm2, zmm2, zmm18",
                    "vmulps zmm3, zmm3, zmm18",
                    "vmaxps zmm0, zmm0, zmm19",
                    "vmaxps zmm1, zmm1, zmm19",
                    "vmaxps zmm2, zmm2, zmm19",
                    "vmaxps zmm3, zmm3, zmm19",
                    "vminps zmm0, zmm0, zmm20",
                    "vminps zmm1, zmm1, zmm20",
                    "vminps zmm2, zmm2, zmm20",
                    "vminps zmm3, zmm3, zmm20",
                    "vaddps zmm4, zmm0, zmm21",
                    "vaddps zmm5, zmm1, zmm21",
                    "vaddps zmm6, zmm2, zmm21",
                    "vaddps zmm7, zmm3, zmm21",
                    "vsubps zmm8, zmm4, zmm21",
                    "vsubps zmm9, zmm5, zmm21",
                    "vsubps zmm10, zmm6, zmm21",
                    "vsubps zmm11, zmm7, zmm21",
                    "vsubps zmm0, zmm0, zmm8",
                    "vsubps zmm1, zmm1, zmm9",
                    "vsubps zmm2, zmm2, zmm10",
                    "vsubps zmm3, zmm3, zmm11",
                    "vmovaps zmm8, zmm22",
                    "vmovaps zmm9, zmm22",
                    "vmovaps zmm10, zmm22",
                    "vmovaps zmm11, zmm22",
                    "vfmadd213ps zmm8, zmm0, zmm23",
                    "vfmadd213ps zmm9, zmm1, zmm23",
                    "vfmadd213ps zmm10, zmm2, zmm23",
                    "vfmadd213ps zmm11, zmm3, zmm23",
                    "vfmadd213ps zmm8, zmm0, zmm24",
                    "vfmadd213ps zmm9, zmm1, zmm24",
                    "vfmadd213ps zmm10, zmm2, zmm24",
                    "vfmadd213ps zmm11, zmm3, zmm24",
                    "vfmadd213ps zmm8, zmm0, zmm25",
                    "vfmadd213ps zmm9, zmm1, zmm25",
                    "vfmadd213ps zmm10, zmm2, zmm25",
                    "vfmadd213ps zmm11, zmm3, zmm25",
                    "vfmadd213ps zmm8, zmm0, zmm26",
                    "vfmadd213ps zmm9, zmm1, zmm26",
                    "vfmadd213ps zmm10, zmm2, zmm26",
                    "vfmadd213ps zmm11, zmm3, zmm26",
                    "vpslld zmm4, zmm4, 23",
                    "vpslld zmm5, zmm5, 23",
                    "vpslld zmm6, zmm6, 23",
                    "vpslld zmm7, zmm7, 23",
                    "vpaddd zmm8, zmm8, zmm4",
                    "vpaddd zmm9, zmm9, zmm5",
                    "vpaddd zmm10, zmm10, zmm6",
                    "vpaddd zmm11, zmm11, zmm7",
                    "vaddps zmm27, zmm27, zmm8",
                    "vaddps zmm28, zmm28, zmm9",
                    "vaddps zmm27, zmm27, zmm10",
                    "vaddps zmm28, zmm28, zmm11",
                    "vcvtneps2bf16 ymm0, zmm8",
                    "vcvtneps2bf16 ymm1, zmm9",
                    "vcvtneps2bf16 ymm2, zmm10",
                    "vcvtneps2bf16 ymm3, zmm11",
                    write_rounded!(),
                    "add {scores}, 256",
                    "sub {lines}, -128",
                    "sub {pairs}, -128",
                    "jmp 3b",
                    "4:",
                    "test {steps}, {steps}",
                    "jnz 2b",
                    "vmovups [{columns} + 128], zmm27",
                    "vmovups [{columns} + 192], zmm28",
                    "tilestored [{square} + 2 * {line}], tmm0",
                    "tilestored [{square} + 2 * {line} + 64], tmm1",
                    "tilestored [{square} + 2 * {line} + 2048], tmm2",
                    "tilestored [{square} + 2 * {line} + 2112], tmm3",
                    left = inout(reg) left.as_ptr() => _,
                    right = inout(reg) right.as_ptr() => _,
                    steps = inout(reg) left.len() => _,
                    line = in(reg) size_of::<[u16; DEPTH]>(),
                    square = in(reg) square.0.as_mut_ptr(),
                    scores = inout(reg) scores.as_ptr() => _,
                    lines = inout(reg) lines.as_mut_ptr() => _,
                    pairs = inout(reg) pairs.as_mut_ptr() => _,
                    next = inout(reg) lines.as_mut_ptr().wrapping_byte_add(next_lines) => _,
                    share = in(reg) (SIDE / 2).div_ceil(left.len()),
                    twos = inout(reg) SIDE / 2 => _,
                    // Read before they are overwritten.
                    now = inout(reg) &raw const NUMBERS => _,
                    columns = in(reg) &raw mut *columns,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                    out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                    out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
                    out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                    out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
                    out("zmm28") _,
                    options(nostack),
                );
            }
        }

        #[inline(always)]
        fn round(
            &self,
            rows: &[[f32; SIDE]; 2],
            lines: &mut [[u16; SIDE]; 2],
            pairs: &mut [u32; SIDE],
        ) {
            // SAFETY: a CPU with tiles of bf16 converts to it, as was made sure of; 256 bytes are
            // read, 128 written to the lines and as many to the pairs.
            unsafe {
                asm!(
                    "vcvtneps2bf16 ymm0, [{rows}]",
                    "vcvtneps2bf16 ymm1, [{rows} + 64]",
                    "vcvtneps2bf16 ymm2, [{rows} + 128]",
                    "vcvtneps2bf16 ymm3, [{rows} + 192]",
                    write_rounded!(),
                    rows = in(reg) rows.as_ptr(),
                    lines = in(reg) lines.as_mut_ptr(),
                    pairs = in(reg) pairs.as_mut_ptr(),
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    options(nostack, preserves_flags),
                );
            }
        }
    }
}
