//! The book tells the truth: its links lead somewhere, its table of settings is whole, and the
//! tutorial's commands do what they are said to do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

fn is_place(link: &str) -> bool {
    !link.contains("://") && !link.starts_with("mailto:")
}

/// The targets of `[…](…)` outside of code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let after = prose.flat_map(|prose| prose.split("](").skip(1));
    after.map(|rest| &rest[..rest.find(')').unwrap_or(rest.len())]).collect()
}

/// mdbook's anchor of a heading.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let word = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
        kept.chars().filter(|&c| word(c)).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let root = repository();
    let mut files = pages(&root.join("docs/src"));
    let tops = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    files.extend(tops.map(|name| root.join(name)));
    let mut checked = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for link in links(&text).into_iter().filter(|link| is_place(link)) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{}: ({link}) leads nowhere", file.display());
            if !anchor.is_empty() {
                let known = anchors(&fs::read_to_string(&target).unwrap());
                assert!(known.iter().any(|a| a == anchor), "{}: no #{anchor}", file.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} links were found");
}

/// mdbook shows only what the summary names.
#[test]
fn the_summary_names_every_page() {
    let source = repository().join("docs/src");
    let summary = fs::read_to_string(source.join("SUMMARY.md")).unwrap();
    for page in pages(&source) {
        let name = page.strip_prefix(&source).unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("]({name})")), "{name}");
    }
}

fn kge(folder: &Path, words: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_kge"))
        .args(words)
        .current_dir(folder)
        .env("KGE_PLUGINS", repository().join("plugins/components"))
        .output()
        .unwrap()
}

#[test]
fn every_setting_is_in_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let output = kge(folder.path(), &["config", "--json"]);
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let page = repository().join("docs/src/reference/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    for (key, value) in settings.as_object().unwrap() {
        let keys: Vec<_> = match value.as_object() {
            Some(table) => table.keys().map(|inner| format!("{key}.{inner}")).collect(),
            None => vec![key.clone()],
        };
        for key in keys {
            assert!(page.contains(&format!("| `{key}` |")), "{key} is missing");
        }
    }
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.path().join("example.toml"), example).unwrap();
    let checked = kge(folder.path(), &["config", "--check", "example.toml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Runs a page's `$ kge …` lines in `folder`, which has the sample graph, and returns what they
/// say.
fn run_page(folder: &Path, page: &str) -> String {
    let root = repository();
    fs::copy(root.join("crates/kge/samples/countries.ttl"), folder.join("countries.ttl")).unwrap();
    let page = fs::read_to_string(root.join("docs/src").join(page)).unwrap();
    let mut said = String::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("$ kge ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        // The port may be held on a machine that runs tests.
        let words =
            if words == ["doctor"] { vec!["doctor", "--listen", "127.0.0.1:0"] } else { words };
        let output = kge(folder, &words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kge {line}: {errors}");
        said.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    said
}

#[test]
fn a_model_is_written_as_the_book_says() {
    let folder = tempfile::tempdir().unwrap();
    // Debian's Rust compiles the standard library too: once for all plugins is enough.
    let target = repository().join("plugins/target");
    fs::create_dir(folder.path().join(".cargo")).unwrap();
    let config = format!("build.target-dir = {:?}\n", target.to_str().unwrap());
    fs::write(folder.path().join(".cargo/config.toml"), config).unwrap();
    let said = run_page(folder.path(), "how-to/plugin.md");
    for words in ["my-model/components/my-model.wasm\n", "keeps the contract", "calls a second"] {
        assert!(said.contains(words), "no \"{words}\" in {said}");
    }
    assert_eq!(said.matches("MRR").count(), 2, "{said}");
}

#[test]
fn the_first_hour_works() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_page(folder.path(), "tutorial/first-hour.md");
    for words in ["4716 added", "MRR 0.6", "countries/Spain\n", "countries/Africa  (known)"] {
        assert!(said.contains(words), "no \"{words}\" in {said}");
    }
    let svg = fs::read_to_string(folder.path().join("countries.svg")).unwrap();
    assert!(svg.contains(">South America</text>") && svg.len() < 60_000, "{} bytes", svg.len());
}
