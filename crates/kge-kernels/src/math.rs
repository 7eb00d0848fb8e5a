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

/// [`exp`] of a number of at most 88, and of greater ones `e^88`: in fewer instructions.
#[inline(always)]
pub fn exp_bounded(x: f32) -> f32 {
    // As there; and the exponent stays below 255, since n <= 127 and p < 1.5.
    exp_negative(if x < 88.0 { x } else { 88.0 })
}

/// `e^x` of `x` from -87 to 87.9, and of others about the nearest of these: within `1e-5` of the
/// exact value, in half of the instructions of [`exp_bounded`].
#[inline(always)]
pub fn exp_coarse(x: f32) -> f32 {
    let Coarse { log2_e, least, most, round, polynomial } = COARSE;
    // 2^t = 2^n 2^f with |f| <= 1/2. A comparison that fails takes what is no number down.
    let t = x * log2_e;
    let t = if t > least { t } else { least };
    let t = if t < most { t } else { most };
    let rounded = t + round;
    let f = t - (rounded - round);
    let mut p = polynomial[0];
    for term in &polynomial[1..] {
        p = p.mul_add(f, *term);
    }
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// The numbers of [`exp_coarse`], for those who take its steps themselves.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Coarse {
    log2_e: f32,
    least: f32,
    most: f32,
    round: f32,
    /// Of the least greatest relative error, from the highest power on.
    polynomial: [f32; 5],
}

pub(crate) const COARSE: Coarse = Coarse {
    log2_e: std::f32::consts::LOG2_E,
    least: -126.0,
    most: 126.9,
    round: ROUND,
    polynomial: [9.570_102e-3, 5.591_786e-2, 0.240_247_45, 0.693_121_8, 0.999_999_3],
};

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
        for step in 0..2_000_000 {
            let x = 88.0 - step as f32 * 1e-4;
            assert_eq!(exp_bounded(x).to_bits(), exp(x).to_bits(), "{x}");
        }
        for step in 0..2_000_000 {
            let x = -87.0 + step as f32 * (174.9 / 2_000_000.0);
            let exact = f64::from(x).exp();
            let error = (f64::from(exp_coarse(x)) - exact).abs() / exact;
            assert!(error < 1e-5, "{x}: {error}");
        }
        for (x, nearest) in
            [(f32::NEG_INFINITY, -87.4_f64), (-88.0, -87.4), (f32::NAN, -87.4), (1e9, 87.9)]
        {
            let ratio = f64::from(exp_coarse(x)) / nearest.exp();
            assert!((0.9..1.1).contains(&ratio), "{x}: {ratio}");
        }
        assert_eq!(exp_negative(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_bounded(f32::INFINITY), exp(88.0));
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
