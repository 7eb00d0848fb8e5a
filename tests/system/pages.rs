//! `kge docs`: a folder of pages, and nothing beside it.

use std::process::Command;

use crate::house::{House, KGE, kge};

#[test]
fn pages_are_served_and_nothing_outside_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("pages/part")).unwrap();
    std::fs::write(folder.path().join("pages/index.html"), "the book").unwrap();
    std::fs::write(folder.path().join("pages/part/index.html"), "a part").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    let mut command = Command::new(KGE);
    command.args(["docs", "pages", "--listen", "127.0.0.1:0", "--json"]);
    let pages = House::start(folder.path(), command);
    for (path, expected, text) in [
        ("/", 200, "the book"),
        ("/part/", 200, "a part"),
        ("/health/ready", 200, "ready\n"),
        ("/nothing", 404, "there is no such page\n"),
        ("/../secret", 404, "there is no such page\n"),
        ("/%2e%2e/secret", 404, "there is no such page\n"),
    ] {
        let (status, body) = pages.send("GET", path, None, Vec::new());
        assert_eq!((status, body.as_str()), (expected, Some(text)), "{path}");
    }
}

#[test]
fn a_folder_without_a_first_page_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = kge(folder.path(), &["docs", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: .: there is no index.html\n");
}
