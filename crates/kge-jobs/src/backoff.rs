//! How long a failed task waits for its next attempt.

use std::time::Duration;

/// The longest wait before the second attempt; doubled for each one after it.
pub const RETRY_BASE: Duration = Duration::from_secs(1);

/// No retry waits longer than this.
pub const RETRY_CAP: Duration = Duration::from_secs(60);

/// The longest wait after `failed` failed attempts: exponential, capped.
pub fn retry_ceiling(failed: u32) -> Duration {
    let doublings = failed.saturating_sub(1).min(31);
    RETRY_BASE.saturating_mul(1 << doublings).min(RETRY_CAP)
}

/// A wait drawn evenly from zero to the ceiling ("full jitter"), so that tasks which failed
/// together don't come back together.
pub fn retry_delay(failed: u32) -> Duration {
    retry_ceiling(failed).mul_f64(retry_share())
}

/// The share of the ceiling to wait, drawn evenly from 0 to 1.
pub(crate) fn retry_share() -> f64 {
    // Without a source of randomness the whole wait is the safe choice.
    getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap() {
        for (failed, seconds) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60), (u32::MAX, 60)]
        {
            assert_eq!(retry_ceiling(failed).as_secs(), seconds, "after {failed}");
        }
    }

    #[test]
    fn delays_spread_below_the_ceiling() {
        let drawn: Vec<_> = (0..64).map(|_| retry_delay(4)).collect();
        assert!(drawn.iter().all(|&delay| delay <= retry_ceiling(4)));
        assert!(drawn.iter().any(|&delay| delay < Duration::from_secs(4)));
        assert!(drawn.iter().any(|&delay| delay > Duration::from_secs(4)));
    }
}
