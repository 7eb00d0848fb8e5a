//! A graph as the files of an immutable revision.
//!
//! | file | holds |
//! | --- | --- |
//! | `entities`, `relations` | columns `offsets` (u64, one more than names) and `names` (bytes), in id order |
//! | `statements` | columns `split` (u8: train 0, valid 1, test 2), `head`, `relation`, `tail` (u32), sorted |
//! | `revision.json` | schema, hash and [`Counts`]; readable alone |
//!
//! The first three are the canonical files: ids are canonical and statements sorted, so their bytes
//! do not depend on the order of arrival. The revision's hash is the SHA-256 of these files one
//! after the other: `cat entities relations statements | sha256sum`.

use std::cmp::Reverse;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{EntityId, Error, Graph, RelationId, Result, Split, Triple, Vocabulary};

pub use crate::graph::Counts;

mod columns;

use columns::{Columns, ColumnsWriter};

/// The names of a revision's files. The last one is to be written last.
pub const FILES: [&str; 4] = [ENTITIES, RELATIONS, STATEMENTS, REVISION];

const ENTITIES: &str = "entities";
const RELATIONS: &str = "relations";
const STATEMENTS: &str = "statements";
const REVISION: &str = "revision.json";

const ENTITIES_MAGIC: &[u8; 8] = b"kge.ents";
const RELATIONS_MAGIC: &[u8; 8] = b"kge.rels";
const STATEMENTS_MAGIC: &[u8; 8] = b"kge.stmt";

/// The schema of `revision.json`: its name and the newest version read.
const SCHEMA: (&str, u32) = ("kge.revision", 1);

/// A graph as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// SHA-256, in hexadecimal, over the canonical files.
    pub hash: String,
    /// Each file's name and bytes, in the order of [`FILES`].
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// What `revision.json` says.
#[derive(Serialize, Deserialize)]
struct Revision {
    schema: String,
    hash: String,
    #[serde(flatten)]
    counts: Counts,
}

/// The files of a graph.
pub fn encode(graph: &Graph) -> Encoded {
    let canonical = [
        (ENTITIES, encode_names(&graph.entities, ENTITIES_MAGIC)),
        (RELATIONS, encode_names(&graph.relations, RELATIONS_MAGIC)),
        (STATEMENTS, encode_statements(graph)),
    ];
    let hash = sha256_hex(canonical.iter().map(|(_, bytes)| bytes.as_slice()));
    let revision = Revision {
        schema: format!("{}/{}", SCHEMA.0, SCHEMA.1),
        hash: hash.clone(),
        counts: graph.counts(),
    };
    let mut json = serde_json::to_vec_pretty(&revision).expect("numbers and strings become JSON");
    json.push(b'\n');
    let files = canonical.into_iter().chain([(REVISION, json)]).collect();
    Encoded { hash, files }
}

/// The graph of these files; `file` finds them by name.
///
/// Their structure and order are checked, their hash is not: [`hash`] computes it.
///
/// # Errors
/// If a file is missing, damaged or of a newer release.
pub fn decode<'a>(file: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Graph> {
    let get = |name: &'static str| file(name).ok_or(Error::Missing { file: name });
    let expected = read_counts(get(REVISION)?)?;
    let entities = decode_names(ENTITIES, get(ENTITIES)?, ENTITIES_MAGIC)?;
    let relations = decode_names(RELATIONS, get(RELATIONS)?, RELATIONS_MAGIC)?;
    let triples = decode_statements(get(STATEMENTS)?, entities.len(), relations.len())?;
    let graph = Graph { entities, relations, triples };
    check_order(&graph)?;
    if graph.counts() != expected {
        let reason = format!("it counts {expected:?}, the files hold {:?}", graph.counts());
        return Err(Error::Corrupt { file: REVISION, reason });
    }
    Ok(graph)
}

/// The counts in `revision.json`.
///
/// # Errors
/// If it is damaged or of a newer release.
pub fn read_counts(json: &[u8]) -> Result<Counts> {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let corrupt = |reason: String| Error::Corrupt { file: REVISION, reason };
    let damaged = |error: serde_json::Error| corrupt(error.to_string());
    let Schema { schema } = serde_json::from_slice(json).map_err(damaged)?;
    let version = schema
        .split_once('/')
        .filter(|(name, _)| *name == SCHEMA.0)
        .and_then(|(_, version)| version.parse::<u32>().ok())
        .ok_or_else(|| corrupt(format!("expected the schema {}, found {schema:?}", SCHEMA.0)))?;
    if version > SCHEMA.1 {
        return Err(Error::Newer { file: REVISION, what: format!("schema {schema}") });
    }
    let revision: Revision = serde_json::from_slice(json).map_err(damaged)?;
    Ok(revision.counts)
}

