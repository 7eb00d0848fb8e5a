//! `kge key`: who may use a server that asks for keys.

use jiff::{SignedDuration, Timestamp};
use kge_catalog::{Catalog, KeyRecord, NewKey, Scope};
use serde_json::{Value, json};

use super::{Failure, Result};
use crate::{cli::Key, open, settings::Settings};

pub(super) async fn key(settings: &Settings, args: Key, json: bool) -> Result {
    let catalog = open::catalog(settings)?;
    match args {
        Key::Create { name, scopes, datasets, days } => {
            let mut allowed = None;
            for name in datasets {
                let id = catalog.find_dataset(&name).await?.id;
                allowed.get_or_insert_with(std::collections::BTreeSet::new).insert(id);
            }
            let end =
                |days: u32| Timestamp::now() + SignedDuration::from_hours(24 * i64::from(days));
            let new = NewKey {
                name,
                scopes: scopes.into_iter().collect(),
                datasets: allowed,
                expires: days.map(end),
            };
            let (key, record) = catalog.create_key(new).await?;
            if json {
                let mut shown = shown(&catalog, &record).await?;
                shown["key"] = Value::from(key);
                println!("{shown}");
            } else {
                println!("{key}");
                eprintln!("key {}; it is shown this once", line(&shown(&catalog, &record).await?));
            }
        }
        Key::List => {
            let mut all = Vec::new();
            for record in catalog.keys().await? {
                all.push(shown(&catalog, &record).await?);
            }
            match json {
                true => println!("{}", Value::from(all)),
                false => all.iter().for_each(|key| println!("{}", line(key))),
            }
        }
        Key::Revoke { id } => {
            catalog.revoke_key(&id).await?;
            if json {
                println!("{}", json!({ "revoked": id }));
            } else {
                println!("key {id} is revoked; servers notice within a second");
            }
        }
    }
    Ok(())
}

/// Enters the key that a file holds, for everything: how the first key reaches a server whose
/// store nobody can reach yet. An empty file has none.
pub(super) async fn enter_initial(catalog: &Catalog, file: &std::path::Path) -> Result {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    if text.trim().is_empty() {
        return Ok(());
    }
    let scopes = [Scope::Admin].into();
    let new = NewKey { name: "initial".into(), scopes, datasets: None, expires: None };
    let entered = catalog.enter_key(text.trim(), new).await;
    entered.map(drop).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

async fn shown(catalog: &Catalog, record: &KeyRecord) -> Result<Value> {
    Ok(json!({
        "id": record.id,
        "name": record.name,
        "scopes": record.scopes,
        "datasets": record.datasets,
        "created": record.created,
        "expires": record.expires,
        "last_used": catalog.key_last_used(&record.id).await?,
    }))
}

fn line(key: &Value) -> String {
    let text = |member: &str| key[member].as_str().unwrap_or_default().to_owned();
    let list = |member: &str| {
        let items = key[member].as_array().into_iter().flatten();
        let plain = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        items.map(plain).collect::<Vec<_>>().join(",")
    };
    let datasets = match key["datasets"].is_null() {
        true => String::new(),
        false => format!(", datasets {}", list("datasets")),
    };
    let end = match text("expires") {
        end if end.is_empty() => String::new(),
        end => format!(", until {end}"),
    };
    let used = match text("last_used") {
        used if used.is_empty() => "never used".to_owned(),
        used => format!("used {used}"),
    };
    format!("{}  {}: {}{datasets}{end}, {used}", text("id"), text("name"), list("scopes"))
}
