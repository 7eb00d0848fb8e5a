//! A running server in a directory of its own, and the means to talk to it.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) const KGE: &str = env!("CARGO_BIN_EXE_kge");

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The components that `make plugins` builds.
pub(crate) fn plugins() -> PathBuf {
    let folder = repository().join("plugins/components");
    assert!(folder.join("complex.wasm").is_file(), "no {}: run `make plugins`", folder.display());
    folder
}

/// A benchmark graph's folder; `None`, said aloud, where the data is not at hand outside CI.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let folder = repository().join("../shared/data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no {}", folder.display());
    eprintln!("skipped: no {}", folder.display());
    None
}

/// Runs one command to its end.
pub(crate) fn kge(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(KGE);
    command.current_dir(folder).arg("--plugins").arg(plugins());
    command
}

/// Its standard output as JSON.
pub(crate) fn kge_json(folder: &Path, arguments: &[&str]) -> Value {
    answer(&kge(folder, arguments), arguments)
}

/// As [`kge_json`], with the kernels told which instructions to use.
pub(crate) fn kge_json_by(instructions: &str, folder: &Path, arguments: &[&str]) -> Value {
    let output = command(folder).env("KGE_SIMD", instructions).args(arguments).output().unwrap();
    answer(&output, arguments)
}

fn answer(output: &Output, arguments: &[&str]) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A server and its address; killed when dropped.
pub(crate) struct House {
    child: Child,
    address: String,
}

impl House {
    pub(crate) fn open(folder: &Path) -> Self {
        Self::open_with(folder, &[])
    }

    pub(crate) fn open_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::open_told(folder, &[], environment, Stdio::inherit())
    }

    pub(crate) fn open_without_worker(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::open_told(folder, &["--no-worker"], environment, Stdio::inherit())
    }

    /// What it says beside its answers goes to `log`.
    pub(crate) fn open_logged(
        folder: &Path,
        environment: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Self {
        Self::open_told(folder, &[], environment, log)
    }

    fn open_told(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Self {
        let mut command = Command::new(KGE);
        command
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data", "data"])
            .args(arguments)
            .env("KGE_PLUGINS", plugins())
            .envs(environment.iter().copied())
            .stderr(log);
        Self::start(folder, command)
    }

    /// Any command that tells its address as JSON.
    pub(crate) fn start(folder: &Path, mut command: Command) -> Self {
        let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let hello: Value = serde_json::from_str(&line).expect("the server's first line is JSON");
        Self { child, address: hello["address"].as_str().unwrap().to_owned() }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; how long it took to end.
    pub(crate) fn terminate(mut self) -> Duration {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        began.elapsed()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None, Vec::new());
        assert!((200..400).contains(&status), "GET {path}: {status} {body}");
        body
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, body) =
            self.send("POST", path, Some("application/json"), body.to_string().into_bytes());
        assert!((200..300).contains(&status), "POST {path}: {status} {body}");
        body
    }

    /// Status and body of any request.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Vec<u8>,
    ) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        if body.starts_with(&[0x1f, 0x8b]) {
            request = request.header("content-encoding", "gzip");
        }
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// GET with a key.
    pub(crate) fn send_with_key(&self, key: &str, path: &str) -> (u16, Value) {
        let answer = ureq::get(format!("{}{path}", self.address))
            .header("authorization", format!("Bearer {key}"))
            .call();
        let mut answer = answer.unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
    }

    /// The body of an endless answer.
    pub(crate) fn stream(&self, path: &str) -> impl Read + Send + use<> {
        let answer = ureq::get(format!("{}{path}", self.address)).call().unwrap();
        answer.into_body().into_reader()
    }

    /// One header of the answer to a GET.
    pub(crate) fn header(&self, path: &str, name: &str) -> Option<String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = agent.get(format!("{}{path}", self.address)).call().unwrap();
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    /// A dataset with the folder's three splits.
    pub(crate) fn upload(&self, name: &str, folder: &Path) -> u64 {
        let body = serde_json::json!({ "name": name, "description": "" });
        let made = self.post("/datasets?dataset_type=0", &body);
        let id = made["dataset"]["id"].as_u64().unwrap();
        for split in ["train", "valid", "test"] {
            let bytes = std::fs::read(folder.join(format!("{split}.tsv.gz"))).unwrap();
            let path = format!("/datasets/{id}/triples?split={split}");
            let (status, body) = self.send("POST", &path, Some("text/tab-separated-values"), bytes);
            assert_eq!(status, 202, "{body}");
            if let Some(task) = body["task"]["id"].as_u64() {
                self.finish(task, Duration::from_secs(120));
            }
        }
        id
    }

    /// Starts training by an algorithm; the task's id.
    pub(crate) fn train(&self, dataset: u64, algorithm: &Value) -> u64 {
        let made = self.post("/algorithms", &serde_json::json!({ "algorithm": algorithm }));
        let id = &made["algorithm"]["id"];
        let task = self.post(&format!("/datasets/{dataset}/train?algorithm={id}"), &Value::Null);
        task["task"]["id"].as_u64().unwrap()
    }

    /// Polls a task until it has succeeded.
    pub(crate) fn finish(&self, task: u64, patience: Duration) -> Value {
        self.until(task, patience, |state| state == "SUCCESS")
    }

    pub(crate) fn until(
        &self,
        task: u64,
        patience: Duration,
        reached: impl Fn(&str) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            let body = self.get(&format!("/tasks/{task}?no_redirect=true&get_debug_info=true"));
            let state = body["task"]["state"].as_str().unwrap();
            if reached(state) {
                return body;
            }
            assert!(!["SUCCESS", "FAILURE", "REVOKED"].contains(&state), "{body}");
            assert!(began.elapsed() < patience, "task {task} took too long: {body}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The worker's id, once it is there.
    pub(crate) fn until_worker(&self, patience: Duration) -> Value {
        let began = Instant::now();
        loop {
            let workers = self.get("/workers");
            let worker = workers.pointer("/0/worker").unwrap_or(&workers[0]);
            if worker["id"].is_string() {
                return worker["id"].clone();
            }
            assert!(began.elapsed() < patience, "no worker: {workers}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A model's filtered test MRR, both ways.
    pub(crate) fn mrr(&self, model: &Value) -> f64 {
        let evaluation = self.get(&format!("/models/{}/evaluation", model["id"]));
        let mrr = evaluation.pointer("/both/mrr").or(evaluation.pointer("/evaluation/both/mrr"));
        mrr.and_then(Value::as_f64).unwrap()
    }

    /// The only model of a dataset.
    pub(crate) fn model(&self, dataset: u64) -> Value {
        let models = self.get(&format!("/datasets/{dataset}/models"));
        models[0]["model"].clone()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // It may be dead already, by `kill`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small ComplEx recipe.
pub(crate) fn complex(dim: usize, epochs: usize) -> Value {
    serde_json::json!({
        "plugin": "complex", "dim": dim, "reciprocal": true, "regime": "1vsall", "loss": "softmax",
        "optimiser": { "adagrad": { "learning_rate": 0.1 } },
        "regulariser": { "n3": { "weight": 0.05 } },
        "initialiser": { "normal": { "deviation": 0.001 } },
        "batch": 512, "epochs": epochs, "seed": 1,
    })
}
