//! The contract as plain Rust: what `wit/kge-model.wit` says, without the wire.

use std::collections::BTreeMap;

/// Values by name, defaults filled in by the host.
pub type HyperParameters = BTreeMap<String, f64>;

/// A scoring model: `score(h, r, t) = similarity(query(h, r), t)`.
pub trait Model: Sized + 'static {
    /// What the model says of itself.
    fn describe() -> Description;

    /// The model for rows of dimension `dim`.
    ///
    /// # Errors
    /// In words that the user reads, if the combination cannot be configured.
    fn configure(dim: usize, hyper_parameters: &HyperParameters) -> Result<Self, String>;

    /// The shape of its rows.
    fn layout(&self) -> Layout;

    /// One query row of `query_width` from one anchor row and one relation row.
    fn query(&self, direction: Direction, anchor: &[f32], relation: &[f32], query: &mut [f32]);

    /// The vector-Jacobian product of [`query`](Self::query): writes `d_anchor` whole and **adds**
    /// to `d_relation`, which other queries of the batch share.
    fn query_vjp(
        &self,
        direction: Direction,
        anchor: &[f32],
        relation: &[f32],
        d_query: &[f32],
        d_anchor: &mut [f32],
        d_relation: &mut [f32],
    );
}

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The name users type: lower-case letters, digits and `-`.
    pub name: &'static str,
    /// The plugin's semantic version.
    pub version: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The paper it comes from.
    pub citation: Option<Citation>,
    /// What can be set beside the dimension.
    pub hyper_parameters: Vec<HyperParameter>,
}

impl Description {
    /// A description without citation and hyper-parameters.
    pub fn new(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self { name, version, summary, citation: None, hyper_parameters: Vec::new() }
    }
}

/// A paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Its title.
    pub title: &'static str,
    /// Its authors.
    pub authors: &'static str,
    /// The year.
    pub year: u16,
    /// A DOI or `arXiv:…`.
    pub identifier: &'static str,
}

/// A hyper-parameter: a number with a range and a default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HyperParameter {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Its type.
    pub kind: HyperParameterKind,
    /// The smallest value allowed.
    pub minimum: f64,
    /// The largest value allowed.
    pub maximum: f64,
    /// The value if none is given.
    pub default: f64,
}

/// The type of a hyper-parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HyperParameterKind {
    /// A whole number.
    Integer,
    /// Any finite number.
    Real,
    /// 0 or 1.
    Boolean,
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `(h, r, ?)`.
    Tail,
    /// `(?, r, t)`, by the same relation row.
    Head,
}

/// How the host compares a query row with a candidate row; higher is more plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similarity {
    /// The dot product.
    Dot,
    /// The negated sum of absolute differences.
    L1,
    /// The negated Euclidean distance.
    L2,
    /// The negated squared Euclidean distance.
    SquaredL2,
    /// The negated sum of complex moduli; rows are halves.
    Modulus,
}

/// How rows start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// All zero.
    Zeros,
    /// Normal, mean 0, with this deviation.
    Normal(f32),
    /// Uniform between these bounds.
    Uniform(f32, f32),
}

/// What the host restores after each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Nothing.
    None,
    /// Rows of Euclidean length 1.
    UnitNorm,
    /// Rows of Euclidean length 1 at most.
    UnitBall,
    /// Angles in `[-pi, pi)`.
    Phase,
}

/// The shape of a model's rows; widths count floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// How queries meet candidates.
    pub similarity: Similarity,
    /// The directions the model answers.
    pub directions: Vec<Direction>,
    /// Floats in an entity row, and in a query row.
    pub entity_width: usize,
    /// Floats in a relation row.
    pub relation_width: usize,
    /// Whether rows are complex halves.
    pub complex: bool,
    /// How entity rows start.
    pub entity_initialiser: Initialiser,
    /// How relation rows start.
    pub relation_initialiser: Initialiser,
    /// What holds for entity rows.
    pub entity_constraint: Constraint,
    /// What holds for relation rows.
    pub relation_constraint: Constraint,
}

impl Layout {
    /// Real rows of one width, both directions, small normal values, no constraint.
    pub fn of_width(similarity: Similarity, width: usize) -> Self {
        Self {
            similarity,
            directions: vec![Direction::Tail, Direction::Head],
            entity_width: width,
            relation_width: width,
            complex: false,
            entity_initialiser: Initialiser::Normal(0.1),
            relation_initialiser: Initialiser::Normal(0.1),
            entity_constraint: Constraint::None,
            relation_constraint: Constraint::None,
        }
    }
}
