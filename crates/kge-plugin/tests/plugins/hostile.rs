//! Plugins that misbehave: each gets an answer in words, and the next call works.
//!
//! The plugin is built from `tests/hostile` by the toolchain under test.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use kge_model::{Direction, QueryBatch, QueryGradient, ScoringModel as _, Session};
use kge_plugin::{Host, HostConfig, Limits, Plugin, PluginModel, check, toolchain};

const DEADLINE: Duration = Duration::from_millis(300);

static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile");
    let out = tempfile::tempdir().unwrap();
    let components = toolchain::build(&source, out.path()).unwrap();
    std::fs::read(&components[0]).unwrap()
});

fn hostile() -> Plugin {
    let limits = Limits {
        call_deadline: DEADLINE,
        memory_bytes: 64 << 20,
        call_operations: 1_000_000_000,
        ..Limits::default()
    };
    Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap().load(&COMPONENT).unwrap()
}

fn configure(plugin: &Plugin, mode: f64) -> Result<PluginModel, String> {
    plugin.configure(2, &[("mode".to_owned(), mode)].into()).map_err(|error| error.to_string())
}

const BATCH: QueryBatch<'_> = QueryBatch {
    direction: Direction::Tail,
    anchors: &[1.0, 2.0],
    relations: &[3.0, 4.0],
    relation_of: &[0],
    context: &[],
};

/// What a function answers, twice: whatever happened, the session is usable, and the same call
/// ends the same way.
fn twice(
    model: &PluginModel,
    mut ask: impl FnMut(&mut dyn Session) -> kge_model::Result<Vec<f32>>,
) -> Result<Vec<f32>, String> {
    let mut session = model.session().map_err(|error| error.to_string())?;
    let mut once = || ask(&mut *session).map_err(|error| error.to_string());
    let first = once();
    assert_eq!(first, once());
    first
}

fn query(model: &PluginModel) -> Result<Vec<f32>, String> {
    twice(model, |session| {
        let mut rows = Vec::new();
        session.query(&BATCH, &mut rows).map(|()| rows)
    })
}

fn gradient(model: &PluginModel) -> Result<Vec<f32>, String> {
    twice(model, |session| {
        let mut gradient = QueryGradient::default();
        session.query_vjp(&BATCH, &[1.0, 1.0], &mut gradient).map(|()| gradient.anchors)
    })
}

/// What is asked of the plugin, and what the host must say. The modes are those of
/// `tests/hostile/src/lib.rs`.
const MISDEEDS: [(&str, u32, &str, &str); 18] = [
    ("endless loop", 1, "query", "plugin timed out after 0.3 s in query"),
    ("trap", 2, "query", "plugin trapped: wasm `unreachable` instruction executed in query"),
    ("memory bomb", 3, "query", "plugin asked for more than 64 MiB in query"),
    ("deep recursion", 4, "query", "plugin trapped: call stack exhausted in query"),
    ("NaN", 5, "query", "query returned NaN in row 0"),
    (
        "a width of 2^32",
        7,
        "configure",
        "layout: entity-width must lie between 1 and 1048576, not 4294967295",
    ),
    ("endless loop", 8, "configure", "plugin timed out after 0.3 s in configure"),
    ("absurd matmul", 9, "query", "plugin asked for more than its budget in query"),
    ("matmul in a loop", 10, "query", "plugin asked for more than its budget in query"),
    (
        "matmul of a wrong length",
        11,
        "query",
        "plugin broke the contract: matmul was given 1 floats in a, expected 2 in query",
    ),
    ("short answer", 12, "query", "query returned 1 floats in query rows, expected 2"),
    ("long gradient", 13, "query-vjp", "query-vjp returned 3 floats in d-anchors, expected 2"),
    ("infinite gradient", 14, "query-vjp", "query-vjp returned inf in row 0"),
    ("no width", 15, "configure", "layout: relation-width must lie between 1 and 16777216, not 0"),
    (
        "a shape that overflows",
        16,
        "configure",
        "layout: shared[0].shape [4294967295, 4294967295, 4294967295, 4294967295, 4294967295, \
         4294967295, 4294967295, 4294967295] must hold at least one value, and all tensors \
         together 33554432 at most",
    ),
    ("a direction twice", 17, "configure", "layout: directions names one direction twice"),
    (
        "a NaN deviation",
        18,
        "configure",
        "layout: entity-initialiser must have a finite deviation of 0 or more, not NaN",
    ),
    (
        "a query width of its own",
        19,
        "configure",
        "layout: query-width is 3, but entity-width is 2 and candidates are not projected",
    ),
];

#[test]
fn every_misdeed_is_answered_in_words_and_the_next_call_works() {
    let plugin = hostile();
    for (misdeed, mode, function, words) in MISDEEDS {
        let answer = match (function, configure(&plugin, mode.into())) {
            ("configure", configured) => configured.map(|_| Vec::new()),
            ("query-vjp", configured) => configured.and_then(|model| gradient(&model)),
            (_, configured) => configured.and_then(|model| query(&model)),
        };
        println!("{misdeed:<26} {}", answer.as_ref().err().map_or("nothing", String::as_str));
        assert_eq!(answer, Err(format!("hostile: {words}")), "{misdeed}");
        assert_eq!(query(&configure(&plugin, 0.0).unwrap()), Ok(vec![3.0, 8.0]));
    }

    // Its default is a gradient that is a tenth too large.
    let report = check(&plugin);
    println!("{:<26} {report}", "wrong gradient");
    assert!(!report.passed());
    assert!(report.to_string().contains("away from central differences"), "{report}");
    assert!(report.to_string().ends_with("breaks the contract"), "{report}");
}

/// Before a line of it runs: its memories, tables and instances are there from the start.
#[test]
fn a_sandbox_that_needs_more_than_its_limits_is_not_made() {
    let all = Limits::default;
    for (limits, words) in [
        (Limits { memory_bytes: 64 << 10, ..all() }, "plugin asked for more than 64 KiB"),
        (Limits { table_elements: 1, ..all() }, "plugin asked for more than 1 table elements"),
        (Limits { tables: 0, ..all() }, "resource limit exceeded: table count too high"),
        (Limits { memories: 0, ..all() }, "resource limit exceeded: memory count too high"),
        (Limits { instances: 0, ..all() }, "resource limit exceeded: instance count too high"),
    ] {
        let host = Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap();
        let refusal = host.load(&COMPONENT).err().unwrap().to_string();
        println!("{refusal}");
        assert!(refusal.contains(words), "{refusal}");
    }
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
