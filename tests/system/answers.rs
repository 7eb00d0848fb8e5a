//! The demo and the help: what a newcomer sees first.

use crate::house::kge;

#[test]
fn the_demo_trains_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let output = kge(folder.path(), &["demo", "--no-serve"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["Most like Spain:", "Most like Japan:", "Facts held out"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn every_command_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let help = String::from_utf8(kge(folder.path(), &["--help"]).stdout).unwrap();
    for command in ["demo", "serve", "worker", "import", "train", "predict", "plugin", "health"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
        let own = kge(folder.path(), &[command, "--help"]);
        assert!(own.status.success() && own.stdout.len() > 200, "{command}");
    }
}
