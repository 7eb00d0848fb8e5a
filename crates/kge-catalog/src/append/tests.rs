//! Appending: counts, races with sealing, damage.

use super::*;
use crate::scratch::{Scratch, create, lines, removals, triples};

fn appended(added: u64, duplicate: u64, moved: u64, removed: u64) -> Appended {
    Appended { added, duplicate, moved, removed }
}

fn builder(split: Split, text: &str) -> GraphBuilder {
    let mut builder = GraphBuilder::new();
    for (h, r, t) in removals(text) {
        builder.add(split, kge_graph::Statement::new(&h, &r, &t));
    }
    builder
}

#[tokio::test]
async fn counts_are_exact_before_and_after_sealing_and_in_other_processes() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let catalog = scratch.catalog();
    let other = scratch.catalog();
    for (writer, split, text, removed, expected, train, valid) in [
        (&catalog, Split::Train, "a r b; b r c; a r b", None, appended(2, 1, 0, 0), 2, 0),
        (&other, Split::Train, "a r b; c r d", None, appended(1, 1, 0, 0), 3, 0),
        (&catalog, Split::Valid, "c r d", None, appended(0, 0, 1, 0), 2, 1),
        (&other, Split::Train, "c r d", None, appended(0, 1, 0, 0), 2, 1),
        (&other, Split::Train, "e s f", Some("c r d; x r y"), appended(1, 0, 0, 1), 3, 0),
    ] {
        let removals = removed.map(removals).unwrap_or_default();
        let found = writer.append(id, triples(split, text), removals).await.unwrap();
        assert_eq!(found, expected, "{split} {text}");
        for reader in [&catalog, &other, &scratch.catalog()] {
            let counts = reader.dataset(id).await.unwrap().counts;
            assert_eq!((counts.train, counts.valid), (train, valid), "{split} {text}");
            assert_eq!(counts, reader.graph(id).await.unwrap().counts());
        }
    }
    // The body that changed nothing left no file.
    assert_eq!(catalog.store.list(&layout::pending(id.0)).await.unwrap().len(), 4);

    let (hash, graph) = other.seal(id).await.unwrap();
    assert_eq!(lines(&graph), ["train a r b", "train b r c", "train e s f"]);
    assert_eq!(catalog.store.list(&layout::pending(id.0)).await.unwrap(), [""; 0]);
    assert_eq!(catalog.seal(id).await.unwrap().0, hash);
    let dataset = scratch.catalog().dataset(id).await.unwrap();
    assert_eq!((dataset.revision, dataset.pending, dataset.through), (Some(hash), 4, 4));
    assert_eq!(dataset.counts, graph.counts());
    let more = catalog.append(id, triples(Split::Train, "a r b; g r h"), Vec::new()).await;
    assert_eq!(more.unwrap(), appended(1, 1, 0, 0));
    assert_eq!(scratch.catalog().dataset(id).await.unwrap().through, 5);
}

#[tokio::test]
async fn the_same_triples_have_the_same_revision_whatever_their_order() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let (one, two) = (scratch.dataset().await, scratch.dataset().await);
    catalog.append(one, triples(Split::Train, "a r b; b r c"), Vec::new()).await.unwrap();
    catalog.append(two, triples(Split::Train, "b r c"), Vec::new()).await.unwrap();
    catalog.append(two, triples(Split::Train, "x r x"), Vec::new()).await.unwrap();
    catalog.seal(two).await.unwrap();
    let additions = triples(Split::Train, "a r b");
    catalog.append(two, additions, removals("x r x")).await.unwrap();
    let hash = catalog.seal(one).await.unwrap().0;
    assert_eq!(catalog.seal(two).await.unwrap().0, hash);
    assert_eq!(
        *scratch.catalog().revision(&hash).await.unwrap(),
        *catalog.graph(one).await.unwrap()
    );
}

#[tokio::test]
async fn an_empty_dataset_can_be_asked_and_sealed() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let catalog = scratch.catalog();
    assert_eq!(catalog.append(id, Vec::new(), Vec::new()).await.unwrap(), Appended::default());
    assert!(catalog.graph(id).await.unwrap().is_empty());
    let (hash, graph) = catalog.seal(id).await.unwrap();
    assert!(graph.is_empty());
    assert!(scratch.catalog().revision(&hash).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn appending_while_others_seal_loses_nothing() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 8;
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let shared = scratch.catalog();
    let catalog = |number: u64| if number < 3 { shared.clone() } else { scratch.catalog() };
    let writers = (0..WRITERS).map(|writer| {
        let catalog = catalog(writer);
        tokio::spawn(async move {
            let mut added = 0;
            for number in 0..EACH {
                let text = format!("w{writer} r n{number}; shared r n{number}");
                let found = catalog.append(id, triples(Split::Train, &text), Vec::new()).await;
                added += found.unwrap().added;
            }
            added
        })
    });
    let writers: Vec<_> = writers.collect();
    let sealers = [shared.clone(), scratch.catalog()].map(|catalog| {
        tokio::spawn(async move {
            for _ in 0..EACH {
                catalog.seal(id).await.unwrap();
            }
        })
    });
    let mut added = 0;
    for writer in writers {
        added += writer.await.unwrap();
    }
    for sealer in sealers {
        sealer.await.unwrap();
    }
    let triples = WRITERS * EACH + EACH;
    let (_, graph) = scratch.catalog().seal(id).await.unwrap();
    assert_eq!(graph.len() as u64, triples);
    assert_eq!(added, triples, "every triple was reported as new exactly once");
    assert_eq!(scratch.catalog().dataset(id).await.unwrap().counts.train, triples);
}

