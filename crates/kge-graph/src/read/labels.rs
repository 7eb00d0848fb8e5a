//! Labels: the names people read, which RDF keeps in literals and a graph does not hold.

use std::io::{BufReader, Read};

use oxrdf::{NamedOrBlankNode, Term};
use oxrdfio::RdfParser;

use super::{Format, rdf};
use crate::Result;

/// The predicates whose texts are labels, the usual one first.
pub const LABELS: [&str; 3] = [
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "https://schema.org/name",
];

/// What somebody calls something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// The thing's name in the graph.
    pub name: &'a str,
    /// The language's tag in small letters, if the text has one.
    pub language: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

/// Reads an RDF document and hands over its labels as they come; everything else is skipped.
///
/// # Errors
/// If the format is not one of RDF, the document is not of this format, or reading fails; and
/// whatever `sink` returns.
pub fn labels(
    format: Format,
    input: impl Read,
    sink: &mut dyn FnMut(Label<'_>) -> Result<()>,
) -> Result<()> {
    let quads = RdfParser::from_format(rdf::oxrdfio(format)?).for_reader(BufReader::new(input));
    for (read, quad) in (0..).zip(quads) {
        let quad = quad.map_err(|error| rdf::failed(error, format, read))?;
        if let (NamedOrBlankNode::NamedNode(name), Term::Literal(text)) =
            (&quad.subject, &quad.object)
            && LABELS.contains(&quad.predicate.as_str())
        {
            let (language, text) = (text.language(), text.value());
            sink(Label { name: name.as_str(), language, text })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_with_their_language() {
        let text = "@prefix e: <http://e/> . @prefix s: <http://www.w3.org/2004/02/skos/core#> .
             @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
             e:a rdfs:label \"Spain\"@en , \"España\"@ES ; e:age 7 ; e:r e:b .
             e:b s:prefLabel \"B\" . [] rdfs:label \"nobody\" .";
        let mut found = Vec::new();
        labels(Format::Turtle, text.as_bytes(), &mut |label| {
            let Label { name, language, text } = label;
            found.push(format!("{name} {} {text}", language.unwrap_or("-")));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, ["http://e/a en Spain", "http://e/a es España", "http://e/b - B"]);
        assert!(labels(Format::Csv, "a,b,c".as_bytes(), &mut |_| Ok(())).is_err());
    }
}
