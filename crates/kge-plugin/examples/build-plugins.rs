//! Builds the plugins of this repository into `plugins/components`: what `make plugins` runs.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    match kge_plugin::toolchain::build(&plugins, plugins.join("components")) {
        Ok(components) => {
            components.iter().for_each(|component| println!("{}", component.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
