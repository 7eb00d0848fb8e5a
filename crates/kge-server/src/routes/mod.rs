//! The routes, one file a resource.

mod about;
mod algorithms;
mod datasets;
mod docs;
mod health;
mod models;
mod names;
mod plugins;
mod predict;
mod similar;
mod tasks;
mod train;
mod triples;
mod upload;
mod vectors;

use hyper::header;

use crate::{
    http::{Query, Reply},
    router::Route,
};

/// Every route there is.
pub(crate) fn all() -> Vec<Route> {
    [
        datasets::routes(),
        triples::routes(),
        names::routes(),
        algorithms::routes(),
        train::routes(),
        tasks::routes(),
        models::routes(),
        vectors::routes(),
        similar::routes(),
        predict::routes(),
        plugins::routes(),
        health::routes(),
        docs::routes(),
        about::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// With a header whose value we made.
fn with(mut reply: Reply, name: header::HeaderName, value: &str) -> Reply {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// One page of a list: what comes after `cursor`, `limit` at most, everything without a limit.
/// Returns the page and the `Link` header's value if there is more.
fn page<T>(
    items: Vec<T>,
    limit: Option<usize>,
    cursor: Option<u64>,
    id: impl Fn(&T) -> u64,
    query: &Query,
    path: &str,
) -> (Vec<T>, Option<String>) {
    let after = items.into_iter().filter(|item| cursor.is_none_or(|cursor| id(item) > cursor));
    let Some(limit) = limit else { return (after.collect(), None) };
    let mut page: Vec<T> = after.take(limit.saturating_add(1)).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let link = page.last().filter(|_| more).map(|last| next(path, query, &id(last).to_string()));
    (page, link)
}

/// The `Link` header's value for the page after `cursor`.
fn next(path: &str, query: &Query, cursor: &str) -> String {
    format!("<{path}?{}>; rel=\"next\"", query.with("cursor", cursor))
}
