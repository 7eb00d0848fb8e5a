//! Quaternion rows: four quarters, the real parts and those of i, j and k.

use super::{Operation, Row};

/// Which parts of the factors make part `p` of the Hamilton product, and with which sign:
/// `(part of a, part of b, sign)`.
const HAMILTON: [[(usize, usize, f32); 4]; 4] = [
    [(0, 0, 1.0), (1, 1, -1.0), (2, 2, -1.0), (3, 3, -1.0)],
    [(0, 1, 1.0), (1, 0, 1.0), (2, 3, 1.0), (3, 2, -1.0)],
    [(0, 2, 1.0), (1, 3, -1.0), (2, 0, 1.0), (3, 1, 1.0)],
    [(0, 3, 1.0), (1, 2, 1.0), (2, 1, -1.0), (3, 0, 1.0)],
];

/// `to += sign * a * b`, component by component.
fn add_product(to: &mut [f32], sign: f32, a: &[f32], b: &[f32]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to += sign * a * b;
    }
}

struct HamiltonProduct;

impl Operation<2> for HamiltonProduct {
    fn forward(&self, [a, b]: [&[f32]; 2], result: &mut [f32]) {
        let quarter = result.len() / 4;
        result.fill(0.0);
        for (to, terms) in result.chunks_exact_mut(quarter).zip(HAMILTON) {
            for (of_a, of_b, sign) in terms {
                add_product(
                    to,
                    sign,
                    &a[of_a * quarter..][..quarter],
                    &b[of_b * quarter..][..quarter],
                );
            }
        }
    }

    fn backward(
        &self,
        which: usize,
        inputs: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        let quarter = d_input.len() / 4;
        for (d_part, terms) in d_result.chunks_exact(quarter).zip(HAMILTON) {
            for (of_a, of_b, sign) in terms {
                let (of_input, of_other) = if which == 0 { (of_a, of_b) } else { (of_b, of_a) };
                let other = &inputs[1 - which][of_other * quarter..][..quarter];
                add_product(&mut d_input[of_input * quarter..][..quarter], sign, d_part, other);
            }
        }
    }
}

/// Divides each quaternion of a row by its length.
struct UnitQuaternions;

const TINY: f32 = 1e-12;

fn length(row: &[f32], quarter: usize, at: usize) -> f32 {
    let square: f32 = (0..4).map(|part| row[part * quarter + at] * row[part * quarter + at]).sum();
    square.sqrt().max(TINY)
}

impl Operation<1> for UnitQuaternions {
    const READS_RESULT: bool = true;

    fn forward(&self, [a]: [&[f32]; 1], result: &mut [f32]) {
        let quarter = a.len() / 4;
        for at in 0..quarter {
            let length = length(a, quarter, at);
            for part in 0..4 {
                result[part * quarter + at] = a[part * quarter + at] / length;
            }
        }
    }

    fn backward(&self, _: usize, [a]: [&[f32]; 1], y: &[f32], d_y: &[f32], d_a: &mut [f32]) {
        let quarter = a.len() / 4;
        for at in 0..quarter {
            let places = [at, quarter + at, 2 * quarter + at, 3 * quarter + at];
            let (length, along) = (
                length(a, quarter, at),
                places.iter().map(|&place| y[place] * d_y[place]).sum::<f32>(),
            );
            for place in places {
                d_a[place] += (d_y[place] - along * y[place]) / length;
            }
        }
    }
}

impl Row<'_> {
    /// The Hamilton product of two rows of quarters.
    ///
    /// # Panics
    /// If the widths differ or are no multiples of 4.
    #[must_use]
    pub fn times_quaternion(self, other: Self) -> Self {
        assert_eq!(self.width(), other.width(), "two rows of one width");
        assert_eq!(self.width() % 4, 0, "quaternion rows have four quarters");
        Self::computed(HamiltonProduct, [self, other], self.width())
    }

    /// Each quaternion's conjugate.
    ///
    /// # Panics
    /// If the width is no multiple of 4.
    #[must_use]
    pub fn conjugate_quaternions(self) -> Self {
        self.scale_parts(&[1.0, -1.0, -1.0, -1.0])
    }

    /// Each quaternion divided by its length.
    ///
    /// # Panics
    /// If the width is no multiple of 4.
    #[must_use]
    pub fn unit_quaternions(self) -> Self {
        assert_eq!(self.width() % 4, 0, "quaternion rows have four quarters");
        Self::computed(UnitQuaternions, [self], self.width())
    }
}
