//! Writing graphs in the formats of the world.

use std::io::Write;

use oxrdf::{BlankNodeRef, NamedNode, NamedNodeRef, NamedOrBlankNodeRef, TermRef, TripleRef};
use oxrdfio::RdfSerializer;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use crate::read::{Format, rdf};
use crate::{Error, Graph, Result, Split, Statement};

/// Writes a graph, or one split of it, in id order.
///
/// [`crate::read`] reads the same statements back, except that RDF blank nodes get new names. All
/// names are looked at before the first byte is written.
///
/// # Errors
/// If a name of the graph cannot be expressed in this format, and if writing fails.
pub fn write(
    format: Format,
    graph: &Graph,
    split: Option<Split>,
    output: &mut dyn Write,
) -> Result<()> {
    let statements = graph
        .iter()
        .filter(|(of, _)| split.is_none_or(|wanted| wanted == *of))
        .map(|(_, triple)| graph.statement(triple));
    match format {
        Format::Tsv => write_tsv(graph, statements, output),
        Format::Csv => write_csv(statements, output),
        Format::Json => write_json(statements, output),
        format => write_rdf(format, graph, statements, output),
    }
}

fn write_tsv<'a>(
    graph: &Graph,
    statements: impl Iterator<Item = Statement<'a>>,
    output: &mut dyn Write,
) -> Result<()> {
    for name in graph.entities().iter().chain(graph.relations().iter()) {
        if name.contains(['\t', '\n', '\r']) {
            let reason = "it holds a tab or a line end; csv and json can quote it";
            return Err(Error::Inexpressible {
                format: Format::Tsv,
                name: name.to_owned(),
                reason,
            });
        }
    }
    for Statement { head, relation, tail } in statements {
        writeln!(output, "{head}\t{relation}\t{tail}")?;
    }
    Ok(())
}

fn write_csv<'a>(
    statements: impl Iterator<Item = Statement<'a>>,
    output: &mut dyn Write,
) -> Result<()> {
    let mut rows = csv::Writer::from_writer(output);
    let header = Statement::new("head", "relation", "tail");
    for Statement { head, relation, tail } in std::iter::once(header).chain(statements) {
        rows.write_record([head, relation, tail]).map_err(|error| Error::Io(error.into()))?;
    }
    Ok(rows.flush()?)
}

/// The documented form of an upload: `{"triples": [{"subject": {"value": "…"}, …}, …]}`.
fn write_json<'a>(
    statements: impl Iterator<Item = Statement<'a>>,
    output: &mut dyn Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct Name<'a> {
        value: &'a str,
    }
    #[derive(Serialize)]
    struct Row<'a> {
        subject: Name<'a>,
        predicate: Name<'a>,
        object: Name<'a>,
    }
    output.write_all(b"{\"triples\":")?;
    let mut json = serde_json::Serializer::new(&mut *output);
    let failed = |error: serde_json::Error| Error::Io(error.into());
    let mut array = json.serialize_seq(None).map_err(failed)?;
    for Statement { head, relation, tail } in statements {
        let [subject, predicate, object] = [head, relation, tail].map(|value| Name { value });
        array.serialize_element(&Row { subject, predicate, object }).map_err(failed)?;
    }
    SerializeSeq::end(array).map_err(failed)?;
    Ok(output.write_all(b"}\n")?)
}

fn write_rdf<'a>(
    format: Format,
    graph: &Graph,
    statements: impl Iterator<Item = Statement<'a>>,
    output: &mut dyn Write,
) -> Result<()> {
    let inexpressible =
        |name: &str, reason| Err(Error::Inexpressible { format, name: name.to_owned(), reason });
    for name in graph.entities().iter() {
        let fits = match name.strip_prefix("_:") {
            Some(label) => BlankNodeRef::new(label).is_ok(),
            None => NamedNode::new(name).is_ok(),
        };
        if !fits {
            return inexpressible(name, "it is no absolute IRI; tsv, csv and json take any name");
        }
    }
    for name in graph.relations().iter() {
        if NamedNode::new(name).is_err() {
            let reason = "a relation must be an absolute IRI; tsv, csv and json take any name";
            return inexpressible(name, reason);
        }
    }
    let mut triples = RdfSerializer::from_format(rdf::oxrdfio(format)?).for_writer(output);
    for Statement { head, relation, tail } in statements {
        let (subject, object) = (resource(head), resource(tail));
        let predicate = NamedNodeRef::new_unchecked(relation);
        triples.serialize_triple(TripleRef::new(subject, predicate, TermRef::from(object)))?;
    }
    triples.finish()?;
    Ok(())
}

