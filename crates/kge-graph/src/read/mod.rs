//! Reading graphs in the formats of the world, one statement at a time.
//!
//! Memory does not grow with the document. Errors say where they are and what was expected.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Statement};

mod csv;
mod json;
mod labels;
mod name;
pub(crate) mod rdf;
mod tsv;

pub use labels::{LABELS, Label, labels};

/// The longest name a graph takes, in bytes.
pub const MAX_NAME_BYTES: usize = 2048;

/// A format that graphs are read from and written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Three columns, separated by tabs; no quoting, no header.
    Tsv,
    /// Three columns, separated by commas, quoted where needed (RFC 4180). A first row
    /// `head,relation,tail` or `subject,predicate,object` is a header.
    Csv,
    /// `{"triples": [...]}` or a bare array; each triple is an object of `subject`, `predicate`
    /// and `object`, or an array of three; each name is a string or `{"value": "…"}`.
    Json,
    /// RDF: one triple a line.
    NTriples,
    /// RDF: one triple a line, with its graph.
    NQuads,
    /// RDF: with prefixes.
    Turtle,
    /// RDF: with prefixes and graphs.
    TriG,
    /// RDF: in XML.
    RdfXml,
    /// RDF: in JSON.
    JsonLd,
}

/// Where statements go.
type Sink<'s> = &'s mut dyn FnMut(Statement<'_>) -> Result<()>;

/// Each format's name, its file extensions and its media types; the first media type is the one
/// to answer with.
type Names = (&'static str, &'static [&'static str], &'static [&'static str]);

impl Format {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Tsv,
        Self::Csv,
        Self::Json,
        Self::NTriples,
        Self::NQuads,
        Self::Turtle,
        Self::TriG,
        Self::RdfXml,
        Self::JsonLd,
    ];

    fn table(self) -> Names {
        match self {
            Self::Tsv => {
                ("tsv", &["tsv", "tab", "txt"], &["text/tab-separated-values", "text/tsv"])
            }
            Self::Csv => ("csv", &["csv"], &["text/csv"]),
            Self::Json => ("json", &["json"], &["application/json", "text/json"]),
            Self::NTriples => ("ntriples", &["nt"], &["application/n-triples"]),
            Self::NQuads => ("nquads", &["nq"], &["application/n-quads"]),
            Self::Turtle => ("turtle", &["ttl"], &["text/turtle", "application/x-turtle"]),
            Self::TriG => ("trig", &["trig"], &["application/trig"]),
            Self::RdfXml => ("rdfxml", &["rdf", "owl", "xml"], &["application/rdf+xml"]),
            Self::JsonLd => ("jsonld", &["jsonld"], &["application/ld+json"]),
        }
    }

    /// The format of this media type; parameters such as `charset` are ignored.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        Self::ALL
            .into_iter()
            .find(|format| format.table().2.iter().any(|known| known.eq_ignore_ascii_case(essence)))
    }

    /// The format that a file's name speaks of; `.gz` and `.zst` are looked through.
    pub fn from_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        let (_, extension) = name.rsplit_once('.')?;
        Self::ALL.into_iter().find(|format| format.table().1.contains(&extension))
    }

    /// The name in commands, requests and messages.
    pub fn name(self) -> &'static str {
        self.table().0
    }

    /// The media type to answer with.
    pub fn media_type(self) -> &'static str {
        self.table().2[0]
    }

    /// The names of all formats, for a sentence.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// By name or by file extension, in any letter case; hyphens are ignored.
    fn from_str(name: &str) -> Result<Self> {
        let plain = name.to_ascii_lowercase().replace('-', "");
        Self::ALL
            .into_iter()
            .find(|format| format.name() == plain || format.table().1.contains(&plain.as_str()))
            .ok_or_else(|| Error::UnknownFormat(name.to_owned()))
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Statements handed over, repeated ones included.
    pub statements: u64,
    /// RDF statements about a literal, which is no entity: skipped.
    pub literals_skipped: u64,
    /// RDF statements in named graphs, left out unless asked for.
    pub graphs_dropped: u64,
}

/// Choices when reading RDF; other formats have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Take the statements of named graphs too, without the graph's name.
    pub named_graphs: bool,
    /// What blank nodes are named after: `_:TAG-1`, `_:TAG-2` in order of appearance. Without
    /// one, a random tag keeps the blank nodes of two imports apart. Letters and digits only.
    pub blank_nodes: Option<String>,
}

/// Opens a file; gzip and zstd are recognised by how they begin and decompressed.
///
/// # Errors
/// If the file cannot be opened, naming it.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    decompress(file).map_err(failed)
}

/// Decompresses what begins as gzip or zstd, of any number of members; passes on the rest.
///
/// # Errors
/// If the first bytes cannot be read.
pub fn decompress<'a>(input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let (magic, input) = peek::<4>(input)?;
    Ok(match magic[..] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(input))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(input)?),
        _ => Box::new(input),
    })
}

