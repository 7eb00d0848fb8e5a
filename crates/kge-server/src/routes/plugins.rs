//! `/plugins`: the scoring models that algorithms can name.

use hyper::StatusCode;

use crate::{
    http::{Request, json},
    router::{Answer, Route, routes},
    types::{PluginEnvelope, PluginView},
};

pub(super) fn routes() -> Vec<Route> {
    routes![list_plugins Read, get_plugin Read]
}

/// List plugins
#[utoipa::path(get, path = "/plugins", tag = "plugins",
    responses((status = 200, description = "Plugins by name, the newest of a name first", body = Vec<PluginEnvelope>)))]
async fn list_plugins(request: Request) -> Answer {
    let records = request.app.catalog.plugins().await?;
    let views = records.into_iter().map(|r| PluginEnvelope { plugin: PluginView::new(r) });
    Ok(json(StatusCode::OK, &views.collect::<Vec<_>>()))
}

/// Get a plugin
#[utoipa::path(get, path = "/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "Its name, `name@version`, or SHA-256")),
    responses((status = 200, description = "What it says of itself", body = PluginEnvelope)))]
async fn get_plugin(request: Request) -> Answer {
    let record = request.app.catalog.plugin(request.segment("name")).await?;
    Ok(json(StatusCode::OK, &PluginEnvelope { plugin: PluginView::new(record) }))
}
