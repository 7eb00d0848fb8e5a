//! Plugins that misbehave: each gets an answer in words, and the next call works.
//!
//! The plugin is built from `tests/hostile` by the toolchain under test.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use kge_model::{Direction, QueryBatch, ScoringModel as _};
use kge_plugin::{Host, HostConfig, Limits, Plugin, PluginModel, check, toolchain};

const DEADLINE: Duration = Duration::from_millis(300);

fn hostile() -> Plugin {
    static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile");
        let out = tempfile::tempdir().unwrap();
        let components = toolchain::build(&source, out.path()).unwrap();
        std::fs::read(&components[0]).unwrap()
    });
    let limits = Limits { call_deadline: DEADLINE, memory_bytes: 64 << 20, ..Limits::default() };
    Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap().load(&COMPONENT).unwrap()
}

fn configure(plugin: &Plugin, mode: f64) -> Result<PluginModel, String> {
    plugin.configure(2, &[("mode".to_owned(), mode)].into()).map_err(|error| error.to_string())
}

fn query(model: &PluginModel) -> Result<Vec<f32>, String> {
    let mut session = model.session().map_err(|error| error.to_string())?;
    let batch = QueryBatch {
        direction: Direction::Tail,
        anchors: &[1.0, 2.0],
        relations: &[3.0, 4.0],
        relation_of: &[0],
        context: &[],
    };
    let mut rows = Vec::new();
    let first = session.query(&batch, &mut rows).map_err(|error| error.to_string());
    // The session is usable whatever happened: the same call ends the same way.
    let again = session.query(&batch, &mut rows).map_err(|error| error.to_string());
    assert_eq!(first, again);
    first.map(|()| rows)
}

#[test]
fn every_misdeed_is_answered_in_words_and_the_next_call_works() {
    let plugin = hostile();
    let wrong = [
        (1.0, "hostile: plugin timed out after 0.3 s in query"),
        (2.0, "hostile: plugin trapped: wasm `unreachable` instruction executed in query"),
        (3.0, "hostile: plugin asked for more than 64 MiB in query"),
        (4.0, "hostile: plugin trapped: call stack exhausted in query"),
        (5.0, "hostile: query returned NaN in row 0"),
    ];
    for (mode, words) in wrong {
        assert_eq!(query(&configure(&plugin, mode).unwrap()), Err(words.to_owned()));
        assert_eq!(query(&configure(&plugin, 0.0).unwrap()), Ok(vec![3.0, 8.0]));
    }
    assert_eq!(
        configure(&plugin, 7.0).err().unwrap(),
        "hostile: layout: entity-width must lie between 1 and 1048576, not 4294967295"
    );
    assert_eq!(
        configure(&plugin, 8.0).err().unwrap(),
        "hostile: plugin timed out after 0.3 s in configure"
    );

    // Its default is a gradient that is a tenth too large.
    let report = check(&plugin);
    assert!(!report.passed());
    assert!(report.to_string().contains("away from central differences"), "{report}");
    assert!(report.to_string().ends_with("breaks the contract"), "{report}");
}

#[test]
fn a_call_that_fails_on_one_thread_leaves_the_others_alone() {
    let plugin = hostile();
    let (bad, good) = (configure(&plugin, 1.0).unwrap(), configure(&plugin, 0.0).unwrap());
    std::thread::scope(|scope| {
        let bad = scope.spawn(|| query(&bad));
        while !bad.is_finished() {
            assert_eq!(query(&good), Ok(vec![3.0, 8.0]));
        }
        assert!(bad.join().unwrap().unwrap_err().contains("timed out"));
    });
}
