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
