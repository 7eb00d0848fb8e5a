//! Same triples, plugin, recipe and seed: the same bytes, whatever the order of arrival.

use std::io::{Read, Write};

use crate::house::{data, kge_json, kge_json_by};

/// The vectors of the CPU and its instructions for bf16 do not show.
#[test]
fn embeddings_are_bit_identical_whatever_the_instructions() {
    let Some(graph) = data("nations") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = graph.to_str().unwrap();
    kge_json(folder.path(), &["--json", "import", "--dataset", "nations", source]);
    for (model, precision) in [
        ("complex", "f32"),
        ("complex", "bf16"),
        ("complex", "bf16_amx"),
        ("complex", "bf16x3"),
        ("rotate", "f32"),
    ] {
        let digest = |instructions: &str| {
            let train = ["--json", "train", "--dataset", "nations", "--model", model];
            let short = ["--dim", "16", "--epochs", "3", "--batch", "64", "--precision", precision];
            let arguments = [&train[..], &short].concat();
            let report = kge_json_by(instructions, folder.path(), &arguments);
            report["embeddings_sha256"].as_str().unwrap().to_owned()
        };
        let plain = digest("portable");
        for instructions in ["avx2", "all"] {
            assert_eq!(plain, digest(instructions), "{model}, {precision}, {instructions}");
        }
    }
}

#[test]
fn embeddings_are_bit_identical_on_two_runs_and_in_another_order() {
    let Some(graph) = data("nations") else { return };
    let folder = tempfile::tempdir().unwrap();
    let digest = |dataset: &str, threads: &str, source: &std::path::Path| {
        kge_json(
            folder.path(),
            &["--json", "import", "--dataset", dataset, source.to_str().unwrap()],
        );
        let report = kge_json(
            folder.path(),
            &[
                "--json",
                "--threads",
                threads,
                "train",
                "--dataset",
                dataset,
                "--dim",
                "16",
                "--epochs",
                "5",
                "--batch",
                "64",
            ],
        );
        report["embeddings_sha256"].as_str().unwrap().to_owned()
    };
    let first = digest("first", "1", &graph);
    assert_eq!(first, digest("second", "2", &graph), "on a second run, by two threads");

    let turned = folder.path().join("turned");
    std::fs::create_dir(&turned).unwrap();
    for split in ["train", "valid", "test"] {
        let packed = std::fs::read(graph.join(format!("{split}.tsv.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        let mut file = std::fs::File::create(turned.join(format!("{split}.tsv"))).unwrap();
        text.lines().rev().for_each(|line| writeln!(file, "{line}").unwrap());
    }
    assert_eq!(first, digest("turned", "2", &turned), "in another order");
}
