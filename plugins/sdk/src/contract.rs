//! The contract as plain Rust: what `wit/kge-model.wit` says, without the wire.

use std::collections::BTreeMap;

/// Values by name, defaults filled in by the host.
pub type HyperParameters = BTreeMap<String, f64>;

/// What a scoring model is; how it computes is [`Forward`](crate::Forward) or
/// [`ByHand`](crate::ByHand).
///
/// ```text
/// score(h, r, t) = similarity(query(h, r), candidate(t, r))
/// ```
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

    /// With the paper it comes from.
    #[must_use]
    pub fn cite(
        mut self,
        title: &'static str,
        authors: &'static str,
        year: u16,
        identifier: &'static str,
    ) -> Self {
        self.citation = Some(Citation { title, authors, year, identifier });
        self
    }

    /// With one more hyper-parameter.
    #[must_use]
    pub fn with(mut self, hyper_parameter: HyperParameter) -> Self {
        self.hyper_parameters.push(hyper_parameter);
        self
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

impl HyperParameter {
    /// A whole number between `minimum` and `maximum`.
    pub fn integer(
        name: &'static str,
        summary: &'static str,
        [minimum, maximum]: [u32; 2],
        default: u32,
    ) -> Self {
        let (minimum, maximum, default) = (minimum.into(), maximum.into(), default.into());
        Self { name, summary, kind: HyperParameterKind::Integer, minimum, maximum, default }
    }

    /// Yes or no.
    pub fn boolean(name: &'static str, summary: &'static str, default: bool) -> Self {
        let (kind, default) = (HyperParameterKind::Boolean, f64::from(u8::from(default)));
        Self { name, summary, kind, minimum: 0.0, maximum: 1.0, default }
    }
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
    /// `(h, ?, t)`, ranked against the relation rows.
    Relation,
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

/// A tensor that all triples share, row-major; the host owns it and updates it.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedTensor {
    /// Its name, unique in the model.
    pub name: &'static str,
    /// Its extents.
    pub shape: Vec<usize>,
    /// How it starts.
    pub initialiser: Initialiser,
}

/// The shape of a model's rows; widths count floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// How queries meet candidates.
    pub similarity: Similarity,
    /// The directions the model answers; `Tail` is one of them.
    pub directions: Vec<Direction>,
    /// Whether the host adds a bias of each candidate entity to its score.
    pub bias: bool,
    /// Floats in an entity row.
    pub entity_width: usize,
    /// Floats in a relation row.
    pub relation_width: usize,
    /// Floats in a query row and in a candidate row: `entity_width`, unless the model projects its
    /// candidates.
    pub query_width: usize,
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
    /// Tensors that all triples share.
    pub shared: Vec<SharedTensor>,
}

impl Layout {
    /// Real rows of one width, both directions, small normal values, no constraint.
    pub fn of_width(similarity: Similarity, width: usize) -> Self {
        Self::of_widths(similarity, width, width)
    }

    /// As [`of_width`](Self::of_width), relation rows being of their own width.
    pub fn of_widths(similarity: Similarity, entity_width: usize, relation_width: usize) -> Self {
        Self {
            similarity,
            directions: vec![Direction::Tail, Direction::Head],
            bias: false,
            entity_width,
            relation_width,
            query_width: entity_width,
            complex: false,
            entity_initialiser: Initialiser::Normal(0.1),
            relation_initialiser: Initialiser::Normal(0.1),
            entity_constraint: Constraint::None,
            relation_constraint: Constraint::None,
            shared: Vec::new(),
        }
    }
}
