//! What can be asked on the command line. Its `--help` teaches.

mod train;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use kge_catalog::Scope;
use kge_graph::{Split, read::Format};
use serde::{Deserialize, Serialize};

pub(crate) use train::{Loss, Optimiser, Precision, Regime, Train};

/// Knowledge-graph embeddings, from triples to answers.
#[derive(Debug, Parser)]
#[command(
    name = "kge",
    version,
    max_term_width = 100,
    after_help = "\
First steps:
  kge demo                                    train on a small graph, then serve it
  kge import --dataset umls umls/             a folder with train, valid and test
  kge train --dataset umls --dim 64           train, evaluate and publish a model
  kge predict umls --head H --relation R      ask it
  kge serve                                   answer over REST on port 6789

Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Settings and output; every command takes these.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only what failed
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Settings file [default: kge.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "KGE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Where datasets and models lie [default: kge-data]
    #[arg(long, global = true, value_name = "DIR", env = "KGE_DATA", hide_env_values = true)]
    pub data: Option<String>,
    /// Local directory for tasks and compiled plugins [default: DATA/state]
    #[arg(long, global = true, value_name = "DIR", env = "KGE_STATE", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// Where tasks are kept: sqlite, or a Redis, redis://… or rediss://… [default: sqlite]
    #[arg(long, global = true, value_name = "URL", env = "KGE_JOBS", hide_env_values = true)]
    pub jobs: Option<String>,
    /// Directory of scoring models, *.wasm [default: plugins/components, or beside the binary]
    #[arg(long, global = true, value_name = "DIR", env = "KGE_PLUGINS", hide_env_values = true)]
    pub plugins: Option<PathBuf>,
    /// Numeric threads [default: all cores]
    #[arg(long, global = true, value_name = "N", env = "KGE_THREADS", hide_env_values = true)]
    pub threads: Option<usize>,
    /// Let the user's group write what is written, for a directory that people share
    #[arg(long, global = true, env = "KGE_GROUP_WRITABLE", hide_env_values = true)]
    pub group_writable: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train on a small graph of countries, show what was learnt, serve it
    Demo(Demo),
    /// Answer over REST, with a worker beside
    Serve(Serve),
    /// Do tasks from the queue
    Worker(Worker),
    /// Bring triples into a dataset
    Import(Import),
    /// Train, evaluate and publish a model
    Train(Box<Train>),
    /// Rank a split's triples among all candidates
    Evaluate(Evaluate),
    /// Complete a fact: the best tails, or heads
    Predict(Predict),
    /// The nearest entities
    Similar(Similar),
    /// How plausible a triple is
    Score(Score),
    /// How far two entities lie apart
    Distance(Distance),
    /// Draw what lies near what, as an SVG
    Map(Map),
    /// Scoring models
    #[command(subcommand)]
    Plugin(Plugin),
    /// Datasets
    #[command(subcommand)]
    Dataset(ListShow),
    /// Published models
    #[command(subcommand)]
    Model(ListShow),
    /// Tasks of the queue
    #[command(subcommand)]
    Tasks(Tasks),
    /// Keys, for servers that ask for them
    #[command(subcommand)]
    Key(Key),
    /// Check what kge needs on this machine, and say what to do
    Doctor(Doctor),
    /// The OpenAPI document of the REST API
    Openapi,
    /// Print the effective settings, or check a file of settings
    Config(Config),
    /// Ask a running server whether it is ready
    Health(Health),
    /// Serve a folder of pages, as the docs image does with the book
    Docs(Docs),
    /// Print the version; with --json also what it was built from
    Version,
}

impl Command {
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Worker(_) | Self::Docs(_))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the answers
    #[arg(long, visible_alias = "exit")]
    pub no_serve: bool,
    /// Where to serve; the next free port is taken if this one is held
    #[arg(long, default_value = "127.0.0.1:6789")]
    pub listen: SocketAddr,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  kge serve --data /srv/kge
  kge serve --listen 127.0.0.1:0 --json       a free port, printed as JSON
  kge serve --no-worker                       and `kge worker` elsewhere on this host")]
