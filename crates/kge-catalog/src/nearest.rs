//! The known name a mistaken one was meant to be.

use crate::Error;

/// An [`Error::Unknown`] that names the nearest of the known names, if one is near.
pub(crate) fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    Error::Unknown { what, name: name.to_owned(), nearest: nearest(name, known) }
}

/// The nearest name, if at most a third of the letters differ; case does not count.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plausible_names_are_named() {
        let known = ["complex", "distmult", "transe"];
        for (name, expected) in [
            ("ComplEx", Some("complex")),
            ("compelx", Some("complex")),
            ("transh", Some("transe")),
            ("rescal", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known).as_deref(), expected, "{name}");
        }
        assert_eq!(
            unknown("plugin", "dismult", known).to_string(),
            "there is no plugin \"dismult\"; did you mean \"distmult\"?"
        );
        assert_eq!(unknown("model", "7", []).to_string(), "there is no model \"7\"");
    }
}