#[tokio::test]
async fn an_import_adds_to_what_is_there() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let catalog = scratch.catalog();
    let first = catalog.import(id, builder(Split::Train, "a r b; b r c")).await.unwrap();
    assert_eq!((first.added, first.duplicate, first.moved), (2, 0, 0));
    catalog.append(id, triples(Split::Train, "c r d"), Vec::new()).await.unwrap();
    let second = scratch.catalog().import(id, builder(Split::Test, "c r d; e r f; a r b")).await;
    let second = second.unwrap();
    assert_eq!((second.added, second.duplicate, second.moved), (1, 0, 2));
    assert_ne!(first.revision, second.revision);
    let graph = catalog.graph(id).await.unwrap();
    assert_eq!(lines(&graph), ["test a r b", "test c r d", "test e r f", "train b r c"]);
    assert_eq!(catalog.seal(id).await.unwrap().0, second.revision);
    let third = catalog.import(id, builder(Split::Train, "a r b")).await.unwrap();
    assert_eq!((third.added, third.duplicate, third.revision), (0, 1, second.revision));
}

#[tokio::test]
async fn wikidata_names_are_one_however_they_come() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let id = create(&catalog, Some("wikidata"), 1).await.id;
    let text = "Q1 P17 http://www.wikidata.org/entity/Q2";
    catalog.append(id, triples(Split::Train, text), Vec::new()).await.unwrap();
    let other = "http://www.wikidata.org/entity/Q1 http://www.wikidata.org/prop/P17 Q2";
    let again = catalog.append(id, triples(Split::Train, other), Vec::new()).await.unwrap();
    assert_eq!(again, appended(0, 1, 0, 0));
    let imported = catalog.import(id, builder(Split::Train, "Q1 P17 Q2; Q1 label Adams")).await;
    assert_eq!(imported.map(|i| (i.added, i.duplicate)).unwrap(), (1, 1));
    let expected = [
        "train http://www.wikidata.org/entity/Q1 http://www.wikidata.org/prop/direct/P17 \
         http://www.wikidata.org/entity/Q2",
        "train http://www.wikidata.org/entity/Q1 label Adams",
    ];
    assert_eq!(lines(&catalog.graph(id).await.unwrap()), expected);
    let removed = catalog.append(id, Vec::new(), removals("Q1 P17 Q2")).await.unwrap();
    assert_eq!(removed.removed, 1);
}

#[tokio::test]
async fn a_name_out_of_bounds_changes_nothing() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let catalog = scratch.catalog();
    let long = "x".repeat(2049);
    for (name, reason) in [("", "name: it is empty"), (&long, "has 2049 bytes, 2048 are allowed")] {
        let bad = (Split::Train, "a".to_owned(), "r".to_owned(), name.to_owned());
        let additions = [triples(Split::Train, "a r b"), vec![bad]].concat();
        let error = catalog.append(id, additions, Vec::new()).await.unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    assert!(catalog.graph(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn damaged_and_missing_revision_files_are_named() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let hash = scratch.catalog().import(id, builder(Split::Train, "a r b; b r c")).await.unwrap();
    let hash = hash.revision;
    let refused = async || scratch.catalog().graph(id).await.unwrap_err().to_string();

    let entities = scratch.path(&format!("revisions/{hash}/entities"));
    let whole = std::fs::read(&entities).unwrap();
    let mut bent = whole.clone();
    *bent.last_mut().unwrap() ^= 1;
    std::fs::write(&entities, bent).unwrap();
    let error = refused().await;
    assert!(error.starts_with(&format!("revisions/{hash}")), "{error}");
    assert!(error.contains(" is damaged: "), "{error}");
    std::fs::write(&entities, &whole[..whole.len() / 2]).unwrap();
    let error = refused().await;
    assert!(error.starts_with(&format!("revisions/{hash}/entities is damaged: ")), "{error}");
    std::fs::remove_file(&entities).unwrap();
    assert_eq!(refused().await, format!("revisions/{hash}/entities is damaged: it is missing"));
    std::fs::write(&entities, whole).unwrap();
    assert_eq!(scratch.catalog().graph(id).await.unwrap().len(), 2);

    let unknown = scratch.catalog().revision("../../etc").await.unwrap_err().to_string();
    assert_eq!(unknown, "there is no revision \"../../etc\"");
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_half_done() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let catalog = scratch.catalog();
    for number in 0..20 {
        let additions = triples(Split::Train, &format!("a r n{number}"));
        let append = catalog.append(id, additions, Vec::new());
        let patience = std::time::Duration::from_micros(number * 50);
        let _gone = tokio::time::timeout(patience, append).await;
    }
    let marker = catalog.append(id, triples(Split::Train, "z r z"), Vec::new()).await.unwrap();
    assert_eq!(marker, appended(1, 0, 0, 0));
    let here = catalog.graph(id).await.unwrap();
    assert_eq!(*here, *scratch.catalog().graph(id).await.unwrap());
    assert_eq!(catalog.dataset(id).await.unwrap().counts, here.counts());
}
