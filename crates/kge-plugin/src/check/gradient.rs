//! A gradient against central differences.

use std::time::Instant;

use kge_model::{Result, Session};

use super::trial::Trial;
use super::{Outcome, too_slow};

/// How far from a central difference a gradient may be, relative to the largest component: f32
/// rows leave about three digits.
const TOLERANCE: f64 = 5e-3;
/// Steps of central differences. The shorter ones are for what has a kink within the first, as
/// `relu` has; f32 leaves fewer digits of them.
const STEPS: [f32; 3] = [1e-2, 1e-3, 1e-4];
/// Where a place is tried: as it is, and moved away from a kink that lies too near. A wrong
/// gradient is wrong there too.
const MOVES: [f32; 4] = [0.0, 0.07, -0.05, 0.11];
/// Places of one list that are tried: all of them, but for large matrices.
const PLACES: usize = 3000;

/// The largest difference between a gradient and central differences, relative to the largest
/// component.
pub(super) fn worst(trial: &Trial<'_>, until: Instant) -> Result<Outcome> {
    let mut trial = trial.clone();
    let mut session = trial.open()?;
    let exact = trial.reverse(&mut *session)?;
    let scale = exact.iter().flatten().fold(1e-3_f64, |most, g| most.max(f64::from(g.abs())));
    let mut worst = (0.0_f64, String::new());
    for (list, gradient) in exact.iter().enumerate() {
        // An odd stride meets every column of a matrix.
        let stride = match gradient.len().div_ceil(PLACES) {
            0 | 1 => 1,
            stride => stride | 1,
        };
        for (at, &exact) in gradient.iter().enumerate().step_by(stride) {
            if Instant::now() > until {
                return Ok(Err(too_slow()));
            }
            let off = nearest(&mut trial, &mut *session, (list, at), (exact, scale))?;
            if off > worst.0 {
                worst = (off, format!("{}[{at}]", name(list)));
            }
        }
    }
    let (off, place) = worst;
    Ok(if off <= TOLERANCE {
        Ok(format!("within {off:.1e} of central differences"))
    } else {
        Err(format!(
            "d-{place} is {off:.1e} away from central differences, \
             at most {TOLERANCE:.0e} is allowed"
        ))
    })
}

/// The least distance of one component from central differences, relative to `scale`.
fn nearest(
    trial: &mut Trial<'_>,
    session: &mut dyn Session,
    (list, at): (usize, usize),
    (exact, scale): (f32, f64),
) -> Result<f64> {
    let old = trial.lists[list][at];
    let mut least = f64::INFINITY;
    for away in MOVES {
        trial.lists[list][at] = old + away;
        let exact = match away {
            0.0 => exact,
            _ => {
                trial.share(session)?;
                trial.reverse(session)?[list][at]
            }
        };
        for step in STEPS {
            let (high, low) = (old + away + step, old + away - step);
            let (up, down) =
                (loss(trial, session, (list, at), high)?, loss(trial, session, (list, at), low)?);
            let difference = (up - down) / f64::from(high - low);
            least = least.min((f64::from(exact) - difference).abs() / scale);
            if least <= TOLERANCE {
                break;
            }
        }
        if least <= TOLERANCE {
            break;
        }
    }
    trial.lists[list][at] = old;
    Ok(least)
}

/// The weighted sum of the function's rows, with one component at `value`.
fn loss(
    trial: &mut Trial<'_>,
    session: &mut dyn Session,
    (list, at): (usize, usize),
    value: f32,
) -> Result<f64> {
    trial.lists[list][at] = value;
    if list >= 2 {
        trial.share(session)?;
    }
    let mut rows = Vec::new();
    trial.forward(session, &mut rows)?;
    Ok(rows.iter().zip(&trial.weights).map(|(q, w)| f64::from(*q) * f64::from(*w)).sum())
}

fn name(list: usize) -> String {
    match list {
        0 => "anchors".into(),
        1 => "relations".into(),
        shared => format!("shared[{}]", shared - 2),
    }
}
