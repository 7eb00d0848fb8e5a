//! The three parts of a benchmark graph.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The part of a graph that a triple belongs to.
///
/// The order is that of strength: a triple named in two splits lives in the greater one, so
/// that nothing tested was trained on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a model learns from.
    #[default]
    Train,
    /// What chooses between models while training.
    Valid,
    /// What a finished model is measured on.
    Test,
}

impl Split {
    /// All splits, weakest first.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The name in files, paths and requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let split = Self::ALL.into_iter().find(|split| split.name() == name);
        split.ok_or_else(|| Error::UnknownSplit(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_test_is_strongest() {
        for split in Split::ALL {
            assert_eq!(split.name().parse::<Split>().unwrap(), split);
            assert_eq!(serde_json::to_string(&split).unwrap(), format!("\"{split}\""));
        }
        assert!(Split::Test > Split::Valid && Split::Valid > Split::Train);
        assert_eq!(
            "dev".parse::<Split>().unwrap_err().to_string(),
            "unknown split \"dev\": expected train, valid or test"
        );
    }
}
