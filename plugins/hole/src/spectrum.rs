//! The discrete Fourier transform as an operation on rows, for any length.
//!
//! A spectrum is a complex row: real parts, then imaginary parts. The transform is linear, and
//! its adjoint is the unscaled inverse; that is all its gradients take.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use kge_plugin_sdk::{Operation, Row};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// The transform of one length, and its inverse.
#[derive(Clone)]
pub(crate) struct Transform(Rc<Plans>);

struct Plans {
    length: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// The row in work, and what the transform needs beside it.
    room: RefCell<(Vec<Complex32>, Vec<Complex32>)>,
}

impl Transform {
    pub(crate) fn new(length: usize) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, inverse) =
            (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let zeros = |length| vec![Complex32::default(); length];
        let room = RefCell::new((zeros(length), zeros(scratch)));
        Self(Rc::new(Plans { length, forward, inverse, room }))
    }

    pub(crate) fn length(&self) -> usize {
        self.0.length
    }

    /// The spectrum of a row.
    pub(crate) fn of<'g>(&self, row: Row<'g>) -> Row<'g> {
        Row::computed(ToSpectrum(self.clone()), [row], 2 * self.0.length)
    }

    /// The real part of the row whose spectrum this is.
    pub(crate) fn back<'g>(&self, spectrum: Row<'g>) -> Row<'g> {
        Row::computed(FromSpectrum(self.clone()), [spectrum], self.0.length)
    }

    /// Hands `take` each place of the spectrum of a real row.
    fn spectrum(&self, row: &[f32], take: impl FnMut(usize, Complex32)) {
        self.run(&*self.0.forward, row.iter().map(|&re| Complex32::new(re, 0.0)), take);
    }

    /// Hands `take` each place of the row whose spectrum this is, times its length.
    fn unscaled(&self, spectrum: &[f32], take: impl FnMut(usize, Complex32)) {
        let (re, im) = spectrum.split_at(self.0.length);
        let values = re.iter().zip(im).map(|(&re, &im)| Complex32::new(re, im));
        self.run(&*self.0.inverse, values, take);
    }

    fn run(
        &self,
        plan: &dyn Fft<f32>,
        values: impl Iterator<Item = Complex32>,
        mut take: impl FnMut(usize, Complex32),
    ) {
        let (row, scratch) = &mut *self.0.room.borrow_mut();
        row.iter_mut().zip(values).for_each(|(to, value)| *to = value);
        plan.process_with_scratch(row, scratch);
        row.iter().enumerate().for_each(|(at, &value)| take(at, value));
    }
}

struct ToSpectrum(Transform);

impl Operation<1> for ToSpectrum {
    const READS_INPUTS: bool = false;

    fn forward(&self, [row]: [&[f32]; 1], spectrum: &mut [f32]) {
        let (re, im) = spectrum.split_at_mut(row.len());
        self.0.spectrum(row, |at, value| (re[at], im[at]) = (value.re, value.im));
    }

    fn backward(&self, _: usize, _: [&[f32]; 1], _: &[f32], d_spectrum: &[f32], d_row: &mut [f32]) {
        self.0.unscaled(d_spectrum, |at, value| d_row[at] += value.re);
    }
}

struct FromSpectrum(Transform);

impl Operation<1> for FromSpectrum {
    const READS_INPUTS: bool = false;

    fn forward(&self, [spectrum]: [&[f32]; 1], row: &mut [f32]) {
        let scale = 1.0 / row.len() as f32;
        self.0.unscaled(spectrum, |at, value| row[at] = scale * value.re);
    }

    fn backward(&self, _: usize, _: [&[f32]; 1], _: &[f32], d_row: &[f32], d_spectrum: &mut [f32]) {
        let scale = 1.0 / d_row.len() as f32;
        let (d_re, d_im) = d_spectrum.split_at_mut(d_row.len());
        self.0.spectrum(d_row, |at, value| {
            d_re[at] += scale * value.re;
            d_im[at] += scale * value.im;
        });
    }
}
