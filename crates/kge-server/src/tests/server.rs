//! A server of its own for each test, with the real queue, store and plugins.

use std::{net::SocketAddr, path::Path, sync::Arc};

use kge_catalog::{Catalog, DatasetId, ModelId};
use kge_jobs::{Claim, Claimant, JobStore, Kind, SqliteJobs, WorkerId};
use kge_model::{Embeddings, ModelRecord, PluginRef, ScoringModel};
use kge_plugin::{Host, HostConfig};
use kge_store::Store;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::oneshot};

use super::{Reply, client};
use crate::{Config, Services};

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    pub address: SocketAddr,
    pub catalog: Catalog,
    pub jobs: Arc<dyn JobStore>,
    pub runtime: Runtime,
    host: Arc<Host>,
    stop: Option<oneshot::Sender<()>>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let catalog = Catalog::new(Store::open(at("data").to_str().unwrap()).unwrap());
        let jobs: Arc<dyn JobStore> = Arc::new(SqliteJobs::open(&at("jobs.sqlite")).unwrap());
        let host = Arc::new(Host::new(HostConfig::default()).unwrap());
        let mut config =
            Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        change(&mut config);
        let listener = runtime.block_on(crate::bind(&config)).unwrap();
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let services =
            Services { catalog: catalog.clone(), jobs: Arc::clone(&jobs), host: Arc::clone(&host) };
        runtime.spawn(crate::serve(listener, config, services, async {
            let _ = stopped.await;
        }));
        drop(_inside);
        Self { address, catalog, jobs, runtime, host, stop: Some(stop), _directory: directory }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Reply {
        client::send(self.address, method, path, headers, body.as_ref())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: impl ToString) -> Reply {
        self.send("POST", path, &[], body.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], "")
    }

    /// A plain dataset with these triples, three words each.
    pub(crate) fn dataset(&self, triples: &[&str]) -> u64 {
        self.dataset_of_type(0, triples)
    }

    pub(crate) fn dataset_of_type(&self, dataset_type: u8, triples: &[&str]) -> u64 {
        let made = self.post(&format!("/datasets?dataset_type={dataset_type}"), "{}");
        let id = made.json()["dataset"]["id"].as_u64().unwrap();
        let triples: Vec<Vec<&str>> =
            triples.iter().map(|t| t.split_whitespace().collect()).collect();
        let added = self.post(&format!("/datasets/{id}/triples"), json!(triples));
        assert_eq!(added.status, 202, "{}", added.text());
        id
    }

    /// Brings a plugin into the store and returns what it says of itself.
    pub(crate) fn plugin(&self, name: &str) -> PluginRef {
        let record = self
            .runtime
            .block_on(async {
                let component = component(name);
                let plugin = self.host.load(&component).unwrap();
                self.catalog.add_plugin(component.into(), plugin.description().clone()).await
            })
            .unwrap();
        PluginRef { name: record.name, version: record.version, sha256: record.sha256 }
    }

    /// Publishes a DistMult model whose rows are these; names not given have zeros.
    pub(crate) fn model(&self, dataset: u64, dim: usize, rows: &[(&str, &[f32])]) -> u64 {
        let plugin_ref = self.plugin("distmult");
        self.runtime.block_on(async {
            let (revision, graph) = self.catalog.seal(DatasetId(dataset)).await.unwrap();
            let plugin = self.host.load(&component("distmult")).unwrap();
            let model = plugin.configure(dim, &Default::default()).unwrap();
            let fill = |names: &kge_graph::Vocabulary| {
                let row = |name| rows.iter().find(|(n, _)| *n == name).map(|(_, row)| row.to_vec());
                let all = names.iter().flat_map(|n| row(n).unwrap_or_else(|| vec![0.0; dim]));
                all.collect::<Vec<f32>>()
            };
            let embeddings = Embeddings {
                entities: fill(graph.entities()),
                relations: fill(graph.relations()),
                biases: Vec::new(),
                shared: Vec::new(),
                entity_width: dim,
                relation_width: dim,
            };
            let mut bytes = Vec::new();
            let digest = embeddings.write(model.layout(), &mut bytes).unwrap();
            let id = self.catalog.reserve_model(DatasetId(dataset)).await.unwrap();
            self.catalog.write_part(id, 1, "embeddings.safetensors", bytes.into()).await.unwrap();
            let history = "{\"epoch\":1,\"loss\":2.5}\n{\"epoch\":2,\"loss\":1.5}\n";
            self.catalog.write_part(id, 1, "history.jsonl", history.into()).await.unwrap();
            let record = ModelRecord {
                schema: ModelRecord::SCHEMA.into(),
                id: id.0,
                dataset,
                revision,
                plugin: plugin_ref,
                dim,
                hyper_parameters: Default::default(),
                layout: model.layout().clone(),
                reciprocal: false,
                algorithm: json!({"plugin": "distmult", "dim": dim}),
                algorithm_id: None,
                token: 1,
                task: 1,
                embeddings_sha256: digest,
                evaluation: Some(json!({"both": {"mrr": 0.5}})),
                created: "2026-11-24T10:00:00Z".into(),
            };
            self.catalog.commit_model(record, false).await.unwrap();
            let ModelId(id) = id;
            id
        })
    }

    /// Claims the oldest train task, as a worker would.
    pub(crate) fn claim(&self) -> Claim {
        self.claim_with(1)
    }

    /// Claims another one.
    pub(crate) fn claim_next(&self) -> Claim {
        self.claim_with(2)
    }

    /// What some task or other needs: a test's worker can do them all.
    fn needs_of_all(&self) -> Vec<String> {
        let tasks = self.jobs.tasks(kge_jobs::Filter::default(), None, 1000);
        let tasks = self.runtime.block_on(tasks).unwrap();
        tasks.into_iter().flat_map(|task| task.needs.features).collect()
    }

    fn claim_with(&self, nonce: u64) -> Claim {
        let claimant = Claimant {
            worker: WorkerId("test-worker".into()),
            kinds: vec![Kind::Train],
            features: self.needs_of_all(),
            nonce,
            lease: std::time::Duration::from_secs(30),
        };
        self.runtime.block_on(self.jobs.claim(claimant)).unwrap().expect("a task to claim")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

/// A dataset of four people in which `likes` and `knows` are relations.
pub(crate) const PEOPLE: [&str; 4] =
    ["ann likes bob", "bob likes cid", "ann knows cid", "cid likes dan"];

/// The rows of a model of [`PEOPLE`].
pub(crate) fn rows() -> Vec<(&'static str, &'static [f32])> {
    vec![
        ("ann", &[1.0, 0.0]),
        ("bob", &[1.0, 1.0]),
        ("cid", &[0.0, 1.0]),
        ("dan", &[-1.0, 0.0]),
        ("likes", &[1.0, 0.5]),
        ("knows", &[0.5, 1.0]),
    ]
}

pub(crate) fn component(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../plugins/components")
        .join(name)
        .with_extension("wasm");
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make plugins`", file.display()))
}

/// The members of an object, for comparing shapes.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default()
}
