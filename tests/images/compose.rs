//! The project of compose.yaml, on port 6789 and volumes of its own; gone when dropped.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::docker::{self, docker, docker_fails};

const NAME: &str = "kge-test";
const PORT: &str = "6789";
const SERVICES: [&str; 3] = ["web", "worker", "redis"];

/// What may lie in an image beside the programs in the Nix store, and what Docker adds.
const FILES: [&str; 4] = ["etc/passwd", "etc/group", "etc/ssl/certs/ca-bundle.crt", "share/"];
const OF_DOCKER: [&str; 9] = [
    ".dockerenv",
    "dev/",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "run/",
    "proc/",
    "sys/",
];

pub(crate) struct Project;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn image(name: &str) -> String {
    format!("kge-{name}:{}", env!("CARGO_PKG_VERSION"))
}

impl Project {
    /// With two workers, whose leases run out soon, and nothing left of a run before.
    pub(crate) fn up() -> Self {
        let project = Self;
        project.compose(&["down", "--volumes"]);
        let began = Instant::now();
        project.compose(&["up", "-d", "--scale", "worker=2"]);
        project.ready(Duration::from_secs(60));
        eprintln!("the project is up in {:.1} s", began.elapsed().as_secs_f64());
        project
    }

    pub(crate) fn compose(&self, arguments: &[&str]) {
        let output = Command::new("docker-compose")
            .args(["--project-name", NAME, "--file", "compose.yaml"])
            .args(arguments)
            .env("KGE_LEASE", "6")
            .env("KGE_PORT", PORT)
            .current_dir(repository())
            .output()
            .expect("missing: docker-compose; `make images`");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker-compose {arguments:?}: {errors}");
    }

    /// The containers of a service.
    fn containers(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={NAME}");
        let service = format!("label=com.docker.compose.service={service}");
        let ids =
            docker(&["ps", "--quiet", "--no-trunc", "--filter", &project, "--filter", &service]);
        ids.lines().map(str::to_owned).collect()
    }

    pub(crate) fn container(&self, service: &str) -> String {
        self.containers(service).remove(0)
    }

    /// The worker's container; workers are named by their host, which is the container.
    pub(crate) fn worker_container(&self, worker: &Value) -> String {
        let host = worker.as_str().unwrap().split('-').next().unwrap();
        let workers = self.containers("worker");
        workers.into_iter().find(|id| id.starts_with(host)).expect("a worker of this project")
    }

    /// One port, on loopback; root file systems read-only; no root, no shell, no other files.
    pub(crate) fn is_closed_and_hardened(&self) {
        assert_eq!(self.containers("worker").len(), 2);
        for service in SERVICES {
            let container = self.container(service);
            let inspect = |what: &str| docker(&["inspect", "--format", what, &container]);
            let published = inspect(
                "{{range $p, $all := .NetworkSettings.Ports}}{{range $all}}\
                                     {{.HostIp}}:{{.HostPort}} {{end}}{{end}}",
            );
            let expected =
                if service == "web" { format!("127.0.0.1:{PORT}") } else { String::new() };
            assert_eq!(published, expected, "{service}");
            assert_eq!(
                inspect("{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}"),
                "true [ALL]"
            );
            assert_eq!(inspect("{{.HostConfig.SecurityOpt}}"), "[no-new-privileges:true]");
            assert_eq!(inspect("{{.Config.Image}}"), image(service), "KGE_VERSION in .env");
            let pid = inspect("{{.State.Pid}}");
            assert_eq!(docker::ids(Path::new("/proc").join(pid)), "1001 100", "{service}");

            for shell in ["sh", "bash", "/bin/sh", "busybox"] {
                let said = docker_fails(&["exec", &container, shell, "-c", "true"]);
                assert!(said.contains("no such file") || said.contains("not found"), "{said}");
            }
            for file in files(&container) {
                let known = |start: &&str| file.starts_with(*start) || start.starts_with(&file);
                let program = file.starts_with("nix/store/") || file.starts_with("bin/");
                assert!(
                    program
                        || "nix/store/".starts_with(&file)
                        || file.starts_with("lib/")
                        || file == "data/"
                        || FILES.iter().any(known)
                        || OF_DOCKER.iter().any(known),
                    "{service} holds {file}"
                );
            }
        }
    }

