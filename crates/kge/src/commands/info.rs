//! What needs no data: version, settings, the API's document, a server's health.

use serde_json::json;

use super::{Failure, Result};
use crate::{
    cli::{Common, Config, Health},
    settings::Settings,
};

/// What was chosen when this was compiled.
const FEATURES: &[&str] = &[
    #[cfg(target_env = "musl")]
    "mimalloc",
    #[cfg(target_env = "musl")]
    "static",
];

/// Nix tells revision and lock file; a build by cargo alone knows neither.
pub(super) fn version(json: bool) -> Result {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        let document = json!({
            "version": version,
            "revision": option_env!("KGE_REVISION"),
            "lock_sha256": option_env!("KGE_LOCK_HASH"),
            "features": FEATURES,
            "target": std::env::consts::ARCH,
        });
        println!("{document}");
    } else {
        println!("kge {version}");
    }
    Ok(())
}

pub(super) fn openapi() -> Result {
    println!("{}", serde_json::to_string_pretty(&kge_server::openapi())?);
    Ok(())
}

pub(super) fn config(common: &Common, args: &Config) -> Result {
    if let Some(file) = &args.check {
        Settings::read(file)?;
        eprintln!("{}: fine", file.display());
        return Ok(());
    }
    let settings = Settings::effective(common)?;
    if common.json {
        println!("{}", serde_json::to_string(&settings)?);
    } else {
        print!("{}", toml::to_string(&settings)?);
    }
    Ok(())
}

pub(super) fn health(args: &Health, json: bool) -> Result {
    let address = format!("{}/health/ready", args.server.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(std::time::Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer =
        agent.get(&address).call().map_err(|error| Failure::new(format!("{address}: {error}")))?;
    let (status, body) = (answer.status(), answer.body_mut().read_to_string()?);
    match (json, status.is_success()) {
        (true, _) => println!("{body}"),
        (false, true) => println!("ready"),
        (false, false) => {}
    }
    if status.is_success() {
        Ok(())
    } else {
        Err(Failure::answered(format!("{address}: {status} {body}")))
    }
}
