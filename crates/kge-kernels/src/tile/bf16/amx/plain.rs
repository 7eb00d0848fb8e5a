//! The tiles' arithmetic by plain operations.

use super::{DEPTH, SIDE, Tiles};
use crate::tile::bf16::pair::widen;

/// By fused multiply-adds; what is below the normal numbers becomes 0.
pub(super) struct Plain;

impl Tiles for Plain {
    #[inline(always)]
    fn product(
        &self,
        (left, stride): (&[u16], usize),
        right: &[[u32; SIDE]],
        begins: bool,
        (sums, row): (&mut [f32], usize),
    ) {
        let depth = 2 * right.len();
        assert!(depth.is_multiple_of(DEPTH), "a depth of whole tiles");
        let normal = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 * x } else { x };
        for number in 0..SIDE {
            let mut own = [0.0; SIDE];
            let sums = &mut sums[number * row..][..SIDE];
            if !begins {
                own.copy_from_slice(sums);
            }
            let left = &left[number * stride..][..depth];
            for (left, right) in left.chunks_exact(DEPTH).zip(right.chunks_exact(DEPTH / 2)) {
                let (mut even, mut odd) = ([0.0_f32; SIDE], [0.0_f32; SIDE]);
                let (twos, _) = left.as_chunks::<2>();
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
}
