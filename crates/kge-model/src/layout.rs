//! The shape of a model's rows: widths, similarity, initial values, constraints.

use kge_kernels::Similarity;
use serde::{Deserialize, Serialize};

/// Which part of a triple a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// `(h, r, ?)`: the anchor is the head.
    Tail,
    /// `(?, r, t)`: the anchor is the tail.
    Head,
    /// `(h, ?, t)`: two anchors, ranked against the relation rows.
    Relation,
}

/// What a configured model says of its rows. Widths count floats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// How a query row is compared with a candidate row.
    #[serde(with = "similarity_name")]
    pub similarity: Similarity,
    /// The directions the model can answer; `Tail` always is one of them.
    pub directions: Vec<Direction>,
    /// Whether each entity has a bias, added to any similarity.
    pub bias: bool,
    /// Floats in an entity row.
    pub entity_width: usize,
    /// Floats in a relation row.
    pub relation_width: usize,
    /// Floats in a query row, and in a candidate row.
    pub query_width: usize,
    /// Whether rows are complex: a real half, then an imaginary half (N3 then takes moduli).
    pub complex: bool,
    /// Whether candidates are projected by the relation (TransH and its like).
    pub projects_candidates: bool,
    /// How entity rows start.
    pub entity_initialiser: Initialiser,
    /// How relation rows start.
    pub relation_initialiser: Initialiser,
    /// What holds for entity rows after each step.
    pub entity_constraint: Constraint,
    /// What holds for relation rows after each step.
    pub relation_constraint: Constraint,
    /// Tensors that all triples share, owned and updated by the host.
    pub shared: Vec<SharedTensor>,
}

/// How rows start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Initialiser {
    /// All zero.
    Zeros,
    /// Independent normal values with mean 0.
    Normal {
        /// Their standard deviation.
        deviation: f32,
    },
    /// Independent uniform values.
    Uniform {
        /// The lower bound, included.
        low: f32,
        /// The upper bound, excluded.
        high: f32,
    },
}

/// What the host restores after each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// Nothing.
    None,
    /// Every row has Euclidean length 1 (Bordes et al. 2013).
    UnitNorm,
    /// Every row has Euclidean length 1 at most.
    UnitBall,
    /// Every value is an angle, wrapped into `[-pi, pi)`.
    Phase,
}

/// A tensor that all triples share, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedTensor {
    /// Its name, unique in the model.
    pub name: String,
    /// Its extents.
    pub shape: Vec<usize>,
    /// How it starts.
    pub initialiser: Initialiser,
}

impl Layout {
    /// Whether the model can answer this direction.
    pub fn answers(&self, direction: Direction) -> bool {
        self.directions.contains(&direction)
    }
}

mod similarity_name {
    //! Similarities by the names of the contract.

    use kge_kernels::Similarity;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(Similarity, &str); 5] = [
        (Similarity::Dot, "dot"),
        (Similarity::L1, "l1"),
        (Similarity::L2, "l2"),
        (Similarity::SquaredL2, "squared-l2"),
        (Similarity::Modulus, "modulus"),
    ];

    pub(super) fn serialize<S: Serializer>(value: &Similarity, to: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(s, _)| s == value).map_or("dot", |(_, name)| name);
        to.serialize_str(name)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Similarity, D::Error> {
        let found = std::borrow::Cow::<'de, str>::deserialize(from)?;
        NAMES.iter().find(|(_, name)| *name == found).map(|(s, _)| *s).ok_or_else(|| {
            D::Error::custom(format!(
                "unknown similarity \"{found}\", expected dot, l1, l2, squared-l2 or modulus"
            ))
        })
    }
}
