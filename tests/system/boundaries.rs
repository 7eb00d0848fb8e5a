//! The lines between crates, as ARCHITECTURE.md draws them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use crate::house::repository;

/// From the top down; a crate may import only crates of rows below its own.
const ROWS: [&[&str]; 6] = [
    &["kge"],
    &["kge-server", "kge-worker"],
    &["kge-catalog", "kge-search", "kge-embed", "kge-plugin", "kge-jobs"],
    &["kge-model", "kge-store"],
    &["kge-graph"],
    &["kge-kernels"],
];

const OWNERS: [(&str, &str); 9] = [
    ("faer", "kge-kernels"),
    ("pulp", "kge-kernels"),
    ("wasmtime", "kge-plugin"),
    ("rusqlite", "kge-jobs"),
    ("fred", "kge-jobs"),
    ("object_store", "kge-store"),
    ("hyper", "kge-server"),
    ("utoipa", "kge-server"),
    ("oxrdfio", "kge-graph"),
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Each crate's own dependencies, without those of its tests.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let own = dependencies.filter(|dependency| dependency["kind"].is_null());
            let names = own.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            (package["name"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn imports_point_down_only() {
    let row = |name: &str| ROWS.iter().position(|row| row.contains(&name));
    for (name, imports) in imports() {
        let own = row(&name).unwrap_or_else(|| panic!("{name} has no place in ARCHITECTURE.md"));
        for import in imports.iter().filter(|import| import.starts_with("kge-")) {
            assert!(row(import).is_some_and(|other| other > own), "{name} imports {import}");
        }
    }
}

#[test]
fn one_crate_names_each_heavy_dependency() {
    for (name, imports) in imports() {
        for (heavy, owner) in OWNERS {
            assert!(!imports.contains(heavy) || name == owner, "{name} names {heavy}");
        }
    }
}

#[test]
fn the_trainer_builds_without_wasmtime() {
    let tree = cargo(&["tree", "--offline", "-p", "kge-embed", "-e", "normal,build,dev"]);
    assert!(!tree.contains("wasmtime"), "{tree}");
}
