//! `exp` and `ln` of our own: the same bytes on every CPU and at every vector width.
//!
//! A system's mathematical library may choose other code on other processors. These are plain
//! IEEE operations and fused multiply-adds, which are correctly rounded everywhere.

// Adding 1.5 x 2^23 rounds to the nearest integer and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`: gives `n + ROUND` and `e^r`.
#[inline(always)]
fn reduced(x: f32) -> (f32, f32) {
    // ln 2 is split in two so that r is nearly exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = 1.0 / 5040.0_f32;
    p = p.mul_add(r, 1.0 / 720.0);
    p = p.mul_add(r, 1.0 / 120.0);
    p = p.mul_add(r, 1.0 / 24.0);
    p = p.mul_add(r, 1.0 / 6.0);
    p = p.mul_add(r, 0.5);
    p = p.mul_add(r, 1.0);
    (rounded, p.mul_add(r, 1.0))
}

/// `e^x`, within 2 units in the last place of the exact value; 0 below -87.3, infinity above 88.7.
///
/// Without a branch and without a conversion between floats and integers, so that a loop over it
/// vectorises; branches made it four times slower.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (rounded, p) = reduced(x.clamp(-87.3, 88.7));
    // 2^n in two factors, because 2^128 alone is not a float.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
    let half = n >> 1;
    let power = |k: i32| f32::from_bits((k.wrapping_add(127) << 23).cast_unsigned());
    let y = p * power(half) * power(n.wrapping_sub(half));
    // All ones where the condition holds.
    let mask = |condition: bool| u32::from(condition).wrapping_neg();
    let (under, over) = (mask(x < -87.3), mask(x > 88.7));
    f32::from_bits((y.to_bits() & !under & !over) | (f32::INFINITY.to_bits() & over))
}

/// [`exp`] of a number that is not positive: the same bytes in fewer instructions.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    let (rounded, p) = reduced(if x > -87.3 { x } else { -87.3 });
    // 2^n by adding n to the exponent, which stays above 0: n >= -126 and p >= 0.7.
    let y = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    if x < -87.3 { 0.0 } else { y }
}

/// The natural logarithm of a positive finite normal number, within `4e-16 |ln x| + 1e-16`.
///
/// # Panics
/// In debug builds, if `x` is not such a number.
pub fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0, "ln of {x}");
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh t, t = (m - 1) / (m + 1), |t| <= 0.172.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let mut series = 1.0 / 23.0;
    for odd in (1..=21).rev().step_by(2) {
        series = series * square + 1.0 / f64::from(odd);
    }
    2.0 * t * series + exponent as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units() {
        let mut worst = 0.0_f64;
        for step in 0..2_000_000 {
            let x = -87.0 + step as f32 * (175.0 / 2_000_000.0);
            let exact = f64::from(x).exp();
            let unit =
                f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
        }
        assert!(worst <= 2.0, "{worst} units");
        for step in 0..2_000_000 {
            let x = step as f32 * -5e-5;
            assert_eq!(exp_negative(x).to_bits(), exp(x).to_bits(), "{x}");
        }
        assert_eq!(exp_negative(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1e9), f32::INFINITY);
    }

    #[test]
    fn ln_matches() {
        for step in 1..200_000 {
            for x in [f64::from(step) * 1e-5, f64::from(step) * 1e3, f64::from(step) * 1e-300] {
                let exact = x.ln();
                assert!((ln(x) - exact).abs() <= 4e-16 * exact.abs() + 2e-16, "ln {x}");
            }
        }
    }
}
