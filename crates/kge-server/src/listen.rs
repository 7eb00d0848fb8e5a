//! The port: taking it, and answering on it until told to stop.

use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, path::Path, pin::pin, sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tower_http::services::ServeDir;

use crate::{
    Config, Error, Result, Services,
    app::App,
    http::{self, BoxError},
    retention,
};

/// A port that is taken but not answered yet.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Where it listens, with the port it really has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes the port.
///
/// # Errors
/// If another process has it, or the address is not one of this host's.
pub async fn bind(config: &Config) -> Result<Listener> {
    let address = config.listen;
    let refuse = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressTaken { address },
        _ => Error::Listen { address, source },
    };
    let inner = TcpListener::bind(address).await.map_err(refuse)?;
    let address = inner.local_addr().map_err(refuse)?;
    Ok(Listener { inner, address })
}

/// Answers requests until `shutdown` is ready, then finishes those under way.
///
/// # Errors
/// None today: a connection that fails is logged, and the others go on.
pub async fn serve(
    listener: Listener,
    config: Config,
    services: Services,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let limits = config.clone();
    let app = Arc::new(App::new(config, services, listener.address));
    if let Some(keep) = app.config.keep_tasks {
        tokio::spawn(retention::forget_ended(Arc::clone(&app), keep));
    }
    let service = http::stack(Arc::clone(&app));
    let shutdown = async {
        shutdown.await;
        app.stopping.cancel();
    };
    accept(listener, &limits, service, shutdown).await;
    Ok(())
}

/// Serves the files of a directory, and `/health/ready`, until `shutdown` is ready.
pub async fn serve_pages(listener: Listener, pages: &Path, shutdown: impl Future<Output = ()>) {
    let other = tower::service_fn(|request: Request<Incoming>| async move {
        let (status, text) = match request.uri().path() {
            "/health/ready" => (StatusCode::OK, "ready\n"),
            _ => (StatusCode::NOT_FOUND, "there is no such page\n"),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    accept(listener, &Config::default(), ServeDir::new(pages).fallback(other), shutdown).await;
}

/// Answers by `service` until `shutdown` is ready, then lets what is under way end.
async fn accept<S, B>(
    listener: Listener,
    config: &Config,
    service: S,
    shutdown: impl Future<Output = ()>,
) where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut connections = auto::Builder::new(TokioExecutor::new());
    connections
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(128);
    connections.http2().timer(TokioTimer::new()).max_concurrent_streams(256);

    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.inner.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, _)) => {
                answer(stream, &connections, service.clone(), &graceful);
            }
            Err(error) => {
                // Out of file descriptors, most often: others may close theirs meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener.inner);
    if tokio::time::timeout(config.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the time to finish them ran out");
    }
}

fn answer<S, B>(
    stream: TcpStream,
    connections: &auto::Builder<TokioExecutor>,
    service: S,
    graceful: &GracefulShutdown,
) where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Small answers should not wait for more to send.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(service);
    let connection = connections.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}
