//! Datasets: names, races, deletion.

use kge_graph::Split;

use super::*;
use crate::scratch::{Scratch, create, triples};

#[tokio::test]
async fn ids_count_from_one_names_are_unique_and_errors_name_the_nearest() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    assert_eq!(create(&catalog, Some("cities"), 1).await.id, DatasetId(1));
    assert_eq!(create(&catalog, None, 0).await.name, "dataset 2");
    assert_eq!(create(&catalog, Some("dataset 4"), 0).await.id, DatasetId(3));
    assert_eq!(create(&catalog, None, 0).await.name, "dataset 4 (2)");

    let new = |name: &str, dataset_type| NewDataset {
        name: Some(name.into()),
        description: String::new(),
        dataset_type,
    };
    let refused = async |new| catalog.create_dataset(new).await.unwrap_err().to_string();
    assert_eq!(refused(new("cities", 0)).await, "there is already a dataset named \"cities\"");
    assert_eq!(refused(new("x", 3)).await, "dataset_type: it is 3, expected 0, 1 or 2");
    assert_eq!(refused(new("", 0)).await, "name: it is empty");

    let again = scratch.catalog();
    for (reference, expected) in [("cities", Ok(1)), ("2", Ok(2)), ("dataset 4", Ok(3))] {
        let found = again.find_dataset(reference).await.map(|dataset| dataset.id.0);
        assert_eq!(found.map_err(|error| error.to_string()), expected, "{reference}");
    }
    assert_eq!(
        again.find_dataset("citeis").await.unwrap_err().to_string(),
        "there is no dataset \"citeis\"; did you mean \"cities\"?"
    );
    assert_eq!(
        again.dataset(DatasetId(9)).await.unwrap_err().to_string(),
        "there is no dataset \"9\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_name_one_gets_it() {
    let scratch = Scratch::new();
    let shared = scratch.catalog();
    let racers = (0..8).map(|racer| {
        // Half of them share a catalogue, half are as if in processes of their own.
        let catalog = if racer % 2 == 0 { shared.clone() } else { scratch.catalog() };
        tokio::spawn(async move {
            let name = Some("cities".into());
            catalog.create_dataset(NewDataset { name, ..NewDataset::default() }).await
        })
    });
    let mut made = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, Error::NameTaken { .. }), "{error}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(shared.datasets().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_datasets_made_at_once_have_ids_of_their_own() {
    let scratch = Scratch::new();
    let makers = (0..8).map(|number| {
        let catalog = scratch.catalog();
        tokio::spawn(async move { create(&catalog, Some(&format!("set {number}")), 0).await.id.0 })
    });
    let mut ids = Vec::new();
    for maker in makers.collect::<Vec<_>>() {
        ids.push(maker.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_changes_at_once_lose_nothing() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let shared = scratch.catalog();
    let writers = (0..16).map(|writer| {
        let catalog = if writer % 2 == 0 { shared.clone() } else { scratch.catalog() };
        tokio::spawn(async move {
            let changed = catalog.update_dataset(id, |dataset| dataset.description.push('x'));
            changed.await.unwrap()
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let dataset = scratch.catalog().dataset(id).await.unwrap();
    assert_eq!(dataset.description, "x".repeat(16));
    assert_eq!(dataset.version, 17);
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let seen = create(&catalog, None, 0).await;
    catalog.append(seen.id, triples(Split::Train, "a r b"), Vec::new()).await.unwrap();
    let mut change = |dataset: &mut Dataset| dataset.description = "mine".into();
    let error = catalog.update_dataset_if(seen.id, &seen.etag(), change).await.unwrap_err();
    assert_eq!(error.to_string(), "dataset 1 was changed meanwhile: it is at 1-1, not at 1-0");
    let now = catalog.dataset(seen.id).await.unwrap();
    let changed = catalog.update_dataset_if(seen.id, &now.etag(), &mut change).await.unwrap();
    assert_eq!((changed.description.as_str(), changed.counts.train), ("mine", 1));
    assert_ne!(changed.etag(), now.etag());
}

#[tokio::test]
async fn a_new_name_frees_the_old_one() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let cities = create(&catalog, Some("cities"), 0).await;
    create(&catalog, Some("rivers"), 0).await;
    let rename = async |name: &str| {
        catalog.update_dataset(cities.id, |dataset| dataset.name = name.into()).await
    };
    assert!(matches!(rename("rivers").await, Err(Error::NameTaken { .. })));
    assert_eq!(rename("towns").await.unwrap().name, "towns");
    assert_eq!(catalog.find_dataset("towns").await.unwrap().id, cities.id);
    assert_eq!(create(&catalog, Some("cities"), 0).await.id, DatasetId(3));
}

#[tokio::test]
async fn deleting_frees_the_name_and_never_the_id() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let gone = create(&catalog, Some("cities"), 0).await.id;
    catalog.append(gone, triples(Split::Train, "a r b"), Vec::new()).await.unwrap();
    catalog.delete_dataset(gone).await.unwrap();

    for catalog in [catalog, scratch.catalog()] {
        assert_eq!(catalog.datasets().await.unwrap(), []);
        for error in [
            catalog.dataset(gone).await.unwrap_err(),
            catalog.delete_dataset(gone).await.unwrap_err(),
            catalog.graph(gone).await.unwrap_err(),
            catalog.append(gone, triples(Split::Train, "c r d"), Vec::new()).await.unwrap_err(),
            catalog.update_dataset(gone, |d| d.description.clear()).await.unwrap_err(),
            catalog.find_dataset("cities").await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Unknown { what: "dataset", .. }), "{error}");
        }
    }
    assert_eq!(create(&scratch.catalog(), Some("cities"), 0).await.id, DatasetId(2));
}

#[tokio::test]
async fn a_name_whose_maker_died_is_taken_over() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    catalog.claim_name("cities", DatasetId(1), None).await.unwrap();
    assert!(catalog.find_dataset("cities").await.is_err());
    create(&catalog, Some("rivers"), 0).await;
    assert_eq!(create(&catalog, Some("cities"), 0).await.id, DatasetId(2));
    assert_eq!(catalog.find_dataset("cities").await.unwrap().id, DatasetId(2));
}

#[tokio::test]
async fn damaged_and_newer_manifests_are_named() {
    let scratch = Scratch::new();
    let id = scratch.dataset().await;
    let manifest = scratch.path("datasets/1/manifest-00000001.json");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    for (text, expected) in [
        (&whole[..20], "datasets/1/manifest-00000001.json is damaged: not JSON: "),
        (
            &whole.replace("kge.dataset/1", "kge.dataset/2"),
            "datasets/1/manifest-00000001.json has schema kge.dataset/2, this release reads up \
             to kge.dataset/1: use a newer kge",
        ),
    ] {
        std::fs::write(&manifest, text).unwrap();
        let error = scratch.catalog().dataset(id).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
