//! Models: fencing, promotion, deletion.

use std::collections::BTreeMap;

use kge_model::{Constraint, Direction, Initialiser, Layout, PluginRef, Similarity};
use kge_store::sha256_hex;
use serde_json::json;

use super::*;
use crate::scratch::Scratch;

fn record(id: ModelId, dataset: DatasetId, token: u64, embeddings: &str) -> ModelRecord {
    ModelRecord {
        schema: ModelRecord::SCHEMA.into(),
        id: id.0,
        dataset: dataset.0,
        revision: "0".repeat(64),
        plugin: PluginRef { name: "toy".into(), version: "0.1.0".into(), sha256: "1".repeat(64) },
        dim: 2,
        hyper_parameters: BTreeMap::new(),
        layout: Layout {
            similarity: Similarity::Dot,
            directions: vec![Direction::Tail],
            bias: false,
            entity_width: 2,
            relation_width: 2,
            query_width: 2,
            complex: false,
            projects_candidates: false,
            entity_initialiser: Initialiser::Zeros,
            relation_initialiser: Initialiser::Normal { deviation: 0.1 },
            entity_constraint: Constraint::None,
            relation_constraint: Constraint::None,
            shared: Vec::new(),
        },
        reciprocal: false,
        algorithm: json!({"plugin": "toy"}),
        algorithm_id: None,
        token,
        task: 1,
        embeddings_sha256: sha256_hex(embeddings.as_bytes()),
        evaluation: None,
        created: now(),
    }
}

async fn publish(
    catalog: &Catalog,
    dataset: DatasetId,
    id: ModelId,
    token: u64,
    promote: bool,
) -> Result<Committed> {
    let rows = format!("rows of {token}");
    catalog.write_part(id, token, EMBEDDINGS, Bytes::from(rows.clone())).await?;
    catalog.commit_model(record(id, dataset, token, &rows), promote).await
}