/// The hash of these files, to hold against the revision's name; `file` finds them by name.
///
/// # Errors
/// If a file is missing.
pub fn hash<'a>(file: impl Fn(&str) -> Option<&'a [u8]>) -> Result<String> {
    let mut canonical = Vec::new();
    for name in [ENTITIES, RELATIONS, STATEMENTS] {
        canonical.push(file(name).ok_or(Error::Missing { file: name })?);
    }
    Ok(sha256_hex(canonical.into_iter()))
}

fn sha256_hex<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    parts.for_each(|part| hasher.update(part));
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("a string takes what is written");
    }
    hex
}

fn encode_names(names: &Vocabulary, magic: &[u8; 8]) -> Vec<u8> {
    ColumnsWriter::new(magic, 2, names.len())
        .column("offsets", names.offsets().iter().map(|offset| offset.to_le_bytes()))
        .bytes("names", names.arena().as_bytes())
        .finish()
}

fn encode_statements(graph: &Graph) -> Vec<u8> {
    let triples = || graph.iter().map(|(_, triple)| triple);
    ColumnsWriter::new(STATEMENTS_MAGIC, 4, graph.len())
        .column("split", graph.iter().map(|(split, _)| [split as u8]))
        .column("head", triples().map(|triple| triple.head.0.to_le_bytes()))
        .column("relation", triples().map(|triple| triple.relation.0.to_le_bytes()))
        .column("tail", triples().map(|triple| triple.tail.0.to_le_bytes()))
        .finish()
}

fn decode_names(file: &'static str, bytes: &[u8], magic: &[u8; 8]) -> Result<Vocabulary> {
    let columns = Columns::open(file, bytes, magic, &["offsets", "names"])?;
    let arena = std::str::from_utf8(columns.values("names", 1)?)
        .map_err(|error| columns.corrupt(format!("the names are not UTF-8: {error}")))?;
    let offsets = columns.u64s("offsets")?;
    if offsets.len() as u64 != columns.rows().saturating_add(1)
        || offsets[0] != 0
        || offsets.last() != Some(&(arena.len() as u64))
        || u32::try_from(columns.rows()).is_err()
    {
        return Err(columns.corrupt("the offsets do not fit the names"));
    }
    let mut names = Vocabulary::with_capacity(offsets.len() - 1, arena.len());
    for (id, bounds) in offsets.windows(2).enumerate() {
        let name = arena
            .get(bounds[0] as usize..bounds[1] as usize)
            .ok_or_else(|| columns.corrupt(format!("name {id} has impossible offsets")))?;
        if names.intern(name) as usize != id {
            return Err(columns.corrupt(format!("the name {name:?} stands there twice")));
        }
    }
    Ok(names)
}

fn decode_statements(bytes: &[u8], entities: usize, relations: usize) -> Result<[Vec<Triple>; 3]> {
    let known = ["split", "head", "relation", "tail"];
    let columns = Columns::open(STATEMENTS, bytes, STATEMENTS_MAGIC, &known)?;
    let splits = columns.u8s("split")?;
    let sizes = Split::ALL.map(|split| splits.iter().filter(|&&s| s == split as u8).count());
    let mut triples = sizes.map(Vec::with_capacity);
    let heads = columns.u32s("head")?;
    let rows = heads.zip(columns.u32s("relation")?).zip(columns.u32s("tail")?);
    let mut last = None;
    for (row, (&split, ((head, relation), tail))) in splits.iter().zip(rows).enumerate() {
        if head.max(tail) as usize >= entities || relation as usize >= relations {
            return Err(columns.corrupt(format!("statement {row} has an unknown id")));
        }
        let (head, relation, tail) = (EntityId(head), RelationId(relation), EntityId(tail));
        let triple = Triple { head, relation, tail };
        if last.is_some_and(|last| last >= (split, triple)) {
            return Err(columns.corrupt(format!("statement {row} is out of order")));
        }
        last = Some((split, triple));
        let of = triples.get_mut(split as usize);
        let of =
            of.ok_or_else(|| columns.corrupt(format!("statement {row} has no known split")))?;
        of.push(triple);
    }
    Ok(triples)
}

