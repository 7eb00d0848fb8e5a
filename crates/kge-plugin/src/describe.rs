//! What a plugin says of itself, checked field by field.

use kge_model::{Citation, Description, HyperParameter, HyperParameterKind};

use crate::bindings;
use crate::{Error, Result};

const NAME_LENGTH: usize = 64;
const LINE_LENGTH: usize = 200;
const CITATION_LENGTH: usize = 2_000;
const HYPER_PARAMETERS: usize = 64;

/// The host's description of a plugin's own.
pub(crate) fn description(told: bindings::Description) -> Result<Description> {
    let bindings::Description { name, version, summary, citation, hyper_parameters } = told;
    let plugin = if is_name(&name) { name.clone() } else { "plugin".to_owned() };
    let wrong = |field: &str, reason: String| Error::Field {
        plugin: plugin.clone(),
        function: "describe",
        field: field.to_owned(),
        reason,
    };

    if !is_name(&name) {
        return Err(wrong("name", not_a_name(&name)));
    }
    if !is_version(&version) {
        let reason = format!("must be a semantic version such as 1.2.3, not {}", quote(&version));
        return Err(wrong("version", reason));
    }
    line(&summary).map_err(|reason| wrong("summary", reason))?;
    if hyper_parameters.len() > HYPER_PARAMETERS {
        let reason = format!("has {} entries, {HYPER_PARAMETERS} at most", hyper_parameters.len());
        return Err(wrong("hyper-parameters", reason));
    }

    let mut known: Vec<HyperParameter> = Vec::with_capacity(hyper_parameters.len());
    for (index, told) in hyper_parameters.into_iter().enumerate() {
        let wrong =
            |field: &str, reason| wrong(&format!("hyper-parameters[{index}].{field}"), reason);
        if !is_name(&told.name) {
            return Err(wrong("name", not_a_name(&told.name)));
        }
        if known.iter().any(|parameter| parameter.name == told.name) {
            return Err(wrong("name", format!("repeats {}", quote(&told.name))));
        }
        line(&told.summary).map_err(|reason| wrong("summary", reason))?;
        range(&told).map_err(|(field, reason)| wrong(field, reason))?;
        known.push(HyperParameter {
            name: told.name,
            summary: told.summary,
            kind: match told.kind {
                bindings::HyperParameterKind::Integer => HyperParameterKind::Integer,
                bindings::HyperParameterKind::Real => HyperParameterKind::Real,
                bindings::HyperParameterKind::Boolean => HyperParameterKind::Boolean,
            },
            minimum: told.minimum,
            maximum: told.maximum,
            default: told.default,
        });
    }

    let citation = citation.map(|cited| {
        let bindings::Citation { title, authors, year, identifier } = cited;
        Citation { title, authors, year, identifier }
    });
    if let Some(Citation { title, authors, identifier, .. }) = &citation {
        for (field, text) in [("title", title), ("authors", authors), ("identifier", identifier)] {
            if text.len() > CITATION_LENGTH || text.contains(char::is_control) {
                let reason = format!("must be one line of {CITATION_LENGTH} bytes at most");
                return Err(wrong(&format!("citation.{field}"), reason));
            }
        }
    }
    Ok(Description { name, version, summary, citation, hyper_parameters: known })
}

/// A name: lower-case letters, digits and `-`, a letter first.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(crate) fn not_a_name(found: &str) -> String {
    format!(
        "must be lower-case letters, digits and \"-\", a letter first, {NAME_LENGTH} at most, not {}",
        quote(found)
    )
}

/// `1.2.3`, with what semver allows behind it.
fn is_version(version: &str) -> bool {
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let (numbers, rest) = version.split_at(end);
    let numbers: Vec<_> = numbers.split('.').collect();
    version.len() <= NAME_LENGTH
        && numbers.len() == 3
        && numbers.iter().all(|number| number.parse::<u32>().is_ok() && !number.starts_with('+'))
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
}

fn line(text: &str) -> Result<(), String> {
    if text.chars().count() > LINE_LENGTH || text.contains(char::is_control) {
        return Err(format!("must be one line of {LINE_LENGTH} characters at most"));
    }
    Ok(())
}

fn range(told: &bindings::HyperParameter) -> Result<(), (&'static str, String)> {
    let bindings::HyperParameter { kind, minimum, maximum, default, .. } = told;
    for (field, value) in [("minimum", minimum), ("maximum", maximum), ("default", default)] {
        if !value.is_finite() {
            return Err((field, format!("must be finite, not {value}")));
        }
        if *kind != bindings::HyperParameterKind::Real && value.fract() != 0.0 {
            return Err((field, format!("must be a whole number, not {value}")));
        }
        if *kind == bindings::HyperParameterKind::Boolean && !(0.0..=1.0).contains(value) {
            return Err((field, format!("must be 0 or 1, not {value}")));
        }
    }
    if minimum > maximum {
        return Err(("maximum", format!("is {maximum}, below the minimum {minimum}")));
    }
    if !(minimum..=maximum).contains(&default) {
        let reason = format!("is {default}, outside {minimum} to {maximum}");
        return Err(("default", reason));
    }
    Ok(())
}

/// A stranger's text, short and without control characters.
pub(crate) fn quote(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}
