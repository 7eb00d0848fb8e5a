//! Numbers that begin at a line of the cache, so that no vector or row of a tile lies across two.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

/// 64 bytes at a multiple of 64.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u16; 32]);

// SAFETY: zeros are a line.
unsafe impl Zeroable for Line {}
// SAFETY: any bytes are a line, and it has no others than those of its numbers.
unsafe impl Pod for Line {}

/// Floats of a line.
const FLOATS: usize = size_of::<Line>() / size_of::<f32>();

/// Floats in whole lines.
#[derive(Debug, Default)]
pub(crate) struct Floats {
    lines: Vec<Line>,
    length: usize,
}

impl Floats {
    /// Makes it so long; what is new is 0 or was there before.
    pub(crate) fn resize(&mut self, length: usize) {
        self.lines.resize(length.div_ceil(FLOATS), Line::default());
        self.length = length;
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_begin_at_a_line_and_keep_what_they_held() {
        let mut floats = Floats::default();
        for length in [0, 1, 16, 17, 1000] {
            floats.resize(length);
            assert_eq!(floats.len(), length);
            assert!(floats.as_ptr().addr().is_multiple_of(64));
            if let Some(last) = floats.last_mut() {
                *last = 1.0;
            }
        }
        assert_eq!((floats[15], floats[16], floats[17]), (1.0, 1.0, 0.0));
    }
}
