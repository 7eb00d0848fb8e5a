//! From a path to its handler: one table of routes, which the document is folded from too.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use tokio::sync::Notify;
use utoipa::openapi::{
    RefOr,
    path::{HttpMethod, Operation},
    schema::Schema,
};

use crate::{
    app::App,
    http::{Problem, Query, Reply, Request, RequestBody, empty, kind},
};

/// Bytes of a body that count as a sign of life.
const MOVED: usize = 64 << 10;

/// What a handler answers.
pub(crate) type Answer = Result<Reply, Problem>;

/// Schemas by name, as utoipa collects them.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What a route asks of a key, where the server asks for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Open to everybody.
    Open,
    /// Reading and asking.
    Read,
    /// Changing datasets, algorithms and models.
    Write,
    /// Starting and stopping tasks.
    Train,
    /// Adding and deleting plugins.
    Plugins,
}

impl Scope {
    /// What a key must allow; `None` if none is needed.
    pub(crate) fn of_keys(self) -> Option<kge_catalog::Scope> {
        match self {
            Self::Open => None,
            Self::Read => Some(kge_catalog::Scope::Read),
            Self::Write => Some(kge_catalog::Scope::Write),
            Self::Train => Some(kge_catalog::Scope::Train),
            Self::Plugins => Some(kge_catalog::Scope::Plugins),
        }
    }

    /// Its name in the document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Train => "train",
            Self::Plugins => "plugins",
        }
    }
}

/// One route: declared once, folded into the router and the document.
pub(crate) struct Route {
    pub method: HttpMethod,
    pub path: String,
    pub operation: Operation,
    pub schemas: Schemas,
    pub scope: Scope,
    pub handler: fn(Request) -> BoxFuture<'static, Answer>,
}

/// Makes a [`Route`] of a handler that carries `#[utoipa::path]`.
macro_rules! route {
    ($handler:path, $marker:path, $scope:ident) => {{
        use utoipa::{
            __dev::{SchemaReferences as _, Tags as _},
            Path as _,
        };
        let mut schemas = $crate::router::Schemas::new();
        <$marker>::schemas(&mut schemas);
        let mut operation = <$marker>::operation();
        let tags = <$marker>::tags();
        operation.tags.get_or_insert_default().extend(tags.iter().map(ToString::to_string));
        $crate::router::Route {
            method: <$marker>::methods().remove(0),
            path: <$marker>::path(),
            operation,
            schemas,
            scope: $crate::router::Scope::$scope,
            handler: |request| Box::pin($handler(request)),
        }
    }};
}

/// The routes of one module: `routes![module: handler Scope, …]`.
macro_rules! routes {
    ($($handler:ident $scope:ident),* $(,)?) => {
        pastey::paste! { vec![$($crate::router::route!($handler, [<__path_ $handler>], $scope)),*] }
    };
}

pub(crate) use {route, routes};

/// The routes of one path, by method.
type Methods = BTreeMap<&'static str, usize>;

/// Parameters of a path, by name.
pub(crate) type Parameters = Vec<(String, String)>;

/// All routes, and how paths find them.
pub(crate) struct Table {
    pub routes: Vec<Route>,
    paths: matchit::Router<Methods>,
}

/// The one table.
pub(crate) static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(crate::routes::all()));

impl Table {
    /// # Panics
    /// If two routes contradict each other, which a test would have seen.
    fn new(routes: Vec<Route>) -> Self {
        let mut by_path: BTreeMap<&str, Methods> = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            by_path.entry(&route.path).or_default().insert(name(&route.method), index);
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in by_path {
            if let Err(error) = paths.insert(pattern(path), methods) {
                panic!("{path}: {error}");
            }
        }
        Self { routes, paths }
    }

    /// The methods and parameters of a path; parameters are decoded after matching.
    pub(crate) fn find(&self, path: &str) -> Option<(&Methods, Parameters)> {
        let found = self.paths.at(path).ok()?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let parameters = found.params.iter().map(|(n, v)| (n.to_owned(), decode(v))).collect();
        Some((found.value, parameters))
    }
}

/// A path of the document as matchit reads it. Names of entities and files may hold slashes,
/// also when a proxy has decoded them.
fn pattern(path: &str) -> String {
    path.replace("/{entity}", "/{*entity}").replace("/{file}", "/{*file}")
}

