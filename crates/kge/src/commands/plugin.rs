//! `kge plugin`: scoring models.

use std::path::Path;

use serde_json::json;

use super::{Failure, Result};
use crate::{cli::Plugin, open, settings::Settings};

pub(super) async fn plugin(settings: &Settings, args: Plugin, json: bool) -> Result {
    match args {
        Plugin::List => list(settings, json).await,
        Plugin::Check { plugin } => check(settings, &plugin, json).await,
        Plugin::Build { dir, out } => {
            let built = kge_plugin::toolchain::build(dir, out)?;
            if json {
                println!("{}", json!({ "components": built }));
            } else {
                built.iter().for_each(|file| println!("{}", file.display()));
            }
            Ok(())
        }
    }
}

async fn list(settings: &Settings, json: bool) -> Result {
    let catalog = open::catalog(settings)?;
    open::enter_plugins(settings, &catalog, &*open::host(settings)?).await?;
    let plugins = catalog.plugins().await?;
    if json {
        println!("{}", serde_json::to_string(&plugins)?);
        return Ok(());
    }
    for plugin in plugins {
        println!("{:<12} {}  {}", plugin.name, plugin.version, plugin.sha256);
    }
    Ok(())
}

async fn check(settings: &Settings, plugin: &str, json: bool) -> Result {
    let host = open::host(settings)?;
    let named = settings.plugins.join(format!("{plugin}.wasm"));
    let file = if Path::new(plugin).is_file() { Path::new(plugin) } else { &named };
    let bytes = if file.is_file() {
        std::fs::read(file)?.into()
    } else {
        let catalog = open::catalog(settings)?;
        let record = catalog.plugin(plugin).await?;
        catalog.plugin_bytes(&record.sha256).await?
    };
    let report = kge_plugin::check(&host.load(&bytes)?);
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    if report.passed() {
        Ok(())
    } else {
        Err(Failure::answered("the plugin does not keep the contract"))
    }
}
