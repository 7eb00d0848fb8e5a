//! DistMult from other languages, built by `plugins/languages/build`: bit by bit what Rust's gives.

use std::path::Path;

use kge_plugin::{Host, HostConfig, Plugin, check};
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, Val},
};

use super::same;

/// Those that are built; all of them in CI.
fn built() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/languages/components");
    let component = |language| {
        let path = folder.join(format!("distmult-{language}.wasm"));
        let component = std::fs::read(&path).ok();
        if component.is_none() {
            let missing = format!("no {}: run plugins/languages/build", path.display());
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
        }
        component
    };
    ["c", "javascript"].into_iter().filter_map(component).collect()
}

#[test]
fn other_languages_give_what_rust_gives() {
    let host = Host::new(HostConfig::default()).unwrap();
    for component in built() {
        let plugin: Plugin = host.load(&component).unwrap();
        let report = check(&plugin);
        println!("{report}");
        assert!(report.passed(), "{report}");
        same::<distmult::DistMult>(&plugin, 0.0);
    }
}

/// The host looks at lengths first, so that a model's own answer to a wrong one is seen only
/// without it.
#[test]
fn other_languages_refuse_what_rust_refuses() {
    let length = |what: &str, expected, found| {
        let field = |name: &str, value| (name.to_owned(), value);
        Val::Variant(
            "length".into(),
            Some(Box::new(Val::Record(vec![
                field("what", Val::String(what.into())),
                field("expected", Val::U64(expected)),
                field("found", Val::U64(found)),
            ]))),
        )
    };
    let out_of_range =
        Val::Variant("out-of-range".into(), Some(Box::new(Val::String("relation 2 of 2".into()))));
    for component in built() {
        let mut guest = Guest::new(&component);
        for (direction, anchors, relations, relation_of, d_query, expected) in [
            ("tail", 6, 4, &[0, 1][..], 4, length("anchors", 4, 6)),
            ("relation", 4, 0, &[0, 0], 4, length("anchors", 8, 4)),
            ("head", 4, 5, &[0, 1], 4, length("relations", 4, 5)),
            ("tail", 4, 4, &[0, 2], 4, out_of_range.clone()),
        ] {
            for function in ["query", "query-vjp"] {
                let given = (direction, anchors, relations, relation_of, d_query);
                assert_eq!(guest.refusal(function, given), expected);
            }
        }
        let given = ("tail", 4, 4, &[0, 1][..], 3);
        assert_eq!(guest.refusal("query-vjp", given), length("d-query", 4, 3));
    }
}

/// A model of dimension 2, without the host in front of it.
struct Guest {
    store: Store<()>,
    instance: wasmtime::component::Instance,
    scorer: Val,
}

impl Guest {
    fn new(component: &[u8]) -> Self {
        let engine = Engine::default();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let mut guest = Self { store, instance, scorer: Val::Bool(false) };
        let configured = guest.call("configure", &[Val::U32(2), Val::List(Vec::new())]);
        let Val::Result(Ok(Some(scorer))) = configured else { panic!("{configured:?}") };
        guest.scorer = *scorer;
        guest
    }

    fn call(&mut self, function: &str, arguments: &[Val]) -> Val {
        let Self { store, instance, .. } = self;
        let scoring = instance.get_export_index(&mut *store, None, "kge:model/scoring@0.1.0");
        let function = instance.get_export_index(&mut *store, scoring.as_ref(), function).unwrap();
        let function = instance.get_func(&mut *store, function).unwrap();
        let mut answer = [Val::Bool(false)];
        function.call(store, arguments, &mut answer).unwrap();
        let [answer] = answer;
        answer
    }

    /// The error that a call with lists of these lengths ends in.
    fn refusal(
        &mut self,
        function: &str,
        (direction, anchors, relations, relation_of, d_query): (&str, usize, usize, &[u32], usize),
    ) -> Val {
        let floats = |length| Val::List(vec![Val::Float32(1.0); length]);
        let mut arguments = vec![
            self.scorer.clone(),
            Val::Enum(direction.into()),
            floats(anchors),
            floats(relations),
            Val::List(relation_of.iter().map(|&of| Val::U32(of)).collect()),
            floats(0),
        ];
        if function == "query-vjp" {
            arguments.push(floats(d_query));
        }
        let answer = self.call(&format!("[method]scorer.{function}"), &arguments);
        let Val::Result(Err(Some(error))) = answer else { panic!("{function}: {answer:?}") };
        *error
    }
}