pub(crate) struct Serve {
    /// Address and port [default: 127.0.0.1:6789]
    #[arg(long, value_name = "ADDRESS", env = "KGE_LISTEN", hide_env_values = true)]
    pub listen: Option<SocketAddr>,
    /// What stands in front of every path, where a proxy adds it
    #[arg(long, value_name = "PREFIX", env = "KGE_PATH_PREFIX", hide_env_values = true)]
    pub path_prefix: Option<String>,
    /// Origins of web pages that may use the server, beside loopback ones
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', env = "KGE_CORS_ORIGINS")]
    #[arg(hide_env_values = true)]
    pub cors_origins: Option<Vec<String>>,
    /// Host names it answers to, beside loopback ones
    #[arg(long, value_name = "HOST", value_delimiter = ',', env = "KGE_ALLOWED_HOSTS")]
    #[arg(hide_env_values = true)]
    pub allowed_hosts: Option<Vec<String>>,
    /// Start no worker
    #[arg(long)]
    pub no_worker: bool,
    /// The address others reach it at, where a container engine or a proxy publishes it
    #[arg(long, value_name = "ADDRESS", env = "KGE_PUBLISHED", hide_env_values = true)]
    pub published: Option<IpAddr>,
    /// Whether requests must show a key: always, never, or unless only this host can reach it
    /// [default: auto]
    #[arg(long, value_name = "WHEN", env = "KGE_KEYS", hide_env_values = true)]
    pub keys: Option<AskForKeys>,
    /// A file with the first key, which may do everything
    #[arg(long, value_name = "FILE", env = "KGE_INITIAL_KEY_FILE", hide_env_values = true)]
    pub initial_key_file: Option<PathBuf>,
    /// Seconds the worker's lease runs without a sign of life [default: 30]
    #[arg(long, value_name = "SECONDS", env = "KGE_LEASE", hide_env_values = true)]
    pub lease: Option<u64>,
}

/// When a server asks for keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskForKeys {
    /// Unless it listens on a loopback address
    #[default]
    Auto,
    /// Always
    Required,
    /// Never: who can reach it may do everything
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Tasks at once [default: 1]
    #[arg(long, value_name = "N", env = "KGE_CONCURRENCY", hide_env_values = true)]
    pub concurrency: Option<usize>,
    /// Kinds of task [default: all this release can do]
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Seconds a lease runs without a sign of life [default: 30]
    #[arg(long, value_name = "SECONDS", env = "KGE_LEASE", hide_env_values = true)]
    pub lease: Option<u64>,
    /// Say who works, and end
    #[arg(long)]
    pub status: bool,
    /// End when standard input does: set by the server that started this worker
    #[arg(long, hide = true)]
    pub end_with_stdin: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kge import --dataset umls umls/                       train, valid and test in one folder
  kge import --dataset wiki dump.nt.zst --split random:90/5/5
  kge import --dataset umls more.csv --split train")]
