//! The query of a URL: booleans and integers as the old service read them.

use percent_encoding::percent_decode_str;

use super::{Problem, kind};

/// Parameters in order of appearance, decoded; empty ones count as absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands after the `?`.
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (!value.is_empty()).then(|| (decode(name), decode(value)))
        });
        Self(pairs.collect())
    }

    /// The query with one parameter set to another value, encoded.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let others = self.0.iter().filter(|(n, _)| n != name);
        let mut pairs: Vec<_> =
            others.map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
        pairs.push(format!("{}={}", encode(name), encode(value)));
        pairs.join("&")
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A boolean; absent is false.
    ///
    /// # Errors
    /// 400 if it is there and is none.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None => Ok(false),
            Some("true" | "True" | "yes" | "1" | "on") => Ok(true),
            Some("false" | "False" | "no" | "0" | "off") => Ok(false),
            Some(found) => Err(invalid(name, found, "true or false")),
        }
    }

    /// A boolean; anything that is none counts as absent.
    pub(crate) fn lenient_boolean(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 if it is there and is none.
    pub(crate) fn integer<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.parsed(name, "a whole number")
    }

    /// A value of a type that reads itself.
    ///
    /// # Errors
    /// 400 if it is there and cannot be read.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.trim().parse().map_err(|_| invalid(name, text, expected));
        self.text(name).map(read).transpose()
    }
}

fn invalid(name: &str, found: &str, expected: &str) -> Problem {
    let words = format!("the parameter \"{name}\" is \"{found}\", expected {expected}");
    Problem::new(&kind::INVALID_PARAMETER, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_read_as_the_old_service_read_them() {
        let read = |text: &str| Query::parse(text).boolean("b").map_err(|p| p.kind().title);
        for yes in ["b=true", "b=True", "b=yes", "b=1", "b=on"] {
            assert_eq!(read(yes), Ok(true), "{yes}");
        }
        for no in ["b=false", "b=False", "b=no", "b=0", "b=off", "b=", "b", "", "c=1"] {
            assert_eq!(read(no), Ok(false), "{no}");
        }
        assert_eq!(read("b=maybe"), Err("Invalid parameter"));
        assert!(!Query::parse("b=maybe").lenient_boolean("b"));
    }

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::parse("entity=http%3A%2F%2Fa%2Fb+c&limit=3&limit=4&search_k=-1&x=no");
        assert_eq!(query.text("entity"), Some("http://a/b c"));
        assert_eq!(query.integer::<u64>("limit").unwrap(), Some(3));
        assert_eq!(query.integer::<i64>("search_k").unwrap(), Some(-1));
        assert_eq!(query.integer::<u64>("absent").unwrap(), None);
        assert!(query.integer::<u64>("x").is_err());
    }
}