#[tokio::test]
async fn the_first_model_is_promoted_and_later_ones_when_asked() {
    let scratch = Scratch::new();
    let dataset = scratch.dataset().await;
    let catalog = scratch.catalog();
    let mut ids = Vec::new();
    for (promote, promoted) in [(false, true), (false, false), (true, true)] {
        let id = catalog.reserve_model(dataset).await.unwrap();
        let committed = publish(&catalog, dataset, id, 1, promote).await.unwrap();
        assert_eq!(committed, Committed { published: true, promoted });
        ids.push(id);
    }
    assert_eq!(ids, [1, 2, 3].map(ModelId));

    let promoted = async || scratch.catalog().dataset(dataset).await.unwrap().promoted;
    catalog.promote(ModelId(2)).await.unwrap();
    assert_eq!(promoted().await, Some(ModelId(2)));
    // A commit that is told again does not promote again.
    let again = publish(&catalog, dataset, ModelId(3), 1, true).await.unwrap();
    assert_eq!(again, Committed { published: true, promoted: false });

    catalog.delete_model(ModelId(2)).await.unwrap();
    assert_eq!(promoted().await, Some(ModelId(3)));
    let left = scratch.catalog().models(dataset).await.unwrap();
    assert_eq!(left.iter().map(|model| model.id).collect::<Vec<_>>(), [1, 3]);
    for error in [
        catalog.model(ModelId(2)).await.unwrap_err(),
        catalog.promote(ModelId(2)).await.unwrap_err(),
        catalog.delete_model(ModelId(2)).await.unwrap_err(),
        catalog.model_part(ModelId(2), EMBEDDINGS).await.unwrap_err(),
        publish(&catalog, dataset, ModelId(2), 9, true).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "there is no model \"2\"");
    }
    assert_eq!(catalog.reserve_model(dataset).await.unwrap(), ModelId(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tokens_one_wins() {
    let scratch = Scratch::new();
    let dataset = scratch.dataset().await;
    let catalog = scratch.catalog();
    for _ in 0..4 {
        let id = catalog.reserve_model(dataset).await.unwrap();
        let racers = [7, 8].map(|token| {
            let catalog = scratch.catalog();
            tokio::spawn(async move {
                (token, publish(&catalog, dataset, id, token, false).await.unwrap().published)
            })
        });
        let mut winners = Vec::new();
        for racer in racers {
            let (token, published) = racer.await.unwrap();
            winners.extend(published.then_some(token));
        }
        let [winner] = winners[..] else { panic!("winners: {winners:?}") };
        assert_eq!(catalog.model(id).await.unwrap().token, winner);
        let rows = catalog.model_part(id, EMBEDDINGS).await.unwrap();
        assert_eq!(rows, format!("rows of {winner}"));
        // The loser's parts are gone.
        let folders = catalog.store.list(&layout::model_parts(id.0, 15 - winner)).await.unwrap();
        assert_eq!(folders, [""; 0]);
    }
    assert_eq!(catalog.dataset(dataset).await.unwrap().models.len(), 4);
}

#[tokio::test]
async fn parts_are_seen_only_after_the_commit_and_are_checked() {
    let scratch = Scratch::new();
    let dataset = scratch.dataset().await;
    let catalog = scratch.catalog();
    let id = catalog.reserve_model(dataset).await.unwrap();
    let early = catalog.commit_model(record(id, dataset, 3, "x"), true).await.unwrap_err();
    assert_eq!(
        early.to_string(),
        "models/1/3/embeddings.safetensors is damaged: it must be written before its model is \
         published"
    );
    catalog.write_part(id, 3, "history.jsonl", Bytes::from("{}\n")).await.unwrap();
    assert!(catalog.model_part(id, "history.jsonl").await.is_err());
    publish(&catalog, dataset, id, 3, false).await.unwrap();

    let again = scratch.catalog();
    assert_eq!(again.model(id).await.unwrap().token, 3);
    assert_eq!(again.model_part(id, "history.jsonl").await.unwrap(), "{}\n");
    let missing = again.model_part(id, "evaluation.json").await.unwrap_err().to_string();
    assert_eq!(missing, "there is no model part \"1/evaluation.json\"");
    std::fs::write(scratch.path("models/1/3/embeddings.safetensors"), "other rows").unwrap();
    let damaged = again.model_part(id, EMBEDDINGS).await.unwrap_err().to_string();
    assert!(damaged.starts_with("models/1/3/embeddings.safetensors is damaged: "), "{damaged}");
}

#[tokio::test]
async fn a_deleted_dataset_takes_its_models_along() {
    let scratch = Scratch::new();
    let catalog = scratch.catalog();
    let (gone, stays) = (scratch.dataset().await, scratch.dataset().await);
    let published = catalog.reserve_model(gone).await.unwrap();
    publish(&catalog, gone, published, 1, true).await.unwrap();
    let training = catalog.reserve_model(gone).await.unwrap();
    let other = catalog.reserve_model(stays).await.unwrap();
    publish(&catalog, stays, other, 1, true).await.unwrap();

    catalog.delete_dataset(gone).await.unwrap();
    assert!(catalog.model(published).await.is_err());
    assert!(catalog.reserve_model(gone).await.is_err());
    let late = publish(&catalog, gone, training, 1, true).await.unwrap_err();
    assert!(matches!(late, Error::Unknown { .. }), "{late}");
    assert!(catalog.model(training).await.is_err());
    assert!(!scratch.path("models/2/1/embeddings.safetensors").exists());
    assert_eq!(catalog.models(stays).await.unwrap().len(), 1);
    assert_eq!(catalog.reserve_model(stays).await.unwrap(), ModelId(4));
}

#[tokio::test]
async fn a_model_is_published_for_the_dataset_it_was_reserved_for() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.dataset().await, scratch.dataset().await);
    let catalog = scratch.catalog();
    let id = catalog.reserve_model(one).await.unwrap();
    let error = publish(&catalog, two, id, 1, true).await.unwrap_err().to_string();
    assert!(error.starts_with("model: model 1 is reserved for dataset 1 "), "{error}");
    let error = publish(&catalog, one, ModelId(9), 1, true).await.unwrap_err().to_string();
    assert_eq!(error, "there is no model \"9\"");
}
