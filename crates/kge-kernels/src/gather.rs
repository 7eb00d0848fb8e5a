//! Rows from all over a table, which is larger than the caches: asked for before they are needed.

/// Rows asked for ahead of the one in work.
const AHEAD: usize = 4;

/// Appends the rows `ids` of a table `[rows, width]` to `out`.
///
/// # Panics
/// If there is no such row.
pub fn gather(
    table: &[f32],
    width: usize,
    ids: impl Iterator<Item = u32> + Clone,
    out: &mut Vec<f32>,
) {
    let row = |id: u32| &table[id as usize * width..][..width];
    let mut ahead = ids.clone().skip(AHEAD);
    for id in ids {
        if let Some(later) = ahead.next() {
            prefetch(row(later));
        }
        out.extend_from_slice(row(id));
    }
}

/// Has the CPU bring these numbers near, which are wanted soon.
pub fn prefetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(64 / size_of::<f32>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch changes nothing but caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_ids() {
        let table: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let mut out = vec![-1.0];
        gather(&table, 3, [19, 0, 7, 7, 2, 11].into_iter(), &mut out);
        let rows = [19, 0, 7, 7, 2, 11].map(|id| [0, 1, 2].map(|k| (3 * id + k) as f32));
        assert_eq!(out, [&[-1.0], rows.as_flattened()].concat());
    }
}
