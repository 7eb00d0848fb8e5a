//! The random stream: addressed by what it is for, never by who draws.
//!
//! ChaCha's 256-bit key is the address (seed, purpose, two counters), so that any thread may draw
//! any part and a resumed run finds its place. Ranges and floats are mapped here, because
//! distributions of libraries may change between releases.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    EntityRows = 1,
    RelationRows = 2,
    Order = 3,
    Negatives = 4,
    SharedTensors = 5,
}

/// One stream of random values.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose, major: u64, minor: u64) -> Self {
        let mut key = [0; 32];
        for (part, value) in key.chunks_exact_mut(8).zip([seed, purpose as u64, major, minor]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A whole number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Two independent standard normal values (Marsaglia's polar method).
    pub(crate) fn normal_pair(&mut self) -> (f32, f32) {
        loop {
            let mut side = || f64::from(self.0.next_u32()) * (2.0 / 4_294_967_296.0) - 1.0;
            let (u, v) = (side(), side());
            let square = u * u + v * v;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * kge_kernels::math::ln(square) / square).sqrt();
                return ((u * factor) as f32, (v * factor) as f32);
            }
        }
    }
}

/// A random order of `0..count` (Fisher and Yates).
pub(crate) fn order(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut stream = Stream::new(seed, Purpose::Order, epoch, 0);
    for last in (1..order.len()).rev() {
        let other = stream.below(last as u32 + 1) as usize;
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut stream = Stream::new(7, Purpose::Negatives, 1, 2);
        let first: Vec<u32> = (0..4).map(|_| stream.below(1000)).collect();
        let mut again = Stream::new(7, Purpose::Negatives, 1, 2);
        assert_eq!(first, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        let mut other = Stream::new(7, Purpose::Negatives, 1, 3);
        assert_ne!(first, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
    }

    #[test]
    fn orders_are_permutations_and_normals_are_normal() {
        let mut seen = order(1, 2, 1000);
        assert_ne!(seen, order(1, 3, 1000));
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..1000));

        let mut stream = Stream::new(1, Purpose::EntityRows, 0, 0);
        let draws: Vec<f64> = (0..50_000)
            .flat_map(|_| <[f32; 2]>::from(stream.normal_pair()))
            .map(f64::from)
            .collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        let tail = draws.iter().filter(|x| x.abs() > 1.96).count() as f64 / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02 && (tail - 0.05).abs() < 0.004);
    }
}
