//! The command line as transcripts: each command's help, which is the book's reference, and the
//! errors that README and book show.
//!
//! After a change that is meant: `TRYCMD=overwrite cargo test -p kge --test cli`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::{path::Path, process::Command};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src");

#[test]
fn transcripts_hold() {
    // What the commands make is made there. (KGE_DATA would show in the usage lines.)
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let cases = trycmd::TestCases::new();
    // Help is wrapped to the terminal's width.
    cases.env("COLUMNS", "100").register_bin("kge", Path::new(env!("CARGO_BIN_EXE_kge")));
    cases.case(format!("{BOOK}/reference/cli.md"));
    cases.case(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/*.trycmd"));
    // They run when it goes, and need the directory.
    drop(cases);
}

/// A command without a transcript would be missing in the book.
#[test]
fn the_reference_has_every_command() {
    let page = std::fs::read_to_string(format!("{BOOK}/reference/cli.md")).unwrap();
    let mut todo = vec![String::new()];
    while let Some(command) = todo.pop() {
        let words: Vec<_> = command.split_whitespace().collect();
        let output = Command::new(env!("CARGO_BIN_EXE_kge"))
            .args(words)
            .arg("--help")
            .env("COLUMNS", "100")
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let asked = format!("$ kge{command} --help\n");
        assert!(page.contains(&asked), "docs/src/reference/cli.md lacks `{}`", asked.trim());
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| line.starts_with("  ")) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" && !line.starts_with("   ") {
                todo.push(format!("{command} {name}"));
            }
        }
    }
}