/// Reads a document and hands over its statements as they come.
///
/// A byte order mark is skipped. An empty document has no statements.
///
/// # Errors
/// If the document is not of this format, naming line and column; if reading fails; and
/// whatever `sink` returns. Statements before the error have been handed over.
pub fn read(
    format: Format,
    input: impl Read,
    sink: &mut dyn FnMut(Statement<'_>) -> Result<()>,
) -> Result<Report> {
    read_with(format, input, &Options::default(), sink)
}

/// As [`read`], with choices.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    format: Format,
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Statement<'_>) -> Result<()>,
) -> Result<Report> {
    let (mark, input) = peek::<3>(input)?;
    let mut input = BufReader::with_capacity(64 * 1024, input);
    if mark == [0xef, 0xbb, 0xbf] {
        io::copy(&mut input.by_ref().take(3), &mut io::sink())?;
    }
    match format {
        Format::Tsv => tsv::read(input, sink),
        Format::Csv => csv::read(input, sink),
        Format::Json => json::read(input, sink),
        rdf => rdf::read(rdf, input, options, sink),
    }
}

/// The first `N` bytes, fewer if there are no more, and the whole input again.
fn peek<const N: usize>(mut input: impl Read) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::with_capacity(N);
    input.by_ref().take(N as u64).read_to_end(&mut start)?;
    Ok((start.clone(), io::Cursor::new(start).chain(input)))
}

#[cfg(test)]
pub(crate) mod testing {
    //! Documents in, one line of text out.

    use super::*;

    /// The statements of a document as "head relation tail; …", and the report.
    pub(crate) fn read_all(
        format: Format,
        text: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<(String, Report), String> {
        let mut lines = Vec::new();
        let report = read_with(format, text.as_ref(), options, &mut |statement| {
            let Statement { head, relation, tail } = statement;
            lines.push(format!("{head} {relation} {tail}"));
            Ok(())
        });
        report.map(|report| (lines.join("; "), report)).map_err(|error| error.to_string())
    }

    /// The statements of a document that must be good.
    pub(crate) fn statements(format: Format, text: impl AsRef<[u8]>) -> String {
        read_all(format, text, &Options::default()).unwrap().0
    }

    /// The error of a document that must be bad.
    pub(crate) fn failure(format: Format, text: impl AsRef<[u8]>) -> String {
        read_all(format, text, &Options::default()).unwrap_err()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::testing::statements;
    use super::*;

    #[test]
    fn formats_are_known_by_path_media_type_and_name() {
        for (path, expected) in [
            ("train.tsv.gz", Some(Format::Tsv)),
            ("dir.json/train.txt", Some(Format::Tsv)),
            ("A.TTL.zst", Some(Format::Turtle)),
            ("a.nt", Some(Format::NTriples)),
            ("a.gz", None),
            ("tsv", None),
        ] {
            assert_eq!(Format::from_path(Path::new(path)), expected, "{path}");
        }
        for (media_type, expected) in [
            ("Application/JSON; charset=utf-8", Some(Format::Json)),
            ("text/tab-separated-values", Some(Format::Tsv)),
            ("application/ld+json", Some(Format::JsonLd)),
            ("text/plain", None),
        ] {
            assert_eq!(Format::from_media_type(media_type), expected, "{media_type}");
        }
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
            assert_eq!(Format::from_media_type(format.media_type()), Some(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
        }
        assert_eq!("N-Triples".parse::<Format>().unwrap(), Format::NTriples);
        assert_eq!(
            "xls".parse::<Format>().unwrap_err().to_string(),
            "unknown format \"xls\": expected one of \
             tsv, csv, json, ntriples, nquads, turtle, trig, rdfxml, jsonld"
        );
    }

    #[test]
    fn compressed_files_open_by_how_they_begin() {
        let gzip = |text: &str| {
            let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            file.write_all(text.as_bytes()).unwrap();
            file.finish().unwrap()
        };
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        let (first, second) = ("a\tr\tb\n", "c\tr\td\n");
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("plain", [first, second].concat().into_bytes()),
            ("two members", [gzip(first), gzip(second)].concat()),
            ("two frames", [zstd(first), zstd(second)].concat()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let mut text = Vec::new();
            open(&path).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(statements(Format::Tsv, text), "a r b; c r d", "{name}");
        }
        let error = open(&folder.path().join("missing.tsv")).err().unwrap().to_string();
        assert!(error.contains("missing.tsv: No such file"), "{error}");
    }

    #[test]
    fn a_torn_archive_is_the_documents_fault() {
        let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        file.write_all("a\tr\tb\n".repeat(1000).as_bytes()).unwrap();
        let mut bytes = file.finish().unwrap();
        bytes.truncate(bytes.len() - 9);
        let input = decompress(&bytes[..]).unwrap();
        let error = read(Format::Tsv, input, &mut |_| Ok(())).unwrap_err();
        assert!(error.is_input(), "{error:?}");
    }
}
