//! The map of a model: entities as dots in a plane, named where there is room, as one SVG.
//!
//! [`Map`] is what there is to show, [`draw`] makes the picture. Names are placed greedily, the
//! most important first, each where it covers nothing; a name without room is left out and is
//! read by pointing at its dot. The file needs no script and no font, and follows the reader's
//! light or dark theme.

mod labels;
mod svg;
mod text;

pub(crate) use svg::{GROUPS, draw};

/// What there is to show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    /// One line above the dots.
    pub title: String,
    /// One line below them.
    pub caption: String,
    /// The dots, the most important first.
    pub dots: Vec<Dot>,
    /// The colours' meanings, in order; dots name them by position.
    pub groups: Vec<String>,
}

/// An entity on the map.
#[derive(Clone, Debug)]
pub(crate) struct Dot {
    /// Where it lies, in any unit.
    pub x: f64,
    /// Where it lies, upwards.
    pub y: f64,
    /// What people call it.
    pub name: String,
    /// Its colour's meaning, if it has one.
    pub group: Option<usize>,
}
