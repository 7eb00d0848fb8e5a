//! For tests: a store in a temporary directory, opened by as many catalogues as a test needs.

use kge_graph::{Graph, Split};
use kge_store::Store;

use crate::{Addition, Catalog, Dataset, DatasetId, NewDataset, Removal};

pub(crate) struct Scratch {
    pub(crate) directory: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A catalogue that shares nothing with others but the store, as in another process.
    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::new(Store::open(self.directory.path().to_str().unwrap()).unwrap())
    }

    pub(crate) fn path(&self, object: &str) -> std::path::PathBuf {
        self.directory.path().join(object)
    }

    /// A plain dataset without triples.
    pub(crate) async fn dataset(&self) -> DatasetId {
        create(&self.catalog(), None, 0).await.id
    }
}

pub(crate) async fn create(catalog: &Catalog, name: Option<&str>, dataset_type: u8) -> Dataset {
    let name = name.map(str::to_owned);
    let new = NewDataset { name, description: String::new(), dataset_type };
    catalog.create_dataset(new).await.unwrap()
}

/// `a r b; c r d`, all in one split.
pub(crate) fn triples(split: Split, text: &str) -> Vec<Addition> {
    removals(text).into_iter().map(|(h, r, t)| (split, h, r, t)).collect()
}

pub(crate) fn removals(text: &str) -> Vec<Removal> {
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap(), words.next().unwrap())
    };
    text.split(';').map(words).collect()
}

/// A graph as sorted lines: `train a r b`.
pub(crate) fn lines(graph: &Graph) -> Vec<String> {
    let mut lines: Vec<_> = graph
        .iter()
        .map(|(split, triple)| {
            let statement = graph.statement(triple);
            format!("{split} {} {} {}", statement.head, statement.relation, statement.tail)
        })
        .collect();
    lines.sort_unstable();
    lines
}
