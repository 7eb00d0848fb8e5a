//! Parts of small networks: activation, normalisation by layer, convolution.

use super::elementwise::{add_scaled, dot, sum};
use super::{Operation, Row};

struct Relu;

impl Operation<1> for Relu {
    fn forward(&self, [a]: [&[f32]; 1], result: &mut [f32]) {
        for (result, a) in result.iter_mut().zip(a) {
            *result = a.max(0.0);
        }
    }

    fn backward(&self, _: usize, [a]: [&[f32]; 1], _: &[f32], d_y: &[f32], d_a: &mut [f32]) {
        for ((d_a, d_y), a) in d_a.iter_mut().zip(d_y).zip(a) {
            *d_a += if *a > 0.0 { *d_y } else { 0.0 };
        }
    }
}

/// Mean 0 and variance 1 over the row.
struct LayerNormalise;

const EPSILON: f32 = 1e-5;

/// The mean, and one over the standard deviation.
fn moments(row: &[f32]) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

impl Operation<1> for LayerNormalise {
    const READS_RESULT: bool = true;

    fn forward(&self, [a]: [&[f32]; 1], result: &mut [f32]) {
        let (mean, inverse) = moments(a);
        for (result, a) in result.iter_mut().zip(a) {
            *result = (a - mean) * inverse;
        }
    }

    fn backward(&self, _: usize, [a]: [&[f32]; 1], y: &[f32], d_y: &[f32], d_a: &mut [f32]) {
        let (_, inverse) = moments(a);
        let count = y.len() as f32;
        let (mean, along) = (sum(d_y, |value| value) / count, dot(y, d_y) / count);
        for ((d_a, d_y), y) in d_a.iter_mut().zip(d_y).zip(y) {
            *d_a += inverse * (d_y - mean - along * y);
        }
    }
}

/// An image of one channel, filtered without padding.
///
/// `image` is `[height, width]`, `filters` `[size * size, channels]`, the result
/// `[height - size + 1, width - size + 1, channels]`: channels lie innermost, so that one pixel
/// times one filter row is a SIMD loop.
struct Convolution {
    width: usize,
    size: usize,
    channels: usize,
}

impl Convolution {
    /// Hands each output pixel's place and, for each place in the filter, the image's place and
    /// the filter row to `visit`.
    fn visit(&self, pixels: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let columns = self.width - self.size + 1;
        for pixel in 0..pixels {
            let (row, column) = (pixel / columns, pixel % columns);
            for y in 0..self.size {
                for x in 0..self.size {
                    visit(pixel, (row + y) * self.width + column + x, y * self.size + x);
                }
            }
        }
    }
}

impl Operation<2> for Convolution {
    fn forward(&self, [image, filters]: [&[f32]; 2], result: &mut [f32]) {
        let channels = self.channels;
        result.fill(0.0);
        self.visit(result.len() / channels, |pixel, at, tap| {
            let filter = &filters[tap * channels..][..channels];
            add_scaled(&mut result[pixel * channels..][..channels], image[at], filter);
        });
    }

    fn backward(
        &self,
        which: usize,
        [image, filters]: [&[f32]; 2],
        _: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    ) {
        let channels = self.channels;
        self.visit(d_result.len() / channels, |pixel, at, tap| {
            let d_pixel = &d_result[pixel * channels..][..channels];
            match which {
                0 => d_input[at] += dot(&filters[tap * channels..][..channels], d_pixel),
                _ => add_scaled(&mut d_input[tap * channels..][..channels], image[at], d_pixel),
            }
        });
    }
}

impl Row<'_> {
    /// Each value, or 0 if it is negative.
    #[must_use]
    pub fn relu(self) -> Self {
        Self::computed(Relu, [self], self.width())
    }

    /// This row shifted and scaled to mean 0 and variance 1 (Ba et al. 2016).
    #[must_use]
    pub fn layer_normalise(self) -> Self {
        Self::computed(LayerNormalise, [self], self.width())
    }

    /// This row as an image `[height, width]`, filtered by square filters without padding.
    ///
    /// `filters` is `[size * size, channels]`; the result is
    /// `[height - size + 1, width - size + 1, channels]`.
    ///
    /// # Panics
    /// If the row is no image of that width, the image is smaller than a filter, or `filters` has
    /// another shape.
    #[must_use]
    pub fn convolve(self, width: usize, filters: Self, size: usize) -> Self {
        let (height, channels) = (self.width() / width, filters.width() / (size * size));
        assert_eq!(height * width, self.width(), "an image of width {width}");
        assert_eq!(channels * size * size, filters.width(), "filters of {size} x {size}");
        assert!(height >= size && width >= size, "an image not smaller than {size} x {size}");
        let pixels = (height - size + 1) * (width - size + 1);
        Self::computed(Convolution { width, size, channels }, [self, filters], pixels * channels)
    }
}
