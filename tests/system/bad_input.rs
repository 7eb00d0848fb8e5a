//! What users get wrong, and what they are told.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

use serde_json::json;

use crate::house::{House, KGE, kge, plugins};

#[test]
fn malformed_triples_name_line_and_column_and_add_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path());
    house.post("/datasets?dataset_type=0", &json!({ "name": "a", "description": "" }));
    let body = b"Madrid\tcapital_of\tSpain\nParis\tcapital_of\n".to_vec();
    let media_type = Some("text/tab-separated-values");
    let (status, problem) = house.send("POST", "/datasets/1/triples", media_type, body);
    assert_eq!(status, 400, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("line 2, column") && detail.contains("expected"), "{detail}");
    assert_eq!(house.get("/datasets/1")["dataset"]["triples"], 0);
}

#[test]
fn unknown_things_are_404_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path());
    for path in ["/datasets/7", "/models/7", "/tasks/7", "/algorithms/7", "/nowhere"] {
        let (status, problem) = house.send("GET", path, None, Vec::new());
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}: {problem}");
    }
}

#[test]
fn a_held_port_is_said() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = kge(folder.path(), &["serve", "--no-worker", "--listen", &address]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&address), "{errors}");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // Root may write anywhere, so a file stands where the directory should.
    std::fs::write(folder.path().join("data"), "").unwrap();
    let output = kge(folder.path(), &["--data", "data", "serve", "--no-worker"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let told = errors.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(told, 1, "{errors}");
    assert!(errors.contains("data"), "{errors}");
}

#[test]
fn a_volume_of_another_user_is_a_line_with_both_uids_and_the_fix() {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        // Only root may become somebody else.
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        eprintln!("skipped: not root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // The build's own folder may be closed to others.
    let program = folder.path().join("kge");
    std::fs::copy(KGE, &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "100", "--clear-groups"])
        .arg(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{errors}");
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 1, "{errors}");
    for words in [data.to_str().unwrap(), "UID 0", "UID 1001", "chown -R 1001"] {
        assert!(lines[0].contains(words), "{errors}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kge.toml"), "dta = 'x'\n").unwrap();
    for arguments in [vec!["dataset", "list"], vec!["no-such-command"], vec!["train"]] {
        let output = kge(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn unknown_names_on_the_command_line_come_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.tsv"), "Madrid\tcapital_of\tSpain\n").unwrap();
    let import = kge(folder.path(), &["import", "--dataset", "capitals", "a.tsv"]);
    assert!(import.status.success());
    let train = Command::new(KGE)
        .current_dir(folder.path())
        .arg("--plugins")
        .arg(plugins())
        .args(["train", "--dataset", "capitols"])
        .output()
        .unwrap();
    let errors = String::from_utf8(train.stderr).unwrap();
    assert!(errors.contains("\"capitols\"; did you mean \"capitals\"?"), "{errors}");
}

#[test]
fn a_public_address_without_keys_is_refused_and_with_one_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--no-worker", "--listen", "0.0.0.0:0"];
    let output = kge(folder.path(), &serve);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("kge key create") && errors.contains("--keys off"), "{errors}");

    let made = kge(folder.path(), &["--data", "data", "key", "create", "--name", "me"]);
    let key = String::from_utf8(made.stdout).unwrap();
    let house = House::open_with(folder.path(), &[("KGE_KEYS", "required")]);
    assert_eq!(house.send("GET", "/datasets", None, Vec::new()).0, 401);
    assert_eq!(house.send_with_key(key.trim(), "/datasets").0, 200);
}
