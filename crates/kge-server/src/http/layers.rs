//! What stands around every handler: request ids, traces, CORS, compression, panics.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header,
};
use tower::{Service, ServiceBuilder};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    cors::{AllowHeaders, AllowMethods, AllowOrigin, Any as AnyHeader, CorsLayer},
    decompression::RequestDecompressionLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};

use super::{BoxError, Problem, Reply, kind};
use crate::{app::App, router};

/// The whole service: every layer around the router.
///
/// From the outside in: a request id, a span, CORS (on errors too), compression (never of
/// event streams), panics as problems, decompression, the router.
pub(crate) fn stack(
    app: Arc<App>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<
        impl Body<Data = Bytes, Error = impl Into<BoxError> + std::fmt::Debug> + Send + 'static,
    >,
    Error = impl Into<BoxError> + std::fmt::Debug,
    Future = impl Send,
> + Clone
+ Send {
    let doors = app.doors.clone();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| doors.admits_origin(origin))
        }))
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(AnyHeader)
        .max_age(std::time::Duration::from_secs(3600));
    let compressible = SizeAbove::new(256)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/octet-stream"));
    ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(cors)
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .service(tower::service_fn(move |request: Request<_>| {
            let app = Arc::clone(&app);
            async move { Ok::<_, std::convert::Infallible>(router::answer(app, boxed(request)).await) }
        }))
}

fn boxed<B>(request: Request<B>) -> Request<super::RequestBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    request.map(|body| body.map_err(Into::into).boxed_unsync())
}

fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        id = id.unwrap_or_default(),
        user_agent = request.headers().get(header::USER_AGENT).and_then(|a| a.to_str().ok()),
    )
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Reply {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    tracing::error!(panic = words, "a handler panicked");
    Problem::new(&kind::INTERNAL, "this should not have happened; the log has the cause")
        .reply("", None, None)
}
