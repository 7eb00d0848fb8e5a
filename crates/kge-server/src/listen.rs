//! The port: taking it, and answering on it until told to stop.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

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
    let grace = config.shutdown_grace;
    let mut connections = auto::Builder::new(TokioExecutor::new());
    connections
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(128);
    connections.http2().timer(TokioTimer::new()).max_concurrent_streams(256);

    let app = Arc::new(App::new(config, services, listener.address));
    if let Some(keep) = app.config.keep_tasks {
        tokio::spawn(retention::forget_ended(Arc::clone(&app), keep));
    }
    let service = http::stack(Arc::clone(&app));
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
    app.stopping.cancel();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the time to finish them ran out");
    }
    Ok(())
}

fn answer<S, B>(
    stream: TcpStream,
    connections: &auto::Builder<TokioExecutor>,
    service: S,
    graceful: &GracefulShutdown,
) where
    S: tower::Service<hyper::Request<hyper::body::Incoming>, Response = hyper::Response<B>>
        + Clone
        + Send
        + 'static,
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
