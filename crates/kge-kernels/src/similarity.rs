//! The closed set of similarities between a query row and a candidate row.
//!
//! Every similarity is "higher is more plausible": distances are negated. The host computes
//! them itself, over all entities, so that a scoring model never runs a loop over the graph.

/// How a query row is compared with a candidate row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Similarity {
    /// `sum_i q_i c_i`.
    Dot,
    /// `-sum_i |q_i - c_i|`.
    L1,
    /// `-sqrt(sum_i (q_i - c_i)^2)`.
    L2,
    /// `-sum_i (q_i - c_i)^2`.
    SquaredL2,
    /// `-sum_j |q_j - c_j|` over complex numbers; a row is its real half, then its imaginary half
    /// (Sun et al. 2019, RotatE).
    Modulus,
}

/// The definitions as plain loops in f64, which kernels are tested against.
#[cfg(test)]
pub(crate) mod plain {
    use super::Similarity;

    pub(crate) const ALL: [Similarity; 5] = [
        Similarity::Dot,
        Similarity::L1,
        Similarity::L2,
        Similarity::SquaredL2,
        Similarity::Modulus,
    ];

    pub(crate) fn matrix(rows: usize, width: usize, salt: usize) -> Vec<f32> {
        (0..rows * width)
            .map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 506.5 - 1.0)
            .collect()
    }

    pub(crate) fn score(similarity: Similarity, q: &[f32], c: &[f32]) -> f64 {
        let pairs = || q.iter().zip(c).map(|(&q, &c)| (f64::from(q), f64::from(c)));
        let half = q.len() / 2;
        match similarity {
            Similarity::Dot => pairs().map(|(q, c)| q * c).sum(),
            Similarity::L1 => -pairs().map(|(q, c)| (q - c).abs()).sum::<f64>(),
            Similarity::L2 => -pairs().map(|(q, c)| (q - c).powi(2)).sum::<f64>().sqrt(),
            Similarity::SquaredL2 => -pairs().map(|(q, c)| (q - c).powi(2)).sum::<f64>(),
            Similarity::Modulus => {
                let d: Vec<_> = pairs().map(|(q, c)| q - c).collect();
                -(0..half).map(|i| d[i].hypot(d[i + half])).sum::<f64>()
            }
        }
    }

    /// `d score / d q`.
    pub(crate) fn gradient(similarity: Similarity, q: &[f32], c: &[f32]) -> Vec<f64> {
        let d: Vec<f64> = q.iter().zip(c).map(|(&q, &c)| f64::from(q) - f64::from(c)).collect();
        let half = q.len() / 2;
        let over = |x: f64, length: f64| if length > 0.0 { -x / length } else { 0.0 };
        match similarity {
            Similarity::Dot => c.iter().map(|&c| f64::from(c)).collect(),
            Similarity::L1 => d.iter().map(|&d| over(d, d.abs())).collect(),
            Similarity::L2 => {
                let length = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                d.iter().map(|&d| over(d, length)).collect()
            }
            Similarity::SquaredL2 => d.iter().map(|&d| -2.0 * d).collect(),
            Similarity::Modulus => {
                let one = |i: usize| over(d[i], d[i % half].hypot(d[i % half + half]));
                (0..2 * half).map(one).collect()
            }
        }
    }
}
