//! Laws of graphs: what holds for every set of statements, in whatever order it came.

use std::collections::BTreeMap;

use kge_graph::{Added, Graph, GraphBuilder, Split, Statement, read, revision, write};
use proptest::prelude::*;

/// A statement in numbers, so that names repeat and splits disagree.
type Mention = (usize, usize, usize, Split);

const ENTITIES: [&str; 6] = ["a", "B", "ñandú", "d e", "é\t\"", "_:f"];
const RELATIONS: [&str; 3] = ["r", "s,", "capital of"];

fn mentions() -> impl Strategy<Value = Vec<Mention>> {
    let split = prop::sample::select(&Split::ALL[..]);
    prop::collection::vec((0..6usize, 0..3usize, 0..6usize, split), 0..60)
}

fn statement((head, relation, tail, _): Mention) -> Statement<'static> {
    Statement { head: ENTITIES[head], relation: RELATIONS[relation], tail: ENTITIES[tail] }
}

fn builder(mentions: &[Mention]) -> GraphBuilder {
    let mut builder = GraphBuilder::new();
    for &mention in mentions {
        builder.add(mention.3, statement(mention));
    }
    builder
}

/// The set that these mentions amount to, by the rule: test over valid over train.
fn expected(mentions: &[Mention]) -> BTreeMap<Statement<'static>, Split> {
    let mut set = BTreeMap::new();
    for &mention in mentions {
        let split = set.entry(statement(mention)).or_insert(mention.3);
        *split = mention.3.max(*split);
    }
    set
}

fn found(graph: &Graph) -> BTreeMap<Statement<'_>, Split> {
    graph.iter().map(|(split, triple)| (graph.statement(triple), split)).collect()
}

fn decode(encoded: &revision::Encoded) -> Graph {
    revision::decode(|name| {
        encoded.files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_slice())
    })
    .expect("what was just encoded is a good revision")
}

proptest! {
    #[test]
    fn a_graph_holds_each_statement_once_in_its_strongest_split(mentions in mentions()) {
        let graph = builder(&mentions).build();
        prop_assert_eq!(found(&graph), expected(&mentions));
        prop_assert_eq!(graph.len(), expected(&mentions).len());
    }

    #[test]
    fn ids_and_hash_do_not_depend_on_the_order_of_arrival(
        (mentions, shuffled) in mentions()
            .prop_flat_map(|mentions| (Just(mentions.clone()), Just(mentions).prop_shuffle()))
    ) {
        let (one, other) = (builder(&mentions).build(), builder(&shuffled).build());
        prop_assert_eq!(revision::encode(&one), revision::encode(&other));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn ids_fall_by_count_then_by_name(mentions in mentions()) {
        let graph = builder(&mentions).build();
        let count = |name: &str| {
            let times = |s: &Statement<'_>| [s.head, s.tail].iter().filter(|&&n| n == name).count();
            found(&graph).keys().map(times).sum::<usize>()
        };
        let names: Vec<&str> = graph.entities().iter().collect();
        let mut sorted = names.clone();
        sorted.sort_by_key(|name| (std::cmp::Reverse(count(name)), *name));
        prop_assert_eq!(&names, &sorted);
        prop_assert!(names.iter().all(|name| count(name) > 0));
        for split in Split::ALL {
            prop_assert!(graph.triples(split).is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn what_is_encoded_is_decoded(mentions in mentions()) {
        let graph = builder(&mentions).build();
        let encoded = revision::encode(&graph);
        prop_assert_eq!(decode(&encoded), graph);
        for (name, bytes) in &encoded.files[..3] {
            prop_assert!(bytes.len().is_multiple_of(64), "{}", name);
        }
    }

    #[test]
    fn a_damaged_file_never_panics(mentions in mentions(), file in 0..4usize, at: usize, to: u8) {
        let mut encoded = revision::encode(&builder(&mentions).build());
        let bytes = &mut encoded.files[file].1;
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = revision::decode(|name| {
            encoded.files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_slice())
        });
    }

    #[test]
    fn what_is_added_and_removed_again_leaves_no_trace(
        kept in mentions(),
        passing in mentions(),
    ) {
        let graph = builder(&kept).build();
        let mut again = GraphBuilder::from_graph(&graph);
        let added: Vec<_> = passing
            .iter()
            .filter(|mention| graph.triple(statement(**mention)).and_then(|t| graph.split_of(t)).is_none())
            .filter(|mention| again.add(mention.3, statement(**mention)) == Added::New)
            .collect();
        prop_assert_eq!(again.len(), graph.len() + added.len());
        for mention in &added {
            prop_assert!(again.remove(statement(**mention)));
            prop_assert!(!again.remove(statement(**mention)));
        }
        prop_assert_eq!(again.build(), graph);
    }

    #[test]
    fn json_and_csv_bring_any_name_through(mentions in mentions()) {
        let graph = builder(&mentions).build();
        for format in [read::Format::Json, read::Format::Csv] {
            let mut again = GraphBuilder::new();
            for split in Split::ALL {
                let mut text = Vec::new();
                write::write(format, &graph, Some(split), &mut text).unwrap();
                read::read(format, &text[..], &mut |statement| {
                    again.add(split, statement);
                    Ok(())
                })
                .unwrap();
            }
            prop_assert_eq!(again.build(), graph.clone());
        }
    }

    #[test]
    fn no_document_makes_a_reader_panic(text in "[ab\t\n\r\"{}\\[\\],:<>_. é]{0,40}") {
        for format in read::Format::ALL {
            let _ = read::read(format, text.as_bytes(), &mut |_| Ok(()));
        }
    }
}
