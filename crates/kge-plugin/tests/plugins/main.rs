//! The plugins of this repository: they keep the contract, and the sandbox gives what the same
//! crate gives natively. What is no plugin, or misbehaves, is answered in words.

#![allow(clippy::unwrap_used, reason = "a test")]

mod hostile;
mod languages;
mod learning;

use std::path::{Path, PathBuf};

use kge_model::{Direction, QueryBatch, QueryGradient, ScoringModel as _, Similarity};
use kge_plugin::{Host, HostConfig, Limits, Plugin, check};
use kge_plugin_sdk::{Batch, Scoring};

const DIM: usize = 16;
const MODELS: [&str; 16] = [
    "complex", "conve", "cp", "distmult", "hole", "mure", "pairre", "quate", "rescal", "rotate",
    "simple", "transd", "transe", "transh", "transr", "tucker",
];

fn components() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/components")
}

fn load(host: &Host, name: &str) -> Plugin {
    let path = components().join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make plugins`", path.display()));
    host.load(&bytes).unwrap()
}

#[test]
fn every_plugin_keeps_the_contract() {
    let host = Host::new(HostConfig::default()).unwrap();
    for name in MODELS {
        let plugin = load(&host, name);
        assert_eq!(plugin.description().name, name);
        let report = check(&plugin);
        println!("{report}");
        assert!(report.passed(), "{report}");
        assert!(report.findings.len() >= 9, "{report}");
    }
}

#[test]
fn the_sandbox_gives_what_the_native_crate_gives() {
    let host = Host::new(HostConfig::default()).unwrap();
    // Bit by bit, but where products are the host's, or transforms have kernels for each target.
    same::<complex::ComplEx>(&load(&host, "complex"), 0.0);
    same::<conve::ConvE>(&load(&host, "conve"), 1e-4);
    same::<cp::Cp>(&load(&host, "cp"), 0.0);
    same::<distmult::DistMult>(&load(&host, "distmult"), 0.0);
    same::<hole::HolE>(&load(&host, "hole"), 1e-5);
    same::<mure::MuRe>(&load(&host, "mure"), 0.0);
    same::<pairre::PairRe>(&load(&host, "pairre"), 0.0);
    same::<quate::QuatE>(&load(&host, "quate"), 0.0);
    same::<rescal::Rescal>(&load(&host, "rescal"), 1e-5);
    same::<rotate::RotatE>(&load(&host, "rotate"), 0.0);
    same::<simple::SimplE>(&load(&host, "simple"), 0.0);
    same::<transd::TransD>(&load(&host, "transd"), 0.0);
    same::<transe::TransE>(&load(&host, "transe"), 0.0);
    same::<transh::TransH>(&load(&host, "transh"), 0.0);
    same::<transr::TransR>(&load(&host, "transr"), 1e-5);
    same::<tucker::TuckEr>(&load(&host, "tucker"), 1e-5);
}

/// The tail query compared with `t`, and the head query compared with `h`, for rows of two floats.
fn scores(plugin: &Plugin, dim: usize, [h, r, t]: [[f32; 2]; 3]) -> [f32; 2] {
    let model = plugin.configure(dim, &Default::default()).unwrap();
    let similarity = model.layout().similarity;
    let mut session = model.session().unwrap();
    [(Direction::Tail, h, t), (Direction::Head, t, h)].map(|(direction, anchor, candidate)| {
        let (anchors, relations) = (&anchor[..], &r[..]);
        let batch = QueryBatch { direction, anchors, relations, relation_of: &[0], context: &[] };
        let mut q = Vec::new();
        session.query(&batch, &mut q).unwrap();
        match similarity {
            Similarity::Dot => q[0] * candidate[0] + q[1] * candidate[1],
            Similarity::L1 => -(q[0] - candidate[0]).abs() - (q[1] - candidate[1]).abs(),
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn both_directions_give_the_papers_score() {
    let host = Host::new(HostConfig::default()).unwrap();
    let rows = [[1.0, 2.0], [3.0, -5.0], [-7.0, 11.0]];
    // -|1 + 3 + 7| - |2 - 5 - 11|
    assert_eq!(scores(&load(&host, "transe"), 2, rows), [-25.0; 2]);
    // 1 * 3 * -7 + 2 * -5 * 11
    assert_eq!(scores(&load(&host, "distmult"), 2, rows), [-131.0; 2]);
    // (1 + 2i)(3 - 5i) = 13 + i; its product with conj(-7 + 11i) has the real part -91 + 11
    assert_eq!(scores(&load(&host, "complex"), 1, rows), [-80.0; 2]);
}

#[test]
fn matrices_of_many_relations_cross_a_few_at_a_time() {
    let host = Host::new(HostConfig::default()).unwrap();
    // 9,216 floats a matrix: seven a call. Relations 7 to 16, a call's and more, and the last are
    // nobody's.
    let relation_of: Vec<u32> = (0..50).map(|row| row * 31 % 29).collect();
    let relation_of = relation_of.into_iter().filter(|of| !(7..=16).contains(of));
    let batch = (&relation_of.collect::<Vec<u32>>()[..], 31);
    same_of::<rescal::Rescal>(&load(&host, "rescal"), 96, batch, 1e-5);
    same_of::<transr::TransR>(&load(&host, "transr"), 96, batch, 1e-5);
    same_of::<transr::TransR>(&load(&host, "transr"), 96, (&[], 31), 0.0);
}

/// A batch that is cut has one budget: here of 200 rows times a matrix of 96 x 96.
#[test]
fn the_parts_of_a_batch_share_its_budget() {
    let queries = 200;
    let ask = |call_operations, gradient: bool| {
        let limits = Limits { call_operations, ..Limits::default() };
        let host = Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap();
        let model = load(&host, "rescal").configure(96, &Default::default()).unwrap();
        let relation_of: Vec<u32> = (0..queries).map(|row| row % 25).collect();
        let batch = QueryBatch {
            direction: Direction::Tail,
            anchors: &vec![0.5; 200 * 96],
            relations: &vec![0.5; 25 * 96 * 96],
            relation_of: &relation_of,
            context: &[],
        };
        let mut session = model.session().unwrap();
        // Twice: the next batch has a budget of its own.
        (0..2)
            .map(|_| match gradient {
                false => session.query(&batch, &mut Vec::new()),
                true => {
                    session.query_vjp(&batch, &vec![0.5; 200 * 96], &mut QueryGradient::default())
                }
            })
            .map(|answer| answer.map_err(|error| error.to_string()))
            .collect::<Vec<_>>()
    };
    let product = u64::from(queries) * 2 * 96 * 96;
    // Gradients by the rows and by the matrices.
    for (operations, gradient) in [(product, false), (2 * product, true)] {
        assert_eq!(ask(operations, gradient), [Ok(()), Ok(())]);
        for answer in ask(operations - 1, gradient) {
            assert!(answer.unwrap_err().contains("plugin asked for more than its budget"));
        }
    }
}

/// A sandbox that failed is replaced, and the new one is not asked without its shared tensors.
#[test]
fn a_replaced_sandbox_says_what_it_lost() {
    let limits = Limits { call_operations: 1, ..Limits::default() };
    let host = Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap();
    let plugin = load(&host, "tucker");
    let model = plugin.configure(64, &Default::default()).unwrap();
    let layout = model.layout();
    let sizes = layout.shared.iter().map(|tensor| tensor.shape.iter().product());
    let shared: Vec<_> = sizes.map(|size| vec![0.5; size]).collect();
    let batch = QueryBatch {
        direction: Direction::Tail,
        anchors: &vec![0.5; 50 * layout.entity_width],
        relations: &vec![0.5; layout.relation_width],
        relation_of: &[0; 50],
        context: &[],
    };
    let mut session = model.session().unwrap();
    for _ in 0..2 {
        session.set_shared(&shared).unwrap();
        let mut ask = || session.query(&batch, &mut Vec::new()).unwrap_err().to_string();
        let (first, second) = (ask(), ask());
        assert!(first.contains("plugin asked for more than its budget"), "{first}");
        assert!(second.contains("the shared tensors have not been set"), "{second}");
    }
}

fn same<M: Scoring>(plugin: &Plugin, tolerance: f32) {
    same_of::<M>(plugin, DIM, (&[1, 0, 1, 1, 1, 1], 2), tolerance);
}

/// For rows that use these of so many relations.
fn same_of<M: Scoring>(
    plugin: &Plugin,
    dim: usize,
    (relation_of, distinct): (&[u32], usize),
    tolerance: f32,
) {
    let defaults = plugin.description().complete(&Default::default()).unwrap();
    let native = M::configure(dim, &defaults).unwrap();
    let sandboxed = plugin.configure(dim, &Default::default()).unwrap();
    let (layout, expected) = (sandboxed.layout(), native.layout());
    assert_eq!(layout.entity_width, expected.entity_width);
    assert_eq!(layout.relation_width, expected.relation_width);
    assert_eq!(layout.query_width, expected.query_width);
    let wave = |count: usize, phase: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    };
    let shared = kge_plugin_sdk::trial::tensors(&expected);
    let mut session = sandboxed.session().unwrap();
    if !shared.is_empty() {
        session.set_shared(&shared).unwrap();
    }
    let name = &plugin.description().name;
    let close = |what: &str, found: &[f32], expected: &[f32]| {
        assert_eq!(found.len(), expected.len(), "{name}: {what}");
        let scale = expected.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let off = (found - expected).abs();
            assert!(off <= tolerance * scale, "{name}: {what}: {found} is not {expected}");
        }
    };
    for &direction in &layout.directions {
        let (native_direction, lists) = match direction {
            Direction::Tail => (kge_plugin_sdk::Direction::Tail, 1),
            Direction::Head => (kge_plugin_sdk::Direction::Head, 1),
            Direction::Relation => (kge_plugin_sdk::Direction::Relation, 2),
        };
        let zeros = vec![0; relation_of.len()];
        let relation_of = if lists == 2 { &zeros[..] } else { relation_of };
        let anchors = wave(lists * relation_of.len() * layout.entity_width, 0.0);
        let distinct = if lists == 2 { 0 } else { distinct };
        let relations = wave(distinct * layout.relation_width, 1.0);
        let (anchors, relations) = (&anchors[..], &relations[..]);
        let d_query = wave(relation_of.len() * layout.query_width, 2.0);
        let batch = QueryBatch { direction, anchors, relations, relation_of, context: &[] };
        let given = Batch {
            direction: native_direction,
            entities: anchors,
            relations,
            relation_of,
            shared: &shared,
        };
        let (mut rows, mut gradient) = (Vec::new(), QueryGradient::default());
        session.query(&batch, &mut rows).unwrap();
        close("query", &rows, &native.queries(&expected, &given));
        session.query_vjp(&batch, &d_query, &mut gradient).unwrap();
        let mut exact = native.queries_vjp(&expected, &given, &d_query);
        close("d-anchors", &gradient.anchors, &exact.entities);
        close("d-relations", &gradient.relations, &exact.relations);
        assert_eq!(gradient.shared.len(), exact.shared.len());
        for (found, exact) in gradient.shared.iter().zip(&exact.shared) {
            close("d-shared", found, exact);
        }
        if !layout.projects_candidates {
            assert!(session.candidate(&batch, &mut rows).is_err());
            continue;
        }
        session.candidate(&batch, &mut rows).unwrap();
        close("candidate", &rows, &native.candidates(&expected, &given));
        session.candidate_vjp(&batch, &d_query, &mut gradient).unwrap();
        exact = native.candidates_vjp(&expected, &given, &d_query);
        close("d-entities", &gradient.anchors, &exact.entities);
        close("d-relations", &gradient.relations, &exact.relations);
    }
}

/// A component whose interfaces say another version of the same length.
fn of_version(name: &str, version: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(components().join(format!("{name}.wasm"))).unwrap();
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b"@0.1.0" {
            bytes[at..at + 6].copy_from_slice(version.as_bytes());
        }
    }
    bytes
}

#[test]
fn later_releases_of_the_contract_are_accepted_and_other_ones_refused() {
    let host = Host::new(HostConfig::default()).unwrap();
    for name in ["distmult", "transr"] {
        let later = host.load(&of_version(name, "@0.1.7")).unwrap();
        assert!(later.configure(4, &Default::default()).is_ok());
        let other = host.load(&of_version(name, "@0.2.0")).err().unwrap().to_string();
        assert!(other.contains("kge:model/"), "{other}");
        assert!(other.contains("@0.2.0"), "{other}");
    }
}

#[test]
fn a_cached_plugin_is_verified_before_it_is_used() {
    let cache = tempfile::tempdir().unwrap();
    let host = || Host::new(HostConfig { cache: Some(cache.path().into()), ..Default::default() });
    let sha256 = load(&host().unwrap(), "distmult").sha256().to_owned();
    let mut entries = 0;
    for entry in walk(cache.path()) {
        entries += 1;
        let mut bytes = std::fs::read(&entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&entry, bytes).unwrap();
    }
    assert!(entries > 0, "the cache holds the compiled plugin");
    let plugin = load(&host().unwrap(), "distmult");
    assert_eq!(plugin.sha256(), sha256);
    assert!(check(&plugin).passed());
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn what_is_no_plugin_is_refused_in_words() {
    let limits = Limits { component_bytes: 100_000, ..Limits::default() };
    let host = Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap();
    let refusal = |bytes: &[u8]| host.load(bytes).err().unwrap().to_string();
    let component = |sections: &[u8]| [b"\0asm\x0d\0\x01\0", sections].concat();
    // An instance type without declarations, and an import of an instance of it.
    let import = |name: &str| {
        let length = name.len() as u8;
        let head = [7, 3, 1, 0x42, 0, 10, length + 5, 1, 0, length];
        component(&[&head, name.as_bytes(), &[5, 0]].concat())
    };
    assert_eq!(refusal(b"not wasm at all"), "not a plugin: no WebAssembly component at all");
    assert_eq!(
        refusal(b"\0asm\x01\0\0\0"),
        "not a plugin: a core WebAssembly module, not a component (kge plugin build makes one of it)"
    );
    assert_eq!(
        refusal(&component(&[])),
        "plugin does not export kge:model/scoring@0.1.0; it exports nothing"
    );
    assert_eq!(
        refusal(&import("wasi:clocks/wall-clock@0.2.0")),
        "plugin imports wasi:clocks/wall-clock@0.2.0, which this host does not offer"
    );
    assert_eq!(
        refusal(&import("kge:model/linalg@0.2.0")),
        "plugin imports kge:model/linalg@0.2.0, which this host does not offer"
    );
    assert_eq!(
        refusal(&[0; 100_001]),
        "plugin of 100001 bytes is larger than the 100000 bytes this host accepts"
    );
    let complex = load(&host, "complex");
    let error = complex.configure(0, &Default::default()).err().unwrap().to_string();
    assert!(error.contains("dim must lie between 1 and"), "{error}");
    let given = [("gamma".to_owned(), 1.0)].into();
    let error = complex.configure(4, &given).err().unwrap().to_string();
    assert!(error.contains("unknown hyper-parameter \"gamma\""), "{error}");
}
