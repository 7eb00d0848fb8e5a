//! The plugins of this repository: they keep the contract, and the sandbox gives what the same
//! crate gives natively. What is no plugin, or misbehaves, is answered in words.

#![allow(clippy::unwrap_used, reason = "a test")]

mod hostile;

use std::path::{Path, PathBuf};

use kge_model::{Direction, QueryBatch, QueryGradient, ScoringModel as _, Similarity};
use kge_plugin::{Host, HostConfig, Limits, Plugin, check};
use kge_plugin_sdk::Model;

const DIM: usize = 16;

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
    for name in ["complex", "distmult", "transe"] {
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
    same::<complex::ComplEx>(&load(&host, "complex"));
    same::<distmult::DistMult>(&load(&host, "distmult"));
    same::<transe::TransE>(&load(&host, "transe"));
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

fn same<M: Model>(plugin: &Plugin) {
    let native = M::configure(DIM, &Default::default()).unwrap();
    let sandboxed = plugin.configure(DIM, &Default::default()).unwrap();
    let (layout, expected) = (sandboxed.layout(), native.layout());
    assert_eq!(layout.entity_width, expected.entity_width);
    assert_eq!(layout.relation_width, expected.relation_width);
    let (width, relation_width) = (layout.entity_width, layout.relation_width);
    let wave = |count: usize, phase: f32| -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    };
    let relation_of = [1, 0, 1];
    let (anchors, relations) = (wave(3 * width, 0.0), wave(2 * relation_width, 1.0));
    let d_query = wave(3 * width, 2.0);
    let mut session = sandboxed.session().unwrap();
    for (direction, native_direction) in [
        (Direction::Tail, kge_plugin_sdk::Direction::Tail),
        (Direction::Head, kge_plugin_sdk::Direction::Head),
    ] {
        let batch = QueryBatch {
            direction,
            anchors: &anchors,
            relations: &relations,
            relation_of: &relation_of,
            context: &[],
        };
        let (mut query, mut gradient) = (Vec::new(), QueryGradient::default());
        session.query(&batch, &mut query).unwrap();
        session.query_vjp(&batch, &d_query, &mut gradient).unwrap();
        let mut native_query = vec![0.0; 3 * width];
        let mut d_anchors = vec![0.0; 3 * width];
        let mut d_relations = vec![0.0; 2 * relation_width];
        for (i, &of) in relation_of.iter().enumerate() {
            let row = i * width..(i + 1) * width;
            let of = of as usize * relation_width..(of as usize + 1) * relation_width;
            let relation = &relations[of.clone()];
            let anchor = &anchors[row.clone()];
            native.query(native_direction, anchor, relation, &mut native_query[row.clone()]);
            native.query_vjp(
                native_direction,
                anchor,
                relation,
                &d_query[row.clone()],
                &mut d_anchors[row],
                &mut d_relations[of],
            );
        }
        assert_eq!(query, native_query, "{direction:?}");
        assert_eq!(gradient.anchors, d_anchors, "{direction:?}");
        assert_eq!(gradient.relations, d_relations, "{direction:?}");
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
        "not a plugin: a core WebAssembly module, not a component (wit-component makes one of it)"
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
        refusal(&import("kge:model/linalg@0.1.0")),
        "plugin imports kge:model/linalg@0.1.0 (planned for a later release), \
         which this host does not offer"
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
