//! Complex rows: a real half, then an imaginary half.

use super::{Operation, Row};

/// The complex product `a b`, or `a conj(b)`.
struct ComplexProduct {
    /// -1 conjugates `b`.
    sign: f32,
}

impl Operation<2> for ComplexProduct {
    fn forward(&self, [a, b]: [&[f32]; 2], result: &mut [f32]) {
        let half = result.len() / 2;
        let (re, im) = result.split_at_mut(half);
        let ((a_re, a_im), (b_re, b_im)) = (a.split_at(half), b.split_at(half));
        let rows = re.iter_mut().zip(im).zip(a_re.iter().zip(a_im)).zip(b_re.iter().zip(b_im));
        for (((re, im), (a_re, a_im)), (b_re, b_im)) in rows {
            let b_im = self.sign * b_im;
            *re = a_re * b_re - a_im * b_im;
            *im = a_re * b_im + a_im * b_re;
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
        // d a = d conj(b'), where b' is b as it was multiplied; d b' = d conj(a), and the
        // imaginary half of d b takes the sign once more.
        let half = d_input.len() / 2;
        let (d_re, d_im) = d_result.split_at(half);
        let (x_re, x_im) = inputs[1 - which].split_at(half);
        let (to_re, to_im) = d_input.split_at_mut(half);
        let (of_other, of_self) = if which == 0 { (self.sign, 1.0) } else { (1.0, self.sign) };
        let rows = to_re.iter_mut().zip(to_im).zip(d_re.iter().zip(d_im));
        for (((to_re, to_im), (d_re, d_im)), (x_re, x_im)) in rows.zip(x_re.iter().zip(x_im)) {
            let x_im = of_other * x_im;
            *to_re += d_re * x_re + d_im * x_im;
            *to_im += of_self * (d_im * x_re - d_re * x_im);
        }
    }
}

/// `cos` and `sin` of phases, as a complex row.
struct Phasor;

impl Operation<1> for Phasor {
    const READS_INPUTS: bool = false;
    const READS_RESULT: bool = true;

    fn forward(&self, [phases]: [&[f32]; 1], result: &mut [f32]) {
        let (cos, sin) = result.split_at_mut(phases.len());
        for ((cos, sin), &phase) in cos.iter_mut().zip(sin).zip(phases) {
            (*sin, *cos) = libm::sincosf(phase);
        }
    }

    fn backward(&self, _: usize, _: [&[f32]; 1], y: &[f32], d_y: &[f32], d_phases: &mut [f32]) {
        let half = d_phases.len();
        let ((cos, sin), (d_cos, d_sin)) = (y.split_at(half), d_y.split_at(half));
        for (at, d_phase) in d_phases.iter_mut().enumerate() {
            *d_phase += cos[at] * d_sin[at] - sin[at] * d_cos[at];
        }
    }
}

impl Row<'_> {
    fn complex(self, other: Self, sign: f32) -> Self {
        assert_eq!(self.width(), other.width(), "two rows of one width");
        assert_eq!(self.width() % 2, 0, "complex rows have two halves");
        Self::computed(ComplexProduct { sign }, [self, other], self.width())
    }

    /// The complex product of two rows of halves.
    ///
    /// # Panics
    /// If the widths differ or are odd.
    #[must_use]
    pub fn times_complex(self, other: Self) -> Self {
        self.complex(other, 1.0)
    }

    /// The complex product with the other row's conjugate.
    ///
    /// # Panics
    /// If the widths differ or are odd.
    #[must_use]
    pub fn times_conjugate(self, other: Self) -> Self {
        self.complex(other, -1.0)
    }

    /// `e^(i phase)` of each phase: a complex row, twice as wide.
    #[must_use]
    pub fn phasors(self) -> Self {
        Self::computed(Phasor, [self], 2 * self.width())
    }
}
