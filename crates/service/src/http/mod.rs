//! The hardened HTTP/1.1 listener of every public door.
//!
//! `axum::serve` has no time limit for a head at all, and hyper's own covers idle connections too, so that either
//! slow heads or keep-alive suffer. Here every stage has its limit: the head ([`HttpLimits::head_within`]), the
//! pause between requests (`idle_within`), each pause in a body and the body as a whole ([`Body`]), the head's
//! bytes, the number of connections, and the stop.

mod body;
mod overrun;
mod paced;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

pub use body::{Body, BodyError};
pub use overrun::Overrun;
use paced::{Paced, Stage};

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of a request's line and headers; more is answered 431.
    pub head_bytes_max: usize,
    /// Time from the first byte of a head to its last, and from connecting to the first head's end.
    pub head_within: Duration,
    /// Time that a connection may stay open between two requests.
    pub idle_within: Duration,
    /// Longest pause between two pieces of a body.
    pub body_pause_max: Duration,
    /// Longest time for a whole body.
    pub body_within: Duration,
    /// Time that requests in hand get after the stop signal; then they are dropped.
    pub stop_within: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections_max: 4_096,
            head_bytes_max: 72 * 1024,
            head_within: Duration::from_secs(5),
            idle_within: Duration::from_secs(75),
            body_pause_max: Duration::from_secs(10),
            body_within: Duration::from_secs(60),
            stop_within: Duration::from_secs(10),
        }
    }
}

/// The address at the other end of the connection; an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves requests until `shutdown`, then takes no more connections, finishes the requests in hand within
/// `limits.stop_within`, and drops what is left.
pub async fn serve<S, B>(listener: TcpListener, service: S, limits: HttpLimits, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let abandon = CancellationToken::new();

    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, place) = accepted;
        let connection = Connection { service: service.clone(), peer, limits, room: Arc::clone(&room) };
        let (shutdown, abandon) = (shutdown.clone(), abandon.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection.serve(stream, shutdown) => {}
                () = abandon.cancelled() => {}
            }
            drop(place);
        });
    }

    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.stop_within, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropped connections that were not done in time");
        abandon.cancel();
        connections.wait().await;
    }
}

/// Waits for a free place, then for a connection.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    /// Accepting fails when the process is out of sockets: they come back as connections end.
    const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
    let place = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                metrics::counter!("service_accept_errors_total").increment(1);
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

struct Connection<S> {
    service: S,
    peer: SocketAddr,
    limits: HttpLimits,
    room: Arc<Semaphore>,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn serve(self, stream: TcpStream, shutdown: CancellationToken) {
        let Connection { service, peer, limits, room } = self;
        // Answers are small and each is written whole: waiting for more to send only costs time.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let stage = Stage::default();
        let socket = Arc::new(stream);
        let overrun = Overrun::new(Arc::clone(&socket));
        let io = Paced::new(socket, stage.clone(), overrun.clone(), limits.head_within);
        let places_low = limits.connections_max / 4;

        let answer = hyper::service::service_fn(|request: Request<Incoming>| {
            stage.request_begins();
            let mut request = request.map(|body| Body::new(body, limits.body_pause_max, limits.body_within));
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(overrun.clone());
            let answered = service.clone().oneshot(request);
            let (stage, overrun, room) = (stage.clone(), overrun.clone(), Arc::clone(&room));
            async move {
                let mut response = answered.await?;
                // When places are scarce nobody keeps one while idle.
                if room.available_permits() < places_low {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                stage.request_ends();
                overrun.request_ends();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_within)
            .half_close(true)
            .max_buf_size(limits.head_bytes_max)
            .serve_connection(io, answer);
        let mut connection = std::pin::pin!(connection);

        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(causes = crate::causes(&error), "a connection ended badly");
        }
    }
}
