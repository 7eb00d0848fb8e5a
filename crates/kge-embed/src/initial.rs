//! How rows start.

use kge_kernels::{Pool, optimise};
use kge_model::{Constraint, Initialiser};

use crate::random::{Purpose, Stream};

/// Rows that share one random stream.
const BLOCK: usize = 1024;

/// `[count, width]` rows as the initialiser and the constraint say; `table` is their number among
/// those of one purpose.
pub(crate) fn rows(
    pool: &Pool,
    seed: u64,
    (purpose, table): (Purpose, u64),
    (count, width): (usize, usize),
    initialiser: Initialiser,
    constraint: Constraint,
) -> Vec<f32> {
    let mut rows = vec![0.0; count * width];
    pool.chunks(&mut rows, (BLOCK * width).max(1), |block, rows, _| {
        let mut stream = Stream::new(seed, purpose, block as u64, table);
        match initialiser {
            Initialiser::Zeros => {}
            Initialiser::Normal { deviation } => {
                for pair in rows.chunks_mut(2) {
                    let (a, b) = stream.normal_pair();
                    pair.iter_mut().zip([a, b]).for_each(|(x, n)| *x = deviation * n);
                }
            }
            Initialiser::Uniform { low, high } => {
                rows.iter_mut().for_each(|x| *x = low + (high - low) * stream.unit());
            }
        }
        rows.chunks_mut(width.max(1)).for_each(|row| restore(constraint, row));
    });
    rows
}

/// Restores a constraint on one row.
pub(crate) fn restore(constraint: Constraint, row: &mut [f32]) {
    match constraint {
        Constraint::None => {}
        Constraint::UnitNorm => optimise::unit_norm(row),
        Constraint::UnitBall => optimise::unit_ball(row),
        Constraint::Phase => optimise::wrap_phase(row),
    }
}
