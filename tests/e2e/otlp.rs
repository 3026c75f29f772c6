//! OpenTelemetry's exporters by gRPC, and real ones whose requests are refused or whose answers are lost.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::captures::messages;
use tests::exporter::{Exporter, Loser, Way};
use tests::grpc::{Calls, framed};
use tests::installation::ALL_ROLES;
use tests::port::Port;
use tests::samples::KEY;
use tests::{Installation, wait_until};
use tonic::{Code, Status};

/// A notice is to be seen within this.
const SEEN_LIMIT: Duration = Duration::from_secs(20);

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// Most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An installation that exporters can send to in both ways.
async fn installed() -> (Installation, [Port; 2]) {
    let mut croak = Installation::new().await;
    let ports = [Port::free(), Port::free()];
    croak.settings.push(("CROAK_OTLP_LISTEN", ports[0].address().to_string()));
    croak.settings.push(("CROAK_OTLP_GRPC_LISTEN", ports[1].address().to_string()));
    (croak, ports)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exporters_sent_by_grpc_is_shown_as_they_meant_it() {
    let (mut croak, [_, grpc]) = installed().await;
    croak.start_all().await;
    let (api, calls) = (croak.api(), Calls::to(grpc.address()).await);
    let (mut faults, mut known, mut exceptions) = (Vec::new(), Vec::new(), 0);
    for capture in messages() {
        let path = capture.known["path"].as_str().expect("a path");
        let metadata: Vec<(&str, &str)> =
            capture.known["metadata"].as_array().expect("metadata").iter().map(pair).collect();
        let answer = calls.call(path, &metadata, framed(false, &capture.raw)).await;
        assert_eq!(answer.unwrap_or_else(|status| panic!("{}: {status}", capture.name)), b"", "nothing was refused");
        if !capture.carries_error() {
            continue;
        }
        let count =
            ["exception_events", "with_exception"].iter().find_map(|name| capture.known["observed"][name].as_u64());
        let count = usize::try_from(count.expect("how many exceptions")).expect("a few");
        exceptions += count;
        let shown = wait_until(&format!("{} is shown", capture.name), SEEN_LIMIT, async || {
            let all = api.all("/projects/1/notices").await;
            (all.len() >= exceptions).then_some(all)
        })
        .await;
        let new: Vec<String> = shown.iter().map(id).filter(|id| !known.contains(id)).collect();
        assert_eq!(new.len(), count, "{}", capture.name);
        for id in &new {
            let notice = api.read(&format!("/projects/1/notices/{id}")).await;
            faults.extend(capture.differences(&notice).into_iter().map(|fault| format!("{}: {fault}", capture.name)));
        }
        known.extend(new);
    }
    assert!(exceptions > 0, "there are captures");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Sent again, packed, all of it is known.
    for capture in messages() {
        let path = capture.known["path"].as_str().expect("a path");
        let metadata = [("grpc-encoding", "gzip"), ("x-sentry-auth", &format!("sentry sentry_key={KEY}"))];
        assert!(calls.call(path, &metadata, framed(true, &gzip(&capture.raw))).await.is_ok(), "{}", capture.name);
    }
    croak.gateway.as_mut().expect("it runs").stop().await;
    wait_until("the journal is handed over", SEEN_LIMIT, async || {
        (counted(&croak, "not_kept", "data_point").await > 0).then_some(())
    })
    .await;
    assert!(counted(&croak, "not_kept", "span").await > 0 && counted(&croak, "not_kept", "log_record").await > 0);
    assert_eq!(api.notice_count(1).await, i64::try_from(exceptions).expect("a few"));
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_by_grpc_is_told_so_that_it_is_sent_again_or_not() {
    let (mut croak, [http, grpc]) = installed().await;
    croak.start_all().await;
    let calls = Calls::to(grpc.address()).await;
    let good = framed(false, &exception("shop.Declined"));
    let key = [("x-croak-key", KEY)];
    let bearer = format!("Bearer {KEY}");
    let gzipped = [("x-croak-key", KEY), ("grpc-encoding", "gzip")];
    let bomb = framed(true, &gzip(&vec![0; MESSAGE_BYTES_MAX + 1]));
    assert!(bomb.len() < 64 * 1024);
    for (path, metadata, body, code) in [
        (TRACES, &[][..], good.clone(), Code::Unauthenticated),
        (TRACES, &[("x-croak-key", "00000000000000000000000000000000")], good.clone(), Code::Unauthenticated),
        (TRACES, &key, framed(false, b"\x0a\xffnonsense"), Code::InvalidArgument),
        (LOGS, &key, framed(false, b"\x0a\xffnonsense"), Code::InvalidArgument),
        (METRICS, &key, framed(false, b"\x0a\xffnonsense"), Code::InvalidArgument),
        (TRACES, &key, Vec::new(), Code::InvalidArgument),
        (TRACES, &key, good[..good.len() - 1].to_vec(), Code::InvalidArgument),
        (TRACES, &key, [good.clone(), good.clone()].concat(), Code::InvalidArgument),
        (TRACES, &gzipped, framed(true, b"no gzip"), Code::InvalidArgument),
        (TRACES, &key, framed(true, &gzip(b"")), Code::Unimplemented),
        (TRACES, &gzipped, bomb, Code::ResourceExhausted),
        (TRACES, &key, framed(false, &vec![0; MESSAGE_BYTES_MAX + 1]), Code::ResourceExhausted),
        (
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            &key,
            good.clone(),
            Code::Unimplemented,
        ),
    ] {
        let refused = calls.call(path, metadata, body).await.expect_err("it cannot be taken");
        assert_eq!(refused.code(), code, "{path} {metadata:?}: {refused:?}");
        assert_eq!(wait(&refused), None, "it is not to be sent again: {refused:?}");
        assert!(!refused.message().is_empty());
    }
    for metadata in [
        &[("authorization", bearer.as_str())][..],
        &[("x-airbrake-key", KEY)],
        &[("x-croak-key", KEY)],
        &[("x-sentry-auth", &format!("sentry sentry_key={KEY}"))],
    ] {
        assert_eq!(calls.call(TRACES, metadata, good.clone()).await.expect("it is taken"), b"", "{metadata:?}");
    }
    assert_eq!(calls.call(LOGS, &key, framed(false, b"")).await.expect("nothing is taken"), b"");
    // The other listener takes what the first one takes.
    let address = http.address();
    let request = tests::wire::request(
        "POST",
        "/v1/traces",
        &[("Content-Type", "application/x-protobuf"), ("x-croak-key", KEY)],
        &good[5..],
    );
    assert_eq!(tests::wire::exchange(address, &request).await.expect("an answer").status, 200);
    croak.drained(1, SEEN_LIMIT).await;
    let gateway = croak.gateway.as_mut().expect("it runs");
    gateway.stop().await;
    assert_eq!(croak.api().notice_count(1).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_a_full_gateway_refuses_sends_again_and_counts_once() {
    let exporter = exporter().await;
    let (mut croak, [http, grpc]) = installed().await;
    croak.settings.push(("CROAK_JOURNAL_BYTES_MAX", "65536".to_owned()));
    croak.start_all().await;
    croak.workers[0].stop().await;
    let calls = Calls::to(grpc.address()).await;
    let mut taken = 0;
    let refused = loop {
        match calls.call(TRACES, &[("x-croak-key", KEY)], framed(false, &exception(&format!("Filling{taken}")))).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 10_000, "65,536 bytes do not hold that many");
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(wait(&refused).is_some_and(|seconds| (1..=5).contains(&seconds)), "{refused:?}");

    let sending = [(Way::Http, http.address()), (Way::Grpc, grpc.address())].map(|(way, address)| {
        let exporter = exporter.clone();
        tokio::spawn(async move { exporter.export(way, address, KEY, &format!("Refused{way:?}")).await })
    });
    let refused_before = refused_count(&croak).await;
    wait_until("both exporters are refused", SEEN_LIMIT, async || {
        (refused_count(&croak).await >= refused_before + 2).then_some(())
    })
    .await;
    assert!(sending.iter().all(|sending| !sending.is_finished()), "they try again");
    croak.start_worker(ALL_ROLES).await;
    for sending in sending {
        let (is_taken, log) = sending.await.expect("no panic");
        assert!(is_taken, "{log}");
    }
    croak.drained(taken + 2, SEEN_LIMIT).await;
    assert_eq!(croak.api().notice_count(1).await, taken + 2);
    croak.croak(&["audit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_whose_answer_is_lost_sends_again_and_counts_once() {
    let exporter = exporter().await;
    let (mut croak, [http, grpc]) = installed().await;
    croak.start_all().await;
    for (way, address) in [(Way::Http, http.address()), (Way::Grpc, grpc.address())] {
        let before = accepted_count(&croak).await;
        let loser = Loser::before(address, way).await;
        let (is_taken, log) = exporter.export(way, loser.address, KEY, &format!("Lost{way:?}")).await;
        assert!(is_taken, "{way:?}: {log}");
        assert_eq!(accepted_count(&croak).await, before + 2, "{way:?}: it was taken, and taken again");
    }
    let gateway = croak.gateway.as_mut().expect("it runs");
    gateway.stop().await;
    croak.drained(2, SEEN_LIMIT).await;
    assert_eq!(croak.api().notice_count(1).await, 2);
    croak.croak(&["audit"]);
}

/// Connections of gRPC end in order: what is in hand is answered, and nobody waits for those that are idle.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_open_connections_of_grpc_stops_in_order() {
    let (mut croak, [_, grpc]) = installed().await;
    croak.start_all().await;
    let calls = Calls::to(grpc.address()).await;
    let body = framed(false, &exception("shop.Declined"));
    assert!(calls.call(TRACES, &[("x-croak-key", KEY)], body.clone()).await.is_ok());
    let took = croak.gateway.as_mut().expect("it runs").stop().await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(
        calls.call(TRACES, &[("x-croak-key", KEY)], body).await.expect_err("nobody is there").code(),
        Code::Unavailable
    );
}

async fn exporter() -> Exporter {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tokio::task::spawn_blocking(move || Exporter::installed(folder)).await.expect("it is installed")
}

fn id(notice: &Value) -> String {
    notice["id"].as_str().expect("a notice has an id").to_owned()
}

fn pair(pair: &Value) -> (&str, &str) {
    (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).expect("memory takes it");
    gzip.finish().expect("memory takes it")
}

/// A request with one span and one exception, in protobuf.
fn exception(class: &str) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        [out, bytes.to_vec()].concat()
    };
    let text = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat();
    let attributes = [text("exception.type", class), text("exception.message", "card declined")];
    let event = [field(2, b"exception"), field(3, &attributes[0]), field(3, &attributes[1])].concat();
    let span = [field(1, &[7; 16]), field(2, &[9; 8]), field(5, b"charge"), field(11, &event)].concat();
    field(1, &field(2, &field(2, &span)))
}

/// The seconds that a `RetryInfo` among the details of a status says to wait.
fn wait(status: &Status) -> Option<u8> {
    const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";
    let details = status.details();
    assert!(!details.is_empty(), "a refusal has a google.rpc.Status: {status:?}");
    let at = details.windows(RETRY_INFO.len()).position(|window| window == RETRY_INFO)?;
    // Any.value, RetryInfo.retry_delay, Duration.seconds, each with its length.
    let [0x12, 4, 0x0a, 2, 0x08, seconds] = details[at + RETRY_INFO.len()..] else {
        panic!("no RetryInfo: {details:?}")
    };
    assert!(status.metadata().get_bin("google.rpc.retryinfo-bin").is_some());
    Some(seconds)
}

/// What the ledger has of an ending and its reason.
async fn counted(croak: &Installation, ending: &str, reason: &str) -> i64 {
    let statement = "select coalesce(sum(record_count), 0)::bigint from ledger where ending = $1 and reason = $2";
    sqlx::query_scalar(statement)
        .bind(ending)
        .bind(reason)
        .fetch_one(&croak.pool())
        .await
        .expect("the ledger can be read")
}

async fn refused_count(croak: &Installation) -> u64 {
    figure(croak, "gateway_refused_total").await
}

async fn accepted_count(croak: &Installation) -> u64 {
    figure(croak, r#"gateway_accepted_total{kind="notice"}"#).await
}

/// The sum of a metric of the gateway.
async fn figure(croak: &Installation, name: &str) -> u64 {
    let address: SocketAddr = croak.gateway.as_ref().expect("it runs").admin_address();
    let page =
        reqwest::get(format!("http://{address}/metrics")).await.expect("an answer").text().await.expect("a page");
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}
