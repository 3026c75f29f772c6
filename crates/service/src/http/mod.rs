//! The hardened listener of every public door: [`serve`] speaks HTTP/1.1, [`serve_http2`] HTTP/2 for gRPC's clients.
//!
//! `axum::serve` has no time limit for a head at all, and hyper's own covers idle connections too, so that either
//! slow heads or keep-alive suffer. Here every stage has its limit: the head ([`HttpLimits::head_within`]), the
//! pause between requests (`idle_within`), each pause in a body and the body as a whole ([`Body`]), each pause in
//! which nobody reads the answer, the handshake of TLS, the head's bytes, the number of connections in all and of one
//! address, and the stop. What HTTP/2 has besides is in `http2.rs`.

mod address;
mod body;
mod door;
mod http2;
mod measures;
mod overrun;
mod paced;
mod places;
mod stream;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

use address::client_address;
pub use address::{ClientAddress, Network};
pub use body::{Body, BodyError};
pub use door::{Door, DoorArgs};
use http2::Tasks;
pub use overrun::Overrun;
use paced::{Paced, Stage};
pub use places::network;
use places::{Place, Places};
use stream::Stream;
pub use tls::{Tls, TlsError};

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections at a time of one address, or of one IPv6 network of 64 bits; more are closed at once.
    pub connections_per_address_max: usize,
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
    /// Longest pause in which nothing of an answer is read by its client.
    pub answer_pause_max: Duration,
    /// Time that requests in hand get after the stop signal; then they are dropped.
    pub stop_within: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections_max: 4_096,
            connections_per_address_max: 1_024,
            head_bytes_max: 72 * 1024,
            head_within: Duration::from_secs(5),
            idle_within: Duration::from_secs(75),
            body_pause_max: Duration::from_secs(10),
            body_within: Duration::from_secs(60),
            answer_pause_max: Duration::from_secs(30),
            stop_within: Duration::from_secs(10),
        }
    }
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Serves requests of HTTP/1.1 until `shutdown`, then takes no more connections, finishes the requests in hand within
/// the door's `stop_within`, and drops what is left.
pub async fn serve<S, B>(listener: TcpListener, service: S, door: Door, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    listen(listener, service, door, Protocol::Http1, shutdown).await;
}

/// The same in HTTP/2, with prior knowledge or, over TLS, as agreed in the handshake; nothing else is understood.
pub async fn serve_http2<S, B>(listener: TcpListener, service: S, door: Door, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    listen(listener, service, door, Protocol::Http2, shutdown).await;
}

async fn listen<S, B>(listener: TcpListener, service: S, door: Door, protocol: Protocol, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    measures::describe();
    let places = Places::new(&door);
    let connections = TaskTracker::new();
    let abandon = CancellationToken::new();
    if let Some(tls) = door.tls.clone() {
        let shutdown = shutdown.clone();
        connections.spawn(async move { tls.follow(shutdown).await });
    }

    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (socket, peer, place) = accepted;
        let tasks = Tasks { tracker: connections.clone(), abandon: abandon.clone() };
        let (door, places) = (door.clone(), places.clone());
        let connection = Connection { service: service.clone(), peer, door, places, protocol, tasks };
        let (shutdown, abandon) = (shutdown.clone(), abandon.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection.serve(socket, shutdown) => {}
                () = abandon.cancelled() => {}
            }
            drop(place);
        });
    }

    drop(listener);
    connections.close();
    if tokio::time::timeout(door.limits.stop_within, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropped connections that were not done in time");
        abandon.cancel();
        connections.wait().await;
    }
}

/// Waits for a free place, then for a connection of somebody who may have it.
async fn accept(listener: &TcpListener, places: &Places) -> (TcpStream, SocketAddr, Place) {
    /// Accepting fails when the process is out of sockets: they come back as connections end.
    const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
    loop {
        let free = places.free().await;
        match listener.accept().await {
            Ok((socket, peer)) => match places.take(free, peer.ip()) {
                Some(place) => return (socket, peer, place),
                None => measures::connection_refused(),
            },
            Err(error) => {
                measures::accept_failed();
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

struct Connection<S> {
    service: S,
    peer: SocketAddr,
    door: Door,
    places: Places,
    protocol: Protocol,
    tasks: Tasks,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn serve(self, socket: TcpStream, shutdown: CancellationToken) {
        // Answers are small and each is written whole: waiting for more to send only costs time.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let Some(tls) = &self.door.tls else {
            return self.speak(Stream::plain(socket), shutdown).await;
        };
        let shaken = tokio::select! {
            shaken = tls.accept(socket, self.protocol) => shaken,
            () = shutdown.cancelled() => None,
        };
        if let Some(stream) = shaken {
            // Boxed: most of the connections that a flood brings never get here.
            Box::pin(self.speak(Stream::tls(stream), shutdown)).await;
        }
    }

    async fn speak(&self, stream: Stream, shutdown: CancellationToken) {
        match self.protocol {
            Protocol::Http1 => self.speak_http1(stream, shutdown).await,
            Protocol::Http2 => self.speak_http2(stream, shutdown).await,
        }
    }

    /// A request as the service gets it.
    fn dress(&self, request: Request<Incoming>) -> Request<Body> {
        let Door { limits, trusted_proxies, .. } = &self.door;
        let mut request = request.map(|body| Body::new(body, limits.body_pause_max, limits.body_within));
        let client = client_address(self.peer.ip(), request.headers(), trusted_proxies);
        request.extensions_mut().insert(ClientAddress(client));
        request
    }

    async fn speak_http1(&self, stream: Stream, shutdown: CancellationToken) {
        let Connection { service, door: Door { limits, .. }, places, .. } = self;
        let stage = Stage::default();
        let overrun = Overrun::new(stream.clone());
        let io = Paced::new(stream, stage.clone(), Some(overrun.clone()), limits);

        let answer = hyper::service::service_fn(|request: Request<Incoming>| {
            stage.request_begins();
            let mut request = self.dress(request);
            request.extensions_mut().insert(overrun.clone());
            let answered = service.clone().oneshot(request);
            let (stage, overrun) = (stage.clone(), overrun.clone());
            async move {
                let mut response = answered.await?;
                // When places are scarce nobody keeps one while idle.
                if places.are_scarce() {
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
        tell_of_end(ended);
    }
}

fn tell_of_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(causes = crate::causes(&error), "a connection ended badly");
    }
}
