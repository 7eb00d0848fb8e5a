//! What a scoring model says of itself: name, citation, hyper-parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Hyper-parameters by name; integers and booleans are carried as numbers.
pub type HyperParameters = BTreeMap<String, f64>;

/// What a scoring model says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name users type, lower case: `complex`.
    pub name: String,
    /// The plugin's own semantic version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// Where the model comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<Citation>,
    /// What can be set, beside the dimension.
    pub hyper_parameters: Vec<HyperParameter>,
}

/// The paper a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The paper's title.
    pub title: String,
    /// Its authors, as one would print them.
    pub authors: String,
    /// The year of publication.
    pub year: u16,
    /// A DOI or an arXiv id.
    pub identifier: String,
}

/// One hyper-parameter of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HyperParameter {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub summary: String,
    /// Integer, real or boolean.
    pub kind: HyperParameterKind,
    /// The smallest value allowed.
    pub minimum: f64,
    /// The largest value allowed.
    pub maximum: f64,
    /// The value if none is given.
    pub default: f64,
}

/// The type of a hyper-parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HyperParameterKind {
    /// A whole number.
    Integer,
    /// Any finite number.
    Real,
    /// 0 or 1.
    Boolean,
}

impl Description {
    /// The given values completed by defaults.
    ///
    /// # Errors
    /// Names an unknown hyper-parameter, or one outside its range, and what is allowed.
    pub fn complete(&self, given: &HyperParameters) -> Result<HyperParameters, String> {
        let mut complete: HyperParameters =
            self.hyper_parameters.iter().map(|p| (p.name.clone(), p.default)).collect();
        for (name, &value) in given {
            let Some(parameter) = self.hyper_parameters.iter().find(|p| p.name == *name) else {
                let known: Vec<_> = self.hyper_parameters.iter().map(|p| p.name.as_str()).collect();
                return Err(match known.as_slice() {
                    [] => format!("unknown hyper-parameter \"{name}\": this model has none"),
                    _ => {
                        format!("unknown hyper-parameter \"{name}\"; it knows {}", known.join(", "))
                    }
                });
            };
            parameter.admit(value)?;
            complete.insert(name.clone(), value);
        }
        Ok(complete)
    }
}

impl HyperParameter {
    fn admit(&self, value: f64) -> Result<(), String> {
        let Self { name, minimum, maximum, .. } = self;
        let whole = value.fract() == 0.0;
        match self.kind {
            HyperParameterKind::Integer if !whole => {
                Err(format!("{name} must be a whole number, not {value}"))
            }
            HyperParameterKind::Boolean if value != 0.0 && value != 1.0 => {
                Err(format!("{name} must be 0 or 1, not {value}"))
            }
            _ if !(*minimum..=*maximum).contains(&value) => {
                Err(format!("{name} must lie between {minimum} and {maximum}, not {value}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description {
            name: "toy".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            citation: None,
            hyper_parameters: vec![HyperParameter {
                name: "p".into(),
                summary: "norm".into(),
                kind: HyperParameterKind::Integer,
                minimum: 1.0,
                maximum: 2.0,
                default: 1.0,
            }],
        }
    }

    #[test]
    fn values_are_completed_and_refused_in_words() {
        let complete = |name: &str, value| description().complete(&[(name.into(), value)].into());
        assert_eq!(description().complete(&[].into()), Ok([("p".into(), 1.0)].into()));
        assert_eq!(complete("p", 2.0), Ok([("p".into(), 2.0)].into()));
        assert_eq!(complete("q", 2.0).unwrap_err(), "unknown hyper-parameter \"q\"; it knows p");
        assert_eq!(complete("p", 1.5).unwrap_err(), "p must be a whole number, not 1.5");
        assert_eq!(complete("p", 3.0).unwrap_err(), "p must lie between 1 and 2, not 3");
        assert!(complete("p", f64::NAN).is_err());
    }
}
