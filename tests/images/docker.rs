//! Docker's command line.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

fn run(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("missing: docker; `make images`")
}

/// Standard output, trimmed, of a command that succeeds.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a command says that fails; what the container engine says comes on standard output.
pub(crate) fn docker_fails(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "docker {arguments:?} succeeded");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The effective UID and GID of a process of this machine, by its folder in /proc.
pub(crate) fn ids(process: PathBuf) -> String {
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let id = |name| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(2).unwrap()
    };
    format!("{} {}", id("Uid:"), id("Gid:"))
}