/// Whether names are numbered by falling count, then by their bytes.
fn check_order(graph: &Graph) -> Result<()> {
    let mut entities = vec![0u64; graph.entities.len()];
    let mut relations = vec![0u64; graph.relations.len()];
    for (_, triple) in graph.iter() {
        entities[triple.head.index()] += 1;
        entities[triple.tail.index()] += 1;
        relations[triple.relation.index()] += 1;
    }
    for (file, names, counts) in
        [(ENTITIES, &graph.entities, entities), (RELATIONS, &graph.relations, relations)]
    {
        let order = counts.iter().zip(names.iter()).map(|(&count, name)| (Reverse(count), name));
        if counts.contains(&0) || !order.is_sorted() {
            let reason = "the names are not in canonical order".to_owned();
            return Err(Error::Corrupt { file, reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Statement};

    fn sample() -> Graph {
        let mut builder = GraphBuilder::new();
        for (split, head, relation, tail) in [
            (Split::Train, "Madrid", "capital_of", "Spain"),
            (Split::Train, "Spain", "borders", "France"),
            (Split::Test, "Paris", "capital_of", "France"),
        ] {
            builder.add(split, Statement { head, relation, tail });
        }
        builder.build()
    }

    fn decoded(files: &[(&'static str, Vec<u8>)]) -> Result<Graph, String> {
        let find = |name: &str| {
            files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_slice())
        };
        decode(find).map_err(|error| error.to_string())
    }

    #[test]
    fn the_bytes_of_a_small_graph_stay_what_they_are() {
        let Encoded { hash, files } = encode(&sample());
        assert_eq!(hash, "3ee7a4717d98df41af6c9cbaae19dfa14e89651a420042a90e6d5f3db5b0199e");
        assert!(files.iter().map(|(name, _)| *name).eq(FILES));
        assert_eq!(
            String::from_utf8(files[3].1.clone()).unwrap(),
            format!(
                "{{\n  \"schema\": \"kge.revision/1\",\n  \"hash\": \"{hash}\",\n  \
                 \"entities\": 4,\n  \"relations\": 2,\n  \"train\": 2,\n  \"valid\": 0,\n  \
                 \"test\": 1\n}}\n"
            )
        );
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for graph in [sample(), Graph::default()] {
            let encoded = encode(&graph);
            assert_eq!(decoded(&encoded.files), Ok(graph.clone()));
            let find = |name: &str| {
                encoded.files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| &bytes[..])
            };
            assert_eq!(hash(find).unwrap(), encoded.hash);
            assert_eq!(read_counts(find(REVISION).unwrap()).unwrap(), graph.counts());
        }
    }

    #[test]
    fn a_missing_newer_or_damaged_file_is_named() {
        // Which file, where the change goes and what it is: `None` takes the file away.
        for (file, change, expected) in [
            (0, None, "the revision has no file \"entities\""),
            (3, None, "the revision has no file \"revision.json\""),
            (
                1,
                Some((8, vec![9])),
                "relations: version 9 of the format, which this release cannot read: \
                 use a newer kge",
            ),
            (
                0,
                Some((0, b"kge.rels".to_vec())),
                "entities: expected a file that begins with \"kge.ents\"",
            ),
            (0, Some((256, b"\xff".to_vec())), "entities: the names are not UTF-8: "),
            (0, Some((192 + 8, vec![0xff])), "entities: name 0 has impossible offsets"),
            (0, Some((256, b"Z".to_vec())), "entities: the names are not in canonical order"),
            (2, Some((5 * 64, vec![2])), "statements: statement 1 is out of order"),
            (2, Some((5 * 64 + 2, vec![7])), "statements: statement 2 has no known split"),
            (2, Some((6 * 64, vec![9])), "statements: statement 0 has an unknown id"),
            (
                2,
                Some((16, vec![4])),
                "statements: expected 4 rows in the column \"split\", found 3",
            ),
            (
                3,
                Some((28, b"2".to_vec())),
                "revision.json: schema kge.revision/2, which this release cannot read: \
                 use a newer kge",
            ),
            (3, Some((0, b"[".to_vec())), "revision.json: "),
        ] {
            let mut files = encode(&sample()).files;
            match change {
                None => _ = files.remove(file),
                Some((at, bytes)) => files[file].1[at..at + bytes.len()].copy_from_slice(&bytes),
            }
            let error = decoded(&files).unwrap_err();
            assert!(error.starts_with(expected), "{error:?} does not begin with {expected:?}");
        }
    }
}
