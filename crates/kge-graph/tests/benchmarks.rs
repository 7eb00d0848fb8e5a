//! The benchmark graphs as people have them on disk: three compressed TSV files.

use std::path::PathBuf;

use kge_graph::read::{self, Format};
use kge_graph::revision::{self, Counts};
use kge_graph::{Added, Graph, GraphBuilder, Split};

/// The folder of the benchmark graphs. They are not part of the repository: without them there
/// is nothing to test, except in CI, where they must be there.
fn data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("KGE_BENCHMARK_DATA").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let reason = format!("no benchmark graphs in {}: set KGE_BENCHMARK_DATA", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    None
}

fn load(folder: PathBuf, splits: [Split; 3]) -> Graph {
    let mut builder = GraphBuilder::new();
    for split in splits {
        let path = folder.join(format!("{split}.tsv.gz"));
        let format = Format::from_path(&path).expect("a TSV file");
        let file = read::open(&path).expect("a benchmark file");
        read::read(format, file, &mut |statement| {
            assert_eq!(builder.add(split, statement), Added::New, "{statement:?} in {split}");
            Ok(())
        })
        .expect("a good file");
    }
    builder.build()
}

#[test]
fn their_counts_are_known() {
    let Some(data) = data() else { return };
    for (name, entities, relations, train, valid, test) in [
        ("fb15k-237", 14_541, 237, 272_115, 17_535, 20_466),
        // Published as 40,943 numbered synsets; this edition calls them by 41,105 names.
        ("wn18rr", 41_105, 11, 86_835, 3_034, 3_134),
        ("codex-s", 2_034, 42, 32_888, 1_827, 1_828),
        ("kinship", 104, 25, 8_544, 1_068, 1_074),
        ("umls", 135, 46, 5_216, 652, 661),
        ("nations", 14, 55, 1_592, 199, 201),
    ] {
        let graph = load(data.join(name), Split::ALL);
        let expected = Counts { entities, relations, train, valid, test };
        assert_eq!(graph.counts(), expected, "{name}");
    }
}

#[test]
fn fb15k_237_is_the_same_revision_whichever_split_comes_first() {
    let Some(data) = data() else { return };
    let graph = load(data.join("fb15k-237"), Split::ALL);
    let encoded = revision::encode(&graph);
    let reversed = load(data.join("fb15k-237"), [Split::Test, Split::Valid, Split::Train]);
    assert_eq!(revision::encode(&reversed).hash, encoded.hash);
    let find = |name: &str| {
        encoded.files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_slice())
    };
    assert_eq!(revision::decode(find).unwrap(), graph);
}
