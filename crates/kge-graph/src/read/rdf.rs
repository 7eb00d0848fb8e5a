//! The RDF formats, by oxrdfio.
//!
//! IRIs become names as they are, without angle brackets. Blank nodes are renamed, because
//! their names mean nothing outside their document. A statement about a literal is skipped:
//! a number or a text is no entity.

use std::fmt::Write;
use std::io::{self, BufRead};

use hashbrown::HashMap;
use oxrdf::{BlankNode, GraphName, NamedOrBlankNode, Term};
use oxrdfio::{RdfFormat, RdfParseError, RdfParser, RdfSyntaxError};

use super::name::{self, ROLES};
use super::{Format, Options, Report, Sink};
use crate::{Error, Result, Statement};

pub(super) fn read(
    format: Format,
    input: impl BufRead,
    options: &Options,
    sink: Sink<'_>,
) -> Result<Report> {
    let mut report = Report::default();
    let mut blank_nodes = BlankNodes::new(options.blank_nodes.as_deref())?;
    let (mut head, mut tail) = (String::new(), String::new());
    for quad in RdfParser::from_format(oxrdfio(format)?).for_reader(input) {
        let quad = quad.map_err(|error| failed(error, format, report.statements))?;
        if quad.graph_name != GraphName::DefaultGraph && !options.named_graphs {
            report.graphs_dropped += 1;
            continue;
        }
        head.clear();
        tail.clear();
        match quad.object {
            Term::Literal(_) => {
                report.literals_skipped += 1;
                continue;
            }
            Term::NamedNode(iri) => tail.push_str(iri.as_str()),
            Term::BlankNode(node) => blank_nodes.name(&node, &mut tail),
        }
        match quad.subject {
            NamedOrBlankNode::NamedNode(iri) => head.push_str(iri.as_str()),
            NamedOrBlankNode::BlankNode(node) => blank_nodes.name(&node, &mut head),
        }
        let names = [&head, quad.predicate.as_str(), &tail];
        for (name, role) in names.into_iter().zip(ROLES) {
            name::check(name.as_bytes(), role).map_err(|fault| Error::Unplaced {
                format,
                statements: report.statements,
                message: format!("expected {}, found {}", fault.expected, fault.found),
            })?;
        }
        let [head, relation, tail] = names;
        sink(Statement { head, relation, tail })?;
        report.statements += 1;
    }
    Ok(report)
}

/// oxrdfio's name of a format.
pub(crate) fn oxrdfio(format: Format) -> Result<RdfFormat> {
    Ok(match format {
        Format::NTriples => RdfFormat::NTriples,
        Format::NQuads => RdfFormat::NQuads,
        Format::Turtle => RdfFormat::Turtle,
        Format::TriG => RdfFormat::TriG,
        Format::RdfXml => RdfFormat::RdfXml,
        Format::JsonLd => RdfFormat::JsonLd { profile: oxrdfio::JsonLdProfileSet::empty() },
        other => return Err(Error::UnknownFormat(other.name().to_owned())),
    })
}

pub(super) fn failed(error: RdfParseError, format: Format, statements: u64) -> Error {
    match error {
        RdfParseError::Io(error) => Error::Io(error),
        RdfParseError::Syntax(error) => match error.location() {
            Some(range) => Error::Syntax {
                line: range.start.line + 1,
                column: range.start.column + 1,
                message: words(&error),
            },
            None => Error::Unplaced { format, statements, message: words(&error) },
        },
    }
}

/// What the parser says, without the place, which we say ourselves.
fn words(error: &RdfSyntaxError) -> String {
    let message = error.to_string();
    let placed = message.starts_with("Parser error ");
    match message.split_once(": ") {
        Some((_, words)) if placed => words.to_owned(),
        _ => message,
    }
}

/// Names blank nodes by order of appearance, so that a parser's random ones are steady too.
struct BlankNodes {
    tag: String,
    numbers: HashMap<String, usize>,
}

impl BlankNodes {
    fn new(tag: Option<&str>) -> Result<Self> {
        let tag = match tag {
            Some(tag) => tag.to_owned(),
            None => {
                let random =
                    getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
                format!("i{random:016x}")
            }
        };
        Ok(Self { tag, numbers: HashMap::new() })
    }

