//! Builds the plugins of this repository into `plugins/components`, all or those that are named:
//! what `make plugins` and `make demo` run.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let named: Vec<_> = std::env::args().skip(1).map(|name| plugins.join(name)).collect();
    let crates = if named.is_empty() { vec![plugins.clone()] } else { named };
    for directory in crates {
        match kge_plugin::toolchain::build(&directory, plugins.join("components")) {
            Ok(components) => {
                components.iter().for_each(|component| println!("{}", component.display()));
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
