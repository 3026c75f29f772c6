//! The listener as clients of all manners meet it, in plain and over TLS.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the other tests of the listener, which use all of it")]
mod listening;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use listening::{Client, Files, LIMIT, Listening, all_that_comes, get};
use service::http::{Door, HttpLimits, Tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// Limits that a test can wait for.
const IMPATIENT: HttpLimits = HttpLimits {
    connections_max: 64,
    connections_per_address_max: 64,
    head_bytes_max: 8 * 1024,
    head_within: Duration::from_millis(400),
    idle_within: Duration::from_millis(400),
    body_pause_max: Duration::from_millis(400),
    body_within: Duration::from_millis(800),
    answer_pause_max: Duration::from_millis(400),
    stop_within: Duration::from_secs(1),
};
/// What is closed on time is closed by then, also on a machine that is busy.
const ON_TIME: Duration = Duration::from_secs(4);

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_http_1_1_inside() {
    let (files, certificate) = Files::until(2040);
    let listening = Listening::start(files.door()).await;
    for version in [&TLS12, &TLS13] {
        let client = Client { versions: vec![version], ..Client::trusting(&certificate) };
        let stream = client.connect(listening.address).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = all_that_comes(stream, &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("127.0.0.1 0"), "{answer}");
    }
    let only_http_2 = Client { protocols: &["h2"], ..Client::trusting(&certificate) };
    assert!(only_http_2.connect(listening.address).await.is_err(), "nobody is left in doubt about the protocol");
}

#[tokio::test]
async fn what_is_no_handshake_is_closed_and_the_next_one_served() {
    let (files, certificate) = Files::until(2040);
    let listening = Listening::start(files.door()).await;
    let told = all_that_comes(listening.connect().await, &get("/")).await;
    assert!(!told.contains("HTTP/"), "plain HTTP is not answered: {told:?}");
    let served = Client::trusting(&certificate).connect(listening.address).await.unwrap();
    assert!(all_that_comes(served, &get("/")).await.contains("200 OK"));
    assert_eq!(listening.requests.load(Ordering::Relaxed), 1);
    let page = service::measure::recorder().render();
    assert!(page.contains(r#"service_tls_handshake_failures_total{reason="refused"}"#), "{page}");
}

#[tokio::test]
async fn who_is_silent_in_the_handshake_is_let_go() {
    let (files, _) = Files::until(2040);
    let listening = Listening::start(files.door()).await;
    let began = Instant::now();
    // Nothing at all, and the beginning of a record that never ends.
    let (nothing, little) = tokio::join!(async { all_that_comes(listening.connect().await, b"").await }, async {
        all_that_comes(listening.connect().await, b"\x16\x03\x01\x02\x00\x01").await
    });
    assert_eq!((nothing.as_str(), little.as_str()), ("", ""));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let page = service::measure::recorder().render();
    assert!(page.contains(r#"service_tls_handshake_failures_total{reason="timed_out"}"#), "{page}");
}

/// Whoever is slow in any of the known ways; each is let go on time.
async fn slow_ones_are_let_go<C, F>(connect: impl Fn() -> F)
where
    C: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = C>,
{
    let began = Instant::now();
    assert_eq!(all_that_comes(connect().await, b"").await, "", "silent");
    assert_eq!(all_that_comes(connect().await, b"GET / HTTP/1.1\r\nX-Slow: ").await, "", "half a head");
    let half_a_body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab";
    assert!(all_that_comes(connect().await, half_a_body).await.starts_with("HTTP/1.1 408 "), "half a body");
    assert!(began.elapsed() < ON_TIME, "{:?}", began.elapsed());

    for head in ["GET / HTTP/1.1\r\nX-Slow: ", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"] {
        let (mut reading, mut dripping) = tokio::io::split(connect().await);
        let began = Instant::now();
        let drip = async {
            let _ = dripping.write_all(head.as_bytes()).await;
            while dripping.write_all(b"x").await.is_ok() && dripping.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut read = Vec::new();
        tokio::select! {
            () = drip => {}
            _ = reading.read_to_end(&mut read) => {}
        }
        assert!(began.elapsed() < ON_TIME, "a byte at a time: {:?}", began.elapsed());
    }

    let mut deaf = connect().await;
    deaf.write_all(&get("/big")).await.unwrap();
    deaf.flush().await.unwrap();
    tokio::time::sleep(IMPATIENT.answer_pause_max * 4).await;
    let mut read = Vec::new();
    let _ = tokio::time::timeout(LIMIT, deaf.read_to_end(&mut read)).await.expect("it ends in time");
    assert!(read.len() < 64 << 20, "whoever does not read the answer is not waited for");
}

#[tokio::test]
async fn whoever_is_slow_is_let_go_on_time() {
    let listening = Listening::start(Door { limits: IMPATIENT, ..Door::default() }).await;
    slow_ones_are_let_go(|| listening.connect()).await;
}

#[tokio::test]
async fn whoever_is_slow_over_tls_is_let_go_on_time() {
    let (files, certificate) = Files::until(2040);
    let listening = Listening::start(Door { limits: IMPATIENT, ..files.door() }).await;
    let client = Client::trusting(&certificate);
    slow_ones_are_let_go(async || client.connect(listening.address).await.unwrap()).await;
}

#[tokio::test]
async fn what_came_after_a_body_is_found_over_tls_as_well() {
    let (files, certificate) = Files::until(2040);
    let listening = Listening::start(files.door()).await;
    let mut stream = Client::trusting(&certificate).connect(listening.address).await.unwrap();
    stream
        .write_all(b"POST /overrun HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcdef")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let answer = all_that_comes(stream, b"gh!").await;
    assert!(answer.ends_with("abcdefgh!"), "{answer}");
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let limits = HttpLimits { connections_per_address_max: 2, idle_within: LIMIT, head_within: LIMIT, ..IMPATIENT };
    let listening = Listening::start(Door { limits, ..Door::default() }).await;
    let (first, mut second) = (listening.connect().await, listening.connect().await);
    assert_eq!(all_that_comes(listening.connect().await, b"").await, "", "the third is closed at once");
    second.write_all(&get("/")).await.unwrap();
    assert!(all_that_comes(second, b"").await.contains("200 OK"), "those that are there go on");
    drop(first);
    let answered = async {
        loop {
            let mut again = listening.connect().await;
            let (_, mut read) = (again.write_all(&get("/")).await, String::new());
            if again.read_to_string(&mut read).await.is_ok_and(|count| count > 0) {
                return read;
            }
        }
    };
    assert!(tokio::time::timeout(LIMIT, answered).await.unwrap().contains("200 OK"), "a place comes back");
    assert!(service::measure::recorder().render().contains("service_connections_refused_total"));
}

#[tokio::test]
async fn a_trusted_proxy_has_no_such_limit_and_is_believed() {
    let limits = HttpLimits { connections_per_address_max: 1, ..IMPATIENT };
    let trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into();
    let listening = Listening::start(Door { limits, trusted_proxies, tls: None }).await;
    let _held = (listening.connect().await, listening.connect().await);
    let forwarded = b"GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n";
    assert!(all_that_comes(listening.connect().await, forwarded).await.ends_with("203.0.113.7 0"));

    let without = Listening::start(Door { limits: IMPATIENT, ..Door::default() }).await;
    assert!(all_that_comes(without.connect().await, forwarded).await.ends_with("127.0.0.1 0"));
}

#[tokio::test]
async fn no_request_is_smuggled_inside_another() {
    const INSIDE: &str = "GET /inside HTTP/1.1\r\nHost: x\r\n\r\n";
    let listening = Listening::start(Door { limits: IMPATIENT, ..Door::default() }).await;
    for (headers, status) in [
        // What ends the body is in doubt: refused.
        ("Content-Length: 0\r\nContent-Length: 35\r\n", 400),
        ("Content-Length: 0, 35\r\n", 400),
        ("Content-Length: +0\r\n", 400),
        ("Content-Length: 0x0\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("X: y\r\n\tz\r\n", 400),
        // Both lengths: the chunks hold, as RFC 9112 (6.1) has it, and nothing follows on the connection.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 200),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 200),
    ] {
        let before = listening.requests.load(Ordering::Relaxed);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n{INSIDE}");
        let answers = all_that_comes(listening.connect().await, request.as_bytes()).await;
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {answers}");
        let reached = listening.requests.load(Ordering::Relaxed) - before;
        assert_eq!(reached, usize::from(status == 200), "{headers:?}");
    }
}

#[test]
fn files_that_cannot_be_used_are_told_with_what_would_be_right() {
    let (files, _) = Files::until(2040);
    let (other, _) = Files::until(2040);
    let told = |certificate: &std::path::Path, key: &std::path::Path| {
        service::causes(&Tls::read(certificate, key).err().unwrap())
    };
    let missing = files.certificate().with_file_name("missing.pem");
    assert!(told(&missing, &files.key()).contains("missing.pem: No such file"), "{}", told(&missing, &files.key()));
    assert!(told(&files.key(), &files.key()).contains("holds no certificate: it must be PEM"));
    assert!(told(&files.certificate(), &files.certificate()).contains("holds no private key: it must be PEM"));
    assert!(told(&files.certificate(), &other.key()).contains("the key must be that of the first certificate"));
}
