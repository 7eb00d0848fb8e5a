//! The commands, one file each.

mod answers;
mod demo;
mod docs;
mod doctor;
mod import;
mod info;
mod key;
mod lists;
mod map;
mod names;
mod plugin;
mod progress;
mod recipe;
mod serve;
mod train;
mod worker;

use std::fmt::Display;

use crate::{
    cli::{Cli, Command},
    settings::Settings,
};

/// Why a command failed, and the process's exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: u8,
    pub message: String,
    /// Whether standard output has the answer already, as JSON if asked for.
    pub answered: bool,
}

impl Failure {
    /// What was asked for could not be done.
    pub(crate) fn new(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string(), answered: false }
    }

    /// It was asked for wrongly.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), answered: false }
    }

    /// It was done, and the answer, which was printed, is no.
    pub(crate) fn answered(message: impl Display) -> Self {
        Self { answered: true, ..Self::new(message) }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> Result {
    let json = cli.common.json;
    if let Command::Config(config) = &cli.command {
        return info::config(&cli.common, config);
    }
    let settings = Settings::effective(&cli.common)?;
    if settings.group_writable {
        // For all that this process makes, and its children: rw-rw-r--.
        rustix::process::umask(rustix::fs::Mode::WOTH);
    }
    match cli.command {
        Command::Demo(args) => demo::demo(settings, &cli.common, args).await,
        Command::Serve(args) => serve::serve(settings, args, json).await,
        Command::Worker(args) => worker::worker(settings, args, json).await,
        Command::Import(args) => import::import(&settings, &args, json).await,
        Command::Train(args) => train::train(&settings, &args, json).await,
        Command::Evaluate(args) => train::evaluate(&settings, &args, json).await,
        Command::Predict(args) => answers::predict(&settings, &args, json).await,
        Command::Similar(args) => answers::similar(&settings, &args, json).await,
        Command::Score(args) => answers::score(&settings, &args, json).await,
        Command::Distance(args) => answers::distance(&settings, &args, json).await,
        Command::Map(args) => map::map(&settings, &args, json).await,
        Command::Plugin(args) => plugin::plugin(&settings, args, json).await,
        Command::Dataset(args) => lists::datasets(&settings, args, json).await,
        Command::Model(args) => lists::models(&settings, args, json).await,
        Command::Tasks(args) => lists::tasks(&settings, args, json).await,
        Command::Key(args) => key::key(&settings, args, json).await,
        Command::Doctor(args) => doctor::doctor(&settings, &args, json).await,
        Command::Openapi => info::openapi(),
        Command::Config(_) => Ok(()),
        Command::Health(args) => info::health(&args, json),
        Command::Docs(args) => docs::docs(&args, json).await,
        Command::Version => info::version(json),
    }
}