/// A name that was found to be an IRI or a blank node.
fn resource(name: &str) -> NamedOrBlankNodeRef<'_> {
    match name.strip_prefix("_:") {
        Some(label) => BlankNodeRef::new_unchecked(label).into(),
        None => NamedNodeRef::new_unchecked(name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, read};

    fn graph(statements: &[(Split, [&str; 3])]) -> Graph {
        let mut builder = GraphBuilder::new();
        for &(split, [head, relation, tail]) in statements {
            builder.add(split, Statement { head, relation, tail });
        }
        builder.build()
    }

    fn written(format: Format, graph: &Graph, split: Option<Split>) -> Result<String, String> {
        let mut text = Vec::new();
        write(format, graph, split, &mut text).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_split_or_all_of_them() {
        let graph =
            graph(&[(Split::Test, ["c", "r", "d"]), (Split::Train, ["a, \"x\"", "r", "b"])]);
        for (format, split, expected) in [
            (Format::Tsv, None, "a, \"x\"\tr\tb\nc\tr\td\n"),
            (Format::Tsv, Some(Split::Test), "c\tr\td\n"),
            (Format::Tsv, Some(Split::Valid), ""),
            (Format::Csv, None, "head,relation,tail\n\"a, \"\"x\"\"\",r,b\nc,r,d\n"),
            (
                Format::Json,
                Some(Split::Test),
                "{\"triples\":[{\"subject\":{\"value\":\"c\"},\"predicate\":{\"value\":\"r\"},\
                 \"object\":{\"value\":\"d\"}}]}\n",
            ),
        ] {
            assert_eq!(written(format, &graph, split).as_deref(), Ok(expected), "{format}");
        }
    }

    #[test]
    fn every_format_reads_back_what_it_wrote() {
        let graph = graph(&[
            (Split::Train, ["http://e/a", "http://e/r", "http://e/b"]),
            (Split::Train, ["http://e/é", "http://e/r", "http://e/a"]),
            (Split::Train, ["_:x-1", "http://e/s", "_:x-2"]),
        ]);
        for format in Format::ALL {
            let text = written(format, &graph, None).unwrap();
            let mut builder = GraphBuilder::new();
            // The same tag: this graph's blank nodes are numbered as they come.
            let options = read::Options { blank_nodes: Some("x".into()), ..Default::default() };
            read::read_with(format, text.as_bytes(), &options, &mut |statement| {
                builder.add(Split::Train, statement);
                Ok(())
            })
            .unwrap();
            let renamed = |graph: &Graph| {
                let mut text = written(Format::Tsv, graph, None).unwrap();
                text = text.replace("_:x-1", "_:x").replace("_:x-2", "_:x");
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(renamed(&builder.build()), renamed(&graph), "{format}");
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused_in_words() {
        for (format, names, expected) in [
            (
                Format::Tsv,
                ["a\tb", "r", "c"],
                "\"a\\tb\" cannot be written as tsv: \
                 it holds a tab or a line end; csv and json can quote it",
            ),
            (
                Format::NTriples,
                ["/m/06cx9", "http://e/r", "http://e/a"],
                "\"/m/06cx9\" cannot be written as ntriples: \
                 it is no absolute IRI; tsv, csv and json take any name",
            ),
            (
                Format::Turtle,
                ["http://e/a", "_:r", "http://e/a"],
                "\"_:r\" cannot be written as turtle: \
                 a relation must be an absolute IRI; tsv, csv and json take any name",
            ),
        ] {
            let found = written(format, &graph(&[(Split::Train, names)]), None);
            assert_eq!(found, Err(expected.to_owned()));
        }
    }
}
