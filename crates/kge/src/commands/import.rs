//! `kge import`: files into a dataset, all of them or nothing.

use std::path::{Path, PathBuf};

use kge_catalog::{Catalog, Dataset, Imported, NewDataset};
use kge_graph::{
    GraphBuilder, Split, Statement,
    read::{self, Format},
};
use serde_json::json;

use super::{Failure, Result, progress::Meter};
use crate::{cli, open, settings::Settings};

pub(super) async fn import(settings: &Settings, args: &cli::Import, json: bool) -> Result {
    let placing = Placing::parse(&args.split, args.seed)?;
    let mut builder = GraphBuilder::new();
    let files = expand(&args.files)?;
    // What cannot be opened is said when its turn comes.
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |file| file.len());
    let total = files.iter().map(|(file, _)| size(file)).sum();
    let meter = Meter::new("import");
    let (mut statements, mut before) = (0, 0);
    for (file, split) in files {
        let placing = split.map_or(placing, Placing::All);
        let format = args.format.or_else(|| Format::from_path(&file)).ok_or_else(|| {
            Failure::usage(format!("{}: which format? say --format", file.display()))
        })?;
        let input = std::fs::File::open(&file)
            .and_then(|input| read::decompress(meter.watch(input, before, total)))
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        statements += add_file(&mut builder, &file, input, format, placing)?;
        before += size(&file);
    }
    drop(meter);
    let repeated = statements - builder.len() as u64;
    let catalog = open::catalog(settings)?;
    let dataset = dataset(&catalog, &args.dataset).await?;
    let Imported { added, duplicate, moved, revision } =
        catalog.import(dataset.id, builder).await?;
    let duplicate = duplicate + repeated;
    let id = dataset.id;
    if json {
        let report = json!({
            "dataset": id, "added": added, "duplicate": duplicate, "moved": moved,
            "revision": revision,
        });
        println!("{report}");
    } else {
        println!("dataset {id} \"{}\": {added} added, {duplicate} known already", dataset.name);
    }
    Ok(())
}

/// The dataset, made if it is not there.
async fn dataset(catalog: &Catalog, name: &str) -> Result<Dataset> {
    match catalog.find_dataset(name).await {
        Err(kge_catalog::Error::Unknown { .. }) if name.parse::<u64>().is_err() => {
            let new = NewDataset { name: Some(name.into()), ..NewDataset::default() };
            Ok(catalog.create_dataset(new).await?)
        }
        found => Ok(found?),
    }
}

/// Folders become their three files.
fn expand(files: &[PathBuf]) -> Result<Vec<(PathBuf, Option<Split>)>> {
    let mut expanded = Vec::new();
    for file in files {
        if !file.is_dir() {
            expanded.push((file.clone(), None));
            continue;
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(file)? {
            let path = entry?.path();
            let stem = path.file_name().and_then(|name| name.to_str()?.split('.').next());
            if let Some(split) = stem.and_then(|stem| stem.parse().ok())
                && Format::from_path(&path).is_some()
            {
                found.push((path, Some(split)));
            }
        }
        if found.is_empty() {
            let folder = file.display();
            return Err(Failure::new(format!("{folder}: has no train, valid or test file")));
        }
        found.sort();
        expanded.append(&mut found);
    }
    Ok(expanded)
}

fn add_file(
    builder: &mut GraphBuilder,
    file: &Path,
    input: impl std::io::Read,
    format: Format,
    placing: Placing,
) -> Result<u64> {
    let report = read::read(format, input, &mut |statement| {
        builder.add(placing.split(statement), statement);
        Ok(())
    });
    let report = report.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    Ok(report.statements)
}

/// Where triples go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Placing {
    /// All into one split.
    All(Split),
    /// By a hash of the triple's names and the seed, so that order does not matter.
    Random { train: u64, valid: u64, test: u64, seed: u64 },
}

impl Placing {
    pub(super) fn parse(text: &str, seed: u64) -> Result<Self> {
        let Some(shares) = text.strip_prefix("random:") else {
            return text.parse().map(Self::All).map_err(|_| Self::refuse(text));
        };
        let shares: Option<Vec<u64>> = shares.split('/').map(|share| share.parse().ok()).collect();
        match shares.as_deref() {
            Some(&[train, valid, test]) if train + valid + test > 0 => {
                Ok(Self::Random { train, valid, test, seed })
            }
            _ => Err(Self::refuse(text)),
        }
    }

    fn refuse(text: &str) -> Failure {
        Failure::usage(format!(
            "--split {text}: expected train, valid, test or shares as in random:80/10/10"
        ))
    }

    pub(super) fn split(self, statement: Statement<'_>) -> Split {
        let Self::Random { train, valid, test, seed } = self else {
            return if let Self::All(split) = self { split } else { Split::Train };
        };
        let place = hash(statement, seed) % (train + valid + test);
        match place {
            _ if place < train => Split::Train,
            _ if place < train + valid => Split::Valid,
            _ => Split::Test,
        }
    }
}

/// FNV-1a, then the finaliser of MurmurHash3: stable between releases.
fn hash(statement: Statement<'_>, seed: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for name in [statement.head, statement.relation, statement.tail] {
        for byte in name.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_shares_are_kept_and_do_not_move() {
        let placing = Placing::parse("random:80/10/10", 1).unwrap();
        let names: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
        let place = |name: &String| placing.split(Statement::new(name, "r", "t"));
        let train = names.iter().filter(|name| place(name) == Split::Train).count();
        assert!((7_800..8_200).contains(&train), "{train}");
        assert!(names.iter().all(|name| place(name) == place(name)));
    }

    #[test]
    fn wrong_splits_are_refused_in_words() {
        for wrong in ["trian", "random", "random:80/20", "random:0/0/0", "random:a/b/c"] {
            assert_eq!(Placing::parse(wrong, 1).unwrap_err().code, 2, "{wrong}");
        }
        assert_eq!(Placing::parse("test", 1).unwrap(), Placing::All(Split::Test));
    }
}
