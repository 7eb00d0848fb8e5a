//! The tiles' arithmetic by plain operations.

use super::{DEPTH, SIDE, Tiles};
use crate::tile::bf16::pair::{round, widen};

/// By fused multiply-adds; what is below the normal numbers becomes 0.
pub(super) struct Plain;

impl Tiles for Plain {
    #[inline(always)]
    fn product(
        &self,
        left: &[[[u16; DEPTH]; SIDE]],
        right: &[[[u32; SIDE]; DEPTH / 2]],
        begins: bool,
        (sums, stride): (&mut [f32], usize),
        _: &[u8],
    ) {
        assert_eq!(left.len(), right.len(), "factors of one depth");
        let normal = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 * x } else { x };
        for row in 0..SIDE {
            let mut own = [0.0; SIDE];
            let sums = &mut sums[row * stride..][..SIDE];
            if !begins {
                own.copy_from_slice(sums);
            }
            for (left, right) in left.iter().zip(right) {
                let (mut even, mut odd) = ([0.0_f32; SIDE], [0.0_f32; SIDE]);
                let (twos, _) = left[row].as_chunks::<2>();
                for (&[first, second], others) in twos.iter().zip(right) {
                    let (first, second) = (widen(first), widen(second));
                    for ((even, odd), &other) in even.iter_mut().zip(&mut odd).zip(others) {
                        let low = f32::from_bits(other << 16);
                        let high = f32::from_bits(other & 0xffff_0000);
                        *even = normal(first.mul_add(low, *even));
                        *odd = normal(second.mul_add(high, *odd));
                    }
                }
                for ((sum, even), odd) in own.iter_mut().zip(even).zip(odd) {
                    *sum = normal(*sum + normal(even + odd));
                }
            }
            sums.copy_from_slice(&own);
        }
    }

    #[inline(always)]
    fn round(
        &self,
        rows: &[[f32; SIDE]; 2],
        lines: &mut [[u16; SIDE]; 2],
        pairs: &mut [u32; SIDE],
    ) {
        *lines = rows.map(|row| row.map(round));
        for (lane, pair) in pairs.iter_mut().enumerate() {
            *pair = u32::from(lines[0][lane]) | u32::from(lines[1][lane]) << 16;
        }
    }
}
