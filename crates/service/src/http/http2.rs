//! What HTTP/2 needs besides: many requests of one connection at a time, each a task, and a connection that is silent between them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

use super::paced::{Paced, Stage};
use super::stream::Stream;
use super::{Body, Connection, tell_of_end};

/// Requests of one connection at a time. Exporters send one after the other, collectors a few at once.
const STREAMS_MAX: u32 = 100;
/// Bytes of a request's header fields, each counted with 32 bytes besides; more is answered 431. What gRPC's clients take themselves, twice.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Bytes that a connection, and a request, may send ahead of who reads them.
const WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of answers that wait for one connection: answers have a few hundred.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;
/// How often a client is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);

/// Tasks of a listener: connections and, in HTTP/2, their requests. The stop waits for all of them.
#[derive(Clone)]
pub(super) struct Tasks {
    pub(super) tracker: TaskTracker,
    /// Ends all of them.
    pub(super) abandon: CancellationToken,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let abandon = self.abandon.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                _ = task => {}
                () = abandon.cancelled() => {}
            }
        });
    }
}

/// How many requests of a connection are in hand, and since when it has been so. Cheap to clone.
#[derive(Clone)]
struct InHand(Arc<Mutex<(usize, Instant)>>);

/// A request in hand, until it is dropped.
struct OneInHand(InHand);

impl InHand {
    fn new() -> InHand {
        InHand(Arc::new(Mutex::new((0, Instant::now()))))
    }

    fn begin(&self) -> OneInHand {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        OneInHand(self.clone())
    }

    /// How long there has been none.
    fn idle(&self) -> Option<Duration> {
        let (count, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (count == 0).then(|| since.elapsed())
    }
}

impl Drop for OneInHand {
    fn drop(&mut self) {
        let InHand(in_hand) = &self.0;
        let mut in_hand = in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        *in_hand = (in_hand.0 - 1, Instant::now());
    }
}

impl<S, B> Connection<S>
where
    S: Service<http::Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) async fn speak_http2(&self, stream: Stream, shutdown: CancellationToken) {
        let limits = &self.door.limits;
        let in_hand = InHand::new();
        let io = Paced::new(stream, Stage::untimed(), None, limits);
        let answer = hyper::service::service_fn(|request: http::Request<Incoming>| {
            let one = in_hand.begin();
            let answered = self.service.clone().oneshot(self.dress(request));
            async move {
                let response = answered.await;
                drop(one);
                response
            }
        });
        let connection = http2::Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buf_size(ANSWERS_BYTES_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .serve_connection(io, answer);
        let mut connection = std::pin::pin!(connection);

        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = self.is_idle_too_long(&in_hand) => {
                connection.as_mut().graceful_shutdown();
                // Whoever does not take the farewell is not waited for.
                tokio::time::timeout(limits.head_within, connection).await.unwrap_or(Ok(()))
            }
        };
        tell_of_end(ended);
    }

    /// Waits until a connection has had no request for longer than it may: a client that has nothing to send, or one that never
    /// finishes a head. When places are scarce nobody keeps one while idle.
    async fn is_idle_too_long(&self, in_hand: &InHand) {
        let limits = &self.door.limits;
        let look_every = limits.head_within.min(limits.idle_within);
        loop {
            let idle_max = if self.places.are_scarce() { look_every } else { limits.idle_within };
            if in_hand.idle().is_some_and(|idle| idle >= idle_max) {
                return;
            }
            tokio::time::sleep(look_every).await;
        }
    }
}