    pub(crate) fn ready(&self, patience: Duration) {
        let began = Instant::now();
        while !matches!(self.send("GET", "/health/ready", None, Vec::new()), Ok((200, _))) {
            assert!(began.elapsed() < patience, "{}", docker(&["logs", &self.container("web")]));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(u16, Value), ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        let address = format!("http://127.0.0.1:{PORT}{path}");
        let mut request = ureq::http::Request::builder().method(method).uri(address);
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        if body.starts_with(&[0x1f, 0x8b]) {
            request = request.header("content-encoding", "gzip");
        }
        let mut answer = agent.run(request.body(body).unwrap())?;
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).unwrap();
        Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None, Vec::new()).unwrap();
        assert!((200..400).contains(&status), "GET {path}: {status} {body}");
        body
    }

    fn post(&self, path: &str, media_type: &str, body: Vec<u8>) -> Value {
        let (status, body) = self.send("POST", path, Some(media_type), body).unwrap();
        assert!((200..300).contains(&status), "POST {path}: {status} {body}");
        body
    }

    fn post_json(&self, path: &str, body: &Value) -> Value {
        self.post(path, "application/json", body.to_string().into_bytes())
    }

    /// A dataset with all three splits of a benchmark graph.
    pub(crate) fn upload(&self, graph: &str) -> u64 {
        let folder = repository().join("../shared/data").join(graph);
        let made = self.post_json("/datasets?dataset_type=0", &json!({ "name": graph }));
        let id = made["dataset"]["id"].as_u64().unwrap();
        for split in ["train", "valid", "test"] {
            let file = folder.join(format!("{split}.tsv.gz"));
            let bytes = std::fs::read(&file).unwrap_or_else(|_| panic!("no {}", file.display()));
            let path = format!("/datasets/{id}/triples?split={split}");
            let body = self.post(&path, "text/tab-separated-values", bytes);
            if let Some(task) = body["task"]["id"].as_u64() {
                self.until(task, Duration::from_secs(120), |task| task["state"] == "SUCCESS");
            }
        }
        id
    }

    /// Starts to train a small ComplEx model; the task.
    pub(crate) fn train(&self, dataset: u64, dim: usize, epochs: usize) -> u64 {
        let algorithm = json!({
            "plugin": "complex", "dim": dim, "reciprocal": true, "regime": "1vsall",
            "loss": "softmax", "optimiser": { "adagrad": { "learning_rate": 0.1 } },
            "regulariser": { "n3": { "weight": 0.05 } },
            "initialiser": { "normal": { "deviation": 0.001 } },
            "batch": 512, "epochs": epochs, "seed": 1,
        });
        let made = self.post_json("/algorithms", &json!({ "algorithm": algorithm }));
        let id = &made["algorithm"]["id"];
        let path = format!("/datasets/{dataset}/train?algorithm={id}");
        self.post_json(&path, &Value::Null)["task"]["id"].as_u64().unwrap()
    }

    /// Polls a task until it is as wanted.
    pub(crate) fn until(
        &self,
        task: u64,
        patience: Duration,
        reached: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            let path = format!("/tasks/{task}?no_redirect=true&get_debug_info=true");
            let task = self.get(&path)["task"].clone();
            if reached(&task) {
                return task;
            }
            assert_ne!(task["state"], "FAILURE", "{task}");
            assert!(began.elapsed() < patience, "it took too long: {task}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for container in SERVICES.iter().flat_map(|service| self.containers(service)) {
                let mut logs = Command::new("docker");
                logs.args(["logs", "--tail", "20", &container]);
                let logs = logs.output().map(|output| output.stderr).unwrap_or_default();
                eprintln!("== {container}\n{}", String::from_utf8_lossy(&logs));
            }
        }
        self.compose(&["down", "--volumes"]);
    }
}

/// The names of all files of a container.
fn files(container: &str) -> Vec<String> {
    let export = Command::new("sh")
        .args(["-c", "docker export \"$0\" | tar -t", container])
        .output()
        .unwrap();
    String::from_utf8_lossy(&export.stdout).lines().map(str::to_owned).collect()
}