pub(crate) struct Import {
    /// The dataset, made if it is not there
    #[arg(long, value_name = "NAME")]
    pub dataset: String,
    /// Files, or folders with train, valid and test; gzip and zstd are recognised
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Their format, where the extension does not say
    #[arg(long)]
    pub format: Option<Format>,
    /// Where their triples go: train, valid, test or random:80/10/10
    #[arg(long, default_value = "train")]
    pub split: String,
    /// Decides the random split, with each triple's own names
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// train, valid or test
    #[arg(long, default_value = "test")]
    pub split: Split,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kge predict umls --head acquired_abnormality --relation location_of
  kge predict 3 --relation P17 --tail Q29 -k 20")]
pub(crate) struct Predict {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// The head, to ask for tails
    #[arg(long, required_unless_present = "tail", conflicts_with = "tail")]
    pub head: Option<String>,
    /// The relation
    #[arg(long)]
    pub relation: String,
    /// The tail, to ask for heads
    #[arg(long)]
    pub tail: Option<String>,
    /// How many answers
    #[arg(short, default_value_t = 10)]
    pub k: usize,
    /// Leave out what the dataset says already
    #[arg(long)]
    pub filter_known: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Similar {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// The entity
    pub entity: String,
    /// How many
    #[arg(short, default_value_t = 10)]
    pub k: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Score {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// The head
    pub head: String,
    /// The relation
    pub relation: String,
    /// The tail
    pub tail: String,
}

#[derive(Debug, Args)]
pub(crate) struct Distance {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// An entity
    pub a: String,
    /// Another
    pub b: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kge map countries --colour-by continent
  kge map countries --colour-by continent --labels es --labels-from countries.ttl
  kge map 3 --limit 100 --output hundred.svg")]
pub(crate) struct Map {
    /// A model's id, or a dataset's name for its promoted model
    pub model: String,
    /// Where the picture goes [default: the dataset's name, .svg]
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: Option<PathBuf>,
    /// Colour entities by their value of this relation; those without one are left out
    #[arg(long, value_name = "RELATION")]
    pub colour_by: Option<String>,
    /// The language of labels
    #[arg(long, value_name = "LANG", default_value = "en")]
    pub labels: String,
    /// An RDF file with labels (rdfs:label, skos:prefLabel) [default: the end of each name]
    #[arg(long, value_name = "FILE")]
    pub labels_from: Option<PathBuf>,
    /// At most so many entities, the best connected
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub limit: usize,
    /// Its width in pixels
    #[arg(long, value_name = "N", default_value_t = 840)]
    #[arg(value_parser = clap::value_parser!(u16).range(200..=8000))]
    pub size: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The port that `kge serve` would take [default: 127.0.0.1:6789]
    #[arg(long, value_name = "ADDRESS", env = "KGE_LISTEN", hide_env_values = true)]
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kge plugin new my-model
  kge plugin build my-model
  kge plugin check my-model/components/my-model.wasm
  kge train --dataset umls --plugin my-model/components/my-model.wasm")]
pub(crate) enum Plugin {
    /// Those of the plugins directory and of the store
    List,
    /// Gradient, determinism, limits: does it keep the contract?
    Check {
        /// A component's file, or a name
        plugin: String,
    },
    /// Make a crate for a new model, with the SDK and the contract beside it
    New {
        /// The model's name: lower-case letters, digits and -
        name: String,
        /// The directory in which the crate's directory is made
        #[arg(long, value_name = "DIR", default_value = ".")]
        into: PathBuf,
    },
    /// Compile a plugin's crate, or a workspace of them, to components
    Build {
        /// The crate, the workspace, or a core module that another compiler made
        #[arg(default_value = "plugins")]
        source: PathBuf,
        /// Where the components go [default: components, in or beside SOURCE]
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Machine code of the component on standard input, within limits; what a server calls
    #[command(hide = true)]
    Compile {
        /// Bytes of address space
        #[arg(long)]
        memory: u64,
    },
    /// What a plugin says of itself: paper, hyper-parameters, the shape of its rows
    Describe {
        /// A component's file, or a name
        plugin: String,
        /// The dimension
        #[arg(long, default_value_t = 128)]
        dim: usize,
    },
    /// Calls a second, and the plugin's share of a training step
    Bench {
        /// A component's file, a name, or a model crate's directory: then beside the native model
        plugin: String,
        /// The dimension; complex numbers for models with complex rows
        #[arg(long, default_value_t = 256)]
        dim: usize,
        /// Queries a step; calls are of at most 256
        #[arg(long, default_value_t = 1024)]
        batch: usize,
    },
    /// Check a component and bring it into the store
    Add {
        /// A component's file
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kge key create --name ci --scopes write,train --days 90
  kge key create --name shop --datasets products    may read one dataset
  curl -H \"Authorization: Bearer $KEY\" https://kge.example/datasets")]
pub(crate) enum Key {
    /// Make a key and print it, once
    Create {
        /// Whom or what it is for
        #[arg(long)]
        name: String,
        /// What it may do: read, write, train, admin
        #[arg(long, value_delimiter = ',', default_value = "read")]
        scopes: Vec<Scope>,
        /// The only datasets it may touch, by id or name [default: all]
        #[arg(long, value_delimiter = ',')]
        datasets: Vec<String>,
        /// Days until it ends [default: never]
        #[arg(long)]
        days: Option<u32>,
    },
    /// All keys, and when they were last used
    List,
    /// Take a key back
    Revoke {
        /// Its id, as `kge key list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListShow {
    /// All of them
    List,
    /// One, whole
    Show {
        /// Its id or name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tasks {
    /// The newest first
    List,
    /// One, whole
    Show {
        /// Its id
        id: u64,
    },
    /// Ask one to stop
    Cancel {
        /// Its id
        id: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Check this file instead
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The server
    #[arg(
        long,
        default_value = "http://127.0.0.1:6789",
        env = "KGE_SERVER",
        hide_env_values = true
    )]
    pub server: String,
}

#[derive(Debug, Args)]
pub(crate) struct Docs {
    /// The folder
    pub pages: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6790")]
    pub listen: SocketAddr,
}
