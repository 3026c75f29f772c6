//! The listener of HTTP/2 as clients of all manners meet it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the other tests of the listener, which use all of it")]
mod listening;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use listening::{Client, Files, LIMIT, Listening, all_that_comes, get};
use service::http::{Door, HttpLimits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Limits that a test can wait for.
const IMPATIENT: HttpLimits = HttpLimits {
    connections_max: 64,
    connections_per_address_max: 64,
    head_bytes_max: 8 * 1024,
    head_within: Duration::from_millis(200),
    idle_within: Duration::from_millis(400),
    body_pause_max: Duration::from_millis(400),
    body_within: Duration::from_millis(800),
    answer_pause_max: Duration::from_millis(400),
    stop_within: Duration::from_secs(1),
};
/// What is closed on time is closed by then, also on a machine that is busy.
const ON_TIME: Duration = Duration::from_secs(4);

/// How a client begins, with settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// A head that goes on in another frame.
const HALF_A_HEAD: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x82";

fn impatient() -> Door {
    Door { limits: IMPATIENT, ..Door::default() }
}

type Sender<B> = http2::SendRequest<B>;

async fn client<B>(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Sender<B>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A body of one piece that never ends.
struct Still(Option<Bytes>);

impl http_body::Body for Still {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}

fn posted<B>(body: B) -> Request<B> {
    Request::post("http://x/").body(body).unwrap()
}

async fn text(answer: hyper::Response<Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http_2_is_agreed_on_in_the_handshake_and_nothing_else_is() {
    let (files, certificate) = Files::until(2040);
    let listening = Listening::start_http2(files.door()).await;
    let of_http2 = Client { protocols: &["h2"], ..Client::trusting(&certificate) };
    let stream = of_http2.connect(listening.address).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = client(stream).await;
    let answer = sender.send_request(posted(Full::new(Bytes::from_static(b"four")))).await.unwrap();
    assert_eq!(text(answer).await, "127.0.0.1 4");
    let of_http1 = Client { protocols: &["http/1.1"], ..Client::trusting(&certificate) };
    assert!(of_http1.connect(listening.address).await.is_err(), "nobody is left in doubt about the protocol");
}

#[tokio::test]
async fn requests_of_one_connection_are_served_side_by_side() {
    let listening = Listening::start_http2(Door::default()).await;
    let sender = client(listening.connect().await).await;
    let answers = (0..50).map(|count| {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            text(sender.send_request(posted(Full::new(Bytes::from(vec![b'x'; count * 1_000])))).await.unwrap()).await
        })
    });
    for (count, answer) in answers.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(answer.await.unwrap(), format!("127.0.0.1 {}", count * 1_000));
    }
}

#[tokio::test]
async fn who_is_silent_or_never_ends_a_head_is_let_go() {
    let listening = Listening::start_http2(impatient()).await;
    for sent in [&b""[..], PREFACE, &[PREFACE, HALF_A_HEAD].concat()] {
        let began = Instant::now();
        all_that_comes(listening.connect().await, sent).await;
        assert!(began.elapsed() < ON_TIME, "{sent:?}: {:?}", began.elapsed());
    }
    let began = Instant::now();
    let told = all_that_comes(listening.connect().await, &get("/")).await;
    assert!(!told.contains("HTTP/1.1 200") && began.elapsed() < ON_TIME, "HTTP/1.1 is not answered: {told:?}");
    assert_eq!(listening.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_connection_in_use_outlives_the_limit_of_those_that_are_not() {
    // Long enough for a machine that is slow to wake up, and shorter than all pauses together.
    let limits = HttpLimits { idle_within: Duration::from_secs(1), ..IMPATIENT };
    let listening = Listening::start_http2(Door { limits, ..Door::default() }).await;
    let mut sender = client(listening.connect().await).await;
    for _ in 0..5 {
        let answer = sender.send_request(posted(Full::new(Bytes::from_static(b"four")))).await.unwrap();
        assert_eq!(text(answer).await, "127.0.0.1 4");
        tokio::time::sleep(limits.idle_within / 4).await;
    }
    let closed = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(ON_TIME, closed).await.expect("and then it ends");
}

#[tokio::test]
async fn a_body_that_stands_still_is_not_waited_for() {
    let listening = Listening::start_http2(impatient()).await;
    let mut sender = client(listening.connect().await).await;
    let body = Still(Some(Bytes::from_static(b"some")));
    let answered = tokio::time::timeout(ON_TIME, sender.send_request(posted(body))).await.expect("in time");
    assert_ne!(answered.unwrap().status(), 200);
}

#[tokio::test]
async fn who_does_not_read_what_is_answered_is_let_go() {
    let listening = Listening::start_http2(impatient()).await;
    let mut connection = listening.connect().await;
    // Pings without end, and nothing read: they are answered until no buffer takes any more.
    connection.write_all(PREFACE).await.unwrap();
    let ping = b"\0\0\x08\x06\0\0\0\0\0pingping".repeat(4_096);
    let writing = async { while connection.write_all(&ping).await.is_ok() {} };
    tokio::time::timeout(LIMIT, writing).await.expect("it ends");
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, connection.read_to_end(&mut rest)).await.expect("it has ended");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let listening = Listening::start_http2(Door::default()).await;
    let mut sender = client(listening.connect().await).await;
    assert!(sender.send_request(posted(Full::new(Bytes::new()))).await.is_ok());
    listening.stop();
    let closed = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(ON_TIME, closed).await.expect("it ends in time");
}
