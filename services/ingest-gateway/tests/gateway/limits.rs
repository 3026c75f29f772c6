//! Whoever is too large, too slow or too many is stopped in time.

use std::io::Write;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::doors::{JSON_NOTICE, xml_notice};
use notice::SnapshotScrubbing;

use crate::harness::{KEY, LIMITED_KEY, Running, Setup, answer, exchange, ready, request, snapshot};

const XML_PATH: &str = "/notifier_api/v2/notices";

async fn still_takes_notices(gateway: &Running) {
    assert_eq!(gateway.send("POST", XML_PATH, &[], xml_notice().as_bytes()).await.status, 200);
}

/// What a bomb unpacks to: more than all bodies in flight may take together.
const BOMB_BYTES: usize = 64 << 20;

/// A bomb for each encoding, made without ever having in memory what it unpacks to.
fn bombs() -> [(&'static str, Vec<u8>); 4] {
    const PIECE: &[u8] = &[b' '; 1 << 20];
    let fill = |into: &mut dyn Write| (0..BOMB_BYTES / PIECE.len()).for_each(|_| into.write_all(PIECE).unwrap());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let mut br = brotli::CompressorWriter::new(Vec::new(), 4_096, 1, 22);
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    fill(&mut gzip);
    fill(&mut deflate);
    fill(&mut br);
    fill(&mut zstd);
    [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
        ("br", br.into_inner()),
        ("zstd", zstd.finish().unwrap()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_every_kind_are_refused_in_bounded_memory() {
    let gateway = ready(&[]).await;
    let target = format!("/api/v3/projects/1/notices?key={KEY}");
    for (encoding, bomb) in bombs() {
        assert!(bomb.len() < 4 << 20, "{encoding}: {} bytes are refused before they are unpacked", bomb.len());
        let before = memory_peak_bytes();
        let answer = gateway.send("POST", &target, &[("Content-Encoding", encoding)], &bomb).await;
        assert_eq!(answer.status, 413, "{encoding}: {answer:?}");
        let grown = memory_peak_bytes() - before;
        assert!(grown < BOMB_BYTES, "{encoding}: {grown} bytes");
    }
    still_takes_notices(&gateway).await;
    gateway.stop().await;
}

/// The most memory that this process ever had in use.
fn memory_peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_still_reads_the_answer() {
    let gateway = ready(&[]).await;
    let too_large = gateway.send("POST", XML_PATH, &[], &vec![b'x'; 9 << 20]).await;
    assert_eq!(too_large.status, 413);
    assert!(too_large.body.contains("<errors>"));
    let announced = format!("POST {XML_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n");
    assert_eq!(exchange(gateway.address, announced.as_bytes()).await.status, 413);
    still_takes_notices(&gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_client_is_told_before_it_sends() {
    let gateway = ready(&[]).await;
    let xml = xml_notice();
    let head = |length: usize| {
        format!("POST {XML_PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };

    let mut polite = TcpStream::connect(gateway.address).await.unwrap();
    polite.write_all(head(xml.len()).as_bytes()).await.unwrap();
    assert_eq!(answer(&mut polite).await.unwrap().status, 100);
    polite.write_all(xml.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut polite).await.unwrap().status, 200);

    let mut too_large = TcpStream::connect(gateway.address).await.unwrap();
    too_large.write_all(head(1 << 31).as_bytes()).await.unwrap();
    assert_eq!(answer(&mut too_large).await.unwrap().status, 413);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_are_let_go_and_patient_ones_kept() {
    let gateway = ready(&["--head-within-ms", "300", "--body-pause-max-ms", "300", "--body-within-ms", "900"]).await;
    let connect = async || TcpStream::connect(gateway.address).await.unwrap();
    let began = Instant::now();

    let mut silent = connect().await;
    assert!(answer(&mut silent).await.is_none());
    let mut slow_head = connect().await;
    slow_head.write_all(b"POST /notifier_api/v2/notices HTTP/1.1\r\nX-Slow: ").await.unwrap();
    assert!(answer(&mut slow_head).await.is_none());
    let mut no_body = connect().await;
    no_body
        .write_all(b"POST /notifier_api/v2/notices HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<a")
        .await
        .unwrap();
    assert_eq!(answer(&mut no_body).await.unwrap().status, 408);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    let (mut reading, mut dripping) = connect().await.into_split();
    dripping
        .write_all(b"POST /notifier_api/v2/notices HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
        .await
        .unwrap();
    let drip = tokio::spawn(async move {
        while dripping.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut refused = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut refused).await;
    assert!(refused.starts_with("HTTP/1.1 408 "), "{refused}");
    drip.abort();

    // What is long and comes steadily, as on a slow line, has more time.
    let steady = xml_notice().replace("card declined", &"no funds ".repeat(15_000));
    let mut slow_line = connect().await;
    let head = format!("POST {XML_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", steady.len());
    slow_line.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    for piece in steady.as_bytes().chunks(steady.len() / 14) {
        slow_line.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(answer(&mut slow_line).await.unwrap().status, 200);
    assert!(began.elapsed() > Duration::from_millis(1_200), "longer than the time for a whole body");

    // Between two requests a connection may rest for longer than a head may take.
    let mut patient = connect().await;
    for _ in 0..2 {
        patient.write_all(&request("POST", XML_PATH, &[], xml_notice().as_bytes())).await.unwrap();
        assert_eq!(answer(&mut patient).await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    patient.write_all(b"POST /notifier_api/v2/notices HTTP/1.1\r\n").await.unwrap();
    assert!(answer(&mut patient).await.is_none(), "but a head that has begun has its limit");
    gateway.stop().await;
}

/// One of the worst patterns that a project can have: what a search costs for each letter grows with its length.
const WORST_PATTERN: &str = "a[ab]{2900}[^ab]";

#[tokio::test(flavor = "multi_thread")]
async fn a_projects_slow_patterns_cost_no_other_project_its_turn() {
    let setup = Setup::new(&[]);
    let mut snapshot = snapshot();
    let patterns = vec![WORST_PATTERN.to_owned()];
    snapshot.projects[0].scrubbing = Some(SnapshotScrubbing { patterns, fields: Vec::new(), ip: String::new() });
    setup.publish(&snapshot).await;
    let gateway = setup.start().await;
    gateway.becomes_ready().await;
    let mut noise = 1_u64;
    let text: String = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if noise >> 40 & 1 == 0 { 'a' } else { 'b' }
    })
    .take(3_000)
    .collect();
    let slow = format!("/api/v3/projects/1/notices?key={KEY}");
    let slow = request("POST", &slow, &[], JSON_NOTICE.replace("card declined", &text).as_bytes());
    let sent: Vec<_> = (0..8)
        .map(|_| {
            let slow = slow.clone();
            tokio::spawn(async move { exchange(gateway.address, &slow).await.status })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let other = format!("/api/v3/projects/3/notices?key={LIMITED_KEY}");
    assert_eq!(gateway.send("POST", &other, &[], JSON_NOTICE.as_bytes()).await.status, 201);
    let waiting = sent.iter().filter(|answer| !answer.is_finished()).count();
    assert!(waiting >= 4, "{waiting} of 8 still wait when another project's notice is answered");
    for answer in sent {
        assert_eq!(answer.await.unwrap(), 201);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_long_is_refused() {
    let gateway = ready(&[]).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(exchange(gateway.address, long.as_bytes()).await.status, 431);
    let many: String = (0..2_000).map(|number| format!("X-{number}: v\r\n")).collect();
    assert_eq!(exchange(gateway.address, format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).await.status, 431);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let gateway = ready(&["--connections-max", "2"]).await;
    let target = format!("/api/v3/projects/1/notices?key={KEY}");
    let post = request("POST", &target, &[], JSON_NOTICE.as_bytes());
    let many = (0..20).map(|_| {
        let post = post.clone();
        tokio::spawn(async move { exchange(gateway.address, &post).await.status })
    });
    for answered in many.collect::<Vec<_>>() {
        assert_eq!(answered.await.unwrap(), 201);
    }
    gateway.stop().await;
}
