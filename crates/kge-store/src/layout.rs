//! The names of all objects. They stand only here.

/// What every manifest's name begins with; its number and `.json` follow.
const MANIFEST: &str = "manifest-";

/// The folder of numbered records that say which dataset holds a name.
pub fn name(digest_of_name: &str) -> String {
    format!("names/{digest_of_name}")
}

/// The folder of all datasets.
pub fn datasets() -> &'static str {
    "datasets"
}

/// The folder of a dataset, which holds its manifests.
pub fn dataset(id: u64) -> String {
    format!("datasets/{id}")
}

/// A numbered manifest of a folder.
pub fn manifest(folder: &str, number: u32) -> String {
    format!("{folder}/{MANIFEST}{number:08}.json")
}

/// The number of a manifest, from its full name.
pub fn manifest_number(object: &str) -> Option<u32> {
    let file = object.rsplit('/').next()?;
    file.strip_prefix(MANIFEST)?.strip_suffix(".json")?.parse().ok()
}

/// The folder of additions and removals that are not sealed yet.
pub fn pending(dataset: u64) -> String {
    format!("datasets/{dataset}/pending")
}

/// One body of additions and removals.
pub fn pending_file(dataset: u64, number: u64) -> String {
    format!("datasets/{dataset}/pending/{number}")
}

/// The folder of API keys.
pub fn keys() -> &'static str {
    "keys"
}

/// What a key may do, by the first digits of its hash.
pub fn key(id: &str) -> String {
    format!("keys/{id}.json")
}

/// When a key was last used.
pub fn key_used(id: &str) -> String {
    format!("keys/used/{id}.json")
}

/// An upload that waits for its import task; gone when the task has done it.
pub fn upload(id: &str) -> String {
    format!("uploads/{id}")
}

/// The folder of a sealed revision, shared by datasets.
pub fn revision(hash: &str) -> String {
    format!("revisions/{hash}")
}

/// One file of a sealed revision.
pub fn revision_file(hash: &str, file: &str) -> String {
    format!("revisions/{hash}/{file}")
}

/// The folder of all models.
pub fn models() -> &'static str {
    "models"
}

/// The folder of a model.
pub fn model(id: u64) -> String {
    format!("models/{id}")
}

/// Says that a model's id is taken, for ever.
pub fn model_reservation(id: u64) -> String {
    format!("models/{id}/reserved.json")
}

/// The object whose making publishes a model.
pub fn model_record(id: u64) -> String {
    format!("models/{id}/model.json")
}

/// Says that a model was deleted and must not come back.
pub fn model_tombstone(id: u64) -> String {
    format!("models/{id}/deleted.json")
}

/// The folder of what one holder of the lease wrote.
pub fn model_parts(id: u64, token: u64) -> String {
    format!("models/{id}/{token}")
}

/// One part of a model, as one holder of the lease wrote it.
pub fn model_part(id: u64, token: u64, part: &str) -> String {
    format!("models/{id}/{token}/{part}")
}

/// The folder of all plugins.
pub fn plugins() -> &'static str {
    "plugins"
}

/// A component, by its hash.
pub fn plugin_component(sha256: &str) -> String {
    format!("plugins/{sha256}.wasm")
}

/// What a component says of itself.
pub fn plugin_record(sha256: &str) -> String {
    format!("plugins/{sha256}.json")
}

/// The folder of all algorithms.
pub fn algorithms() -> &'static str {
    "algorithms"
}

/// An algorithm.
pub fn algorithm(id: u64) -> String {
    format!("algorithms/{id}.json")
}

/// The folder of a task's resumable state, as one holder of the lease wrote it.
pub fn checkpoints(task: u64, token: u64) -> String {
    format!("checkpoints/{task}/{token}")
}

/// The last part of a name as a number, without `.json`: an id from a listing.
pub fn id_of(object: &str) -> Option<u64> {
    let last = object.trim_end_matches('/').rsplit('/').next()?;
    last.strip_suffix(".json").unwrap_or(last).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        assert_eq!(manifest("datasets/7", 12), "datasets/7/manifest-00000012.json");
        for (object, number) in [
            ("datasets/7/manifest-00000012.json", Some(12)),
            ("datasets/7/manifest-123456789.json", Some(123_456_789)),
            ("datasets/7/manifest-x.json", None),
            ("datasets/7/pending/1", None),
        ] {
            assert_eq!(manifest_number(object), number, "{object}");
        }
        for (object, id) in [
            ("datasets/7", Some(7)),
            ("datasets/7/", Some(7)),
            ("algorithms/12.json", Some(12)),
            ("algorithms/draft", None),
        ] {
            assert_eq!(id_of(object), id, "{object}");
        }
    }
}