    fn name(&mut self, node: &BlankNode, into: &mut String) {
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry_ref(node.as_str()).or_insert(next);
        write!(into, "_:{}-{number}", self.tag).expect("a string takes what is written");
    }
}

#[cfg(test)]
mod tests {
    use crate::read::testing::{failure, read_all};
    use crate::read::{Format, Options, Report};

    fn tagged(named_graphs: bool) -> Options {
        Options { named_graphs, blank_nodes: Some("x".into()) }
    }

    #[test]
    fn every_format_says_the_same() {
        let expected = "http://e/a http://e/r http://e/b; http://e/b http://e/r _:x-1";
        let report = Report { statements: 2, literals_skipped: 1, graphs_dropped: 0 };
        for (format, text) in [
            (
                Format::NTriples,
                "<http://e/a> <http://e/r> <http://e/b> .\n\
                 <http://e/a> <http://e/age> \"7\" .\n\
                 <http://e/b> <http://e/r> _:n .\n",
            ),
            (Format::Turtle, "@prefix e: <http://e/> . e:a e:r e:b ; e:age 7 . e:b e:r [] ."),
            (Format::TriG, "@prefix e: <http://e/> . { e:a e:r e:b ; e:age 7 . e:b e:r _:z }"),
            (
                Format::RdfXml,
                r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">
                   <rdf:Description rdf:about="http://e/a"><e:r rdf:resource="http://e/b"/><e:age>7</e:age></rdf:Description>
                   <rdf:Description rdf:about="http://e/b"><e:r rdf:nodeID="n"/></rdf:Description>
                   </rdf:RDF>"#,
            ),
            (
                Format::JsonLd,
                r#"[{"@id": "http://e/a", "http://e/r": [{"@id": "http://e/b"}], "http://e/age": [{"@value": "7"}]},
                    {"@id": "http://e/b", "http://e/r": [{"@id": "_:n"}]}]"#,
            ),
        ] {
            assert_eq!(
                read_all(format, text, &tagged(false)),
                Ok((expected.into(), report)),
                "{format}"
            );
        }
    }

    #[test]
    fn named_graphs_are_left_out_unless_asked_for() {
        let text = "<http://e/a> <http://e/r> <http://e/b> .\n\
                    <http://e/c> <http://e/r> <http://e/d> <http://e/graph> .\n";
        for (named_graphs, expected, graphs_dropped) in [
            (false, "http://e/a http://e/r http://e/b", 1),
            (true, "http://e/a http://e/r http://e/b; http://e/c http://e/r http://e/d", 0),
        ] {
            let statements = 2 - graphs_dropped;
            let report = Report { statements, literals_skipped: 0, graphs_dropped };
            let found = read_all(Format::NQuads, text, &tagged(named_graphs));
            assert_eq!(found, Ok((expected.into(), report)));
        }
    }

    #[test]
    fn two_imports_keep_their_blank_nodes_apart() {
        let text = "_:a <http://e/r> _:b .\n_:b <http://e/r> _:a .\n";
        let (first, _) = read_all(Format::NTriples, text, &Options::default()).unwrap();
        let (second, _) = read_all(Format::NTriples, text, &Options::default()).unwrap();
        assert_ne!(first, second);
        let (steady, _) = read_all(Format::NTriples, text, &tagged(false)).unwrap();
        assert_eq!(steady, "_:x-2 http://e/r _:x-1; _:x-1 http://e/r _:x-2");
    }

    #[test]
    fn errors_name_the_place() {
        let good = "<http://e/a> <http://e/r> <http://e/b> .\n";
        for (format, text, expected) in [
            (
                Format::NTriples,
                format!("{good}<http://e/a> oops <http://e/b> .\n"),
                "line 2, column 14: ",
            ),
            (Format::Turtle, format!("{good}\n<http://e/a> p:r 7 .\n"), "line 3, column 14: "),
            (Format::JsonLd, "[{\"@id\": \"http://e/a\",\n 7}]".into(), "line 2, column "),
            (Format::RdfXml, "<a><b></a>".into(), "rdfxml, after statement 0: "),
        ] {
            let error = failure(format, &text);
            assert!(error.starts_with(expected), "{format}: {error}");
            assert!(!error.contains("Parser error"), "{format}: {error}");
        }
    }
}