/// The path that is looked up: no prefix, one slash in front, none at the end.
fn normalised<'a>(path: &'a str, prefix: &str) -> std::borrow::Cow<'a, str> {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let prefix = prefix.trim_start_matches('/');
    let rest = match path.strip_prefix(prefix) {
        Some("") if !prefix.is_empty() => "",
        Some(rest) if !prefix.is_empty() && rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    };
    format!("/{rest}").into()
}

/// A method's name in requests.
pub(crate) fn name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Head => "HEAD",
        HttpMethod::Options => "OPTIONS",
        _ => "TRACE",
    }
}

/// Answers one request; problems become replies here, with path and request id.
pub(crate) async fn answer(app: Arc<App>, request: hyper::Request<RequestBody>) -> Reply {
    let path = request.uri().path().to_owned();
    let id = request.headers().get("x-request-id");
    let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let prefix = app.prefix.clone();
    let answered = in_time(app, request).await;
    answered.unwrap_or_else(|problem| problem.reply(&prefix, Some(path), id))
}

/// Dispatches, and gives up on a request that stands still: a large body may take its time as
/// long as it keeps coming.
async fn in_time(app: Arc<App>, request: hyper::Request<RequestBody>) -> Answer {
    let limit = app.config.request_timeout;
    let moved = Arc::new(Notify::new());
    let (heard, mut bytes) = (Arc::clone(&moved), 0);
    let request = request.map(|body| {
        let counted = body.map_frame(move |frame| {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes >= MOVED {
                bytes = 0;
                heard.notify_one();
            }
            frame
        });
        counted.boxed_unsync()
    });
    let mut answer = pin!(dispatch(app, request));
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            () = moved.notified() => {}
            () = tokio::time::sleep(limit) => {
                let words = format!("the request stood still for {} s", limit.as_secs());
                return Err(Problem::new(&kind::TIMEOUT, words));
            }
        }
    }
}

async fn dispatch(app: Arc<App>, request: hyper::Request<RequestBody>) -> Answer {
    let (parts, body) = request.into_parts();
    app.doors.admit(&parts.method, &parts.uri, &parts.headers)?;
    if let Some(encoding) = parts.headers.get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        let words = format!("bodies encoded as {encoding:?} cannot be read; these can: gzip, zstd");
        return Err(Problem::new(&kind::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let path = normalised(parts.uri.path(), &app.prefix);
    let Some((methods, parameters)) = TABLE.find(&path) else {
        return Err(Problem::new(
            &kind::NOT_FOUND,
            format!("there is nothing at \"{path}\"; /docs lists what there is"),
        ));
    };
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    let Some(&index) = methods.get(method) else {
        let allowed = methods.keys().copied().collect::<Vec<_>>().join(", ");
        if parts.method == Method::OPTIONS {
            let mut reply = empty(StatusCode::OK);
            reply.headers_mut().extend(allowed.parse().map(|value| (header::ALLOW, value)));
            return Ok(reply);
        }
        let words = format!("{path} knows {allowed}, not {}", parts.method);
        let problem = Problem::new(&kind::METHOD_NOT_ALLOWED, words);
        return Err(problem.with_header(header::ALLOW, &allowed));
    };
    let route = &TABLE.routes[index];
    let sight = match &app.keys {
        Some(keys) => keys.admit(&app, &parts.headers, route, &parameters).await?,
        None => None,
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    (route.handler)(Request { app, parts, path: parameters, query, sight, body: Some(body).into() })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_prefixes_are_tolerated() {
        for (path, prefix, found) in [
            ("/datasets", "", "/datasets"),
            ("//datasets/", "", "/datasets"),
            ("/datasets/1//", "", "/datasets/1"),
            ("/", "", "/"),
            ("/api/datasets", "/api", "/datasets"),
            ("/api//datasets/", "/api", "/datasets"),
            ("/api", "/api", "/"),
            ("/apis", "/api", "/apis"),
            ("/datasets", "/api", "/datasets"),
        ] {
            assert_eq!(normalised(path, prefix), found, "{path} {prefix}");
        }
    }

    #[test]
    fn parameters_are_decoded_after_matching() {
        let path = "/datasets/1/similar_entities/http%3A%2F%2Fa%2Fb%20c";
        let (_, parameters) = TABLE.find(path).unwrap();
        assert_eq!(parameters[1], ("entity".to_owned(), "http://a/b c".to_owned()));
    }
}
