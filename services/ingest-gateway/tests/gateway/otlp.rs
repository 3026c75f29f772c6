//! OpenTelemetry's doors: what exporters send and are told.

use std::io::Write;
use std::path::Path;

use journal::{Kind, Record};
use notice::{Ledger, Notice, ledger_line::Ending};

use crate::harness::{Answer, DISABLED_KEY, KEY, LIMITED_KEY, body, exchange, of_kind, ready, request};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const TRACES: &str = "/v1/traces";

/// A request with one span and so many exceptions in it.
fn traces(exceptions: usize) -> String {
    let event = |n: usize| {
        format!(
            r#"{{"timeUnixNano":"1795316388000000000","name":"exception","attributes":[{{"key":"exception.type","value":{{"stringValue":"shop.Declined{n}"}}}},{{"key":"exception.message","value":{{"stringValue":"card declined"}}}}]}}"#
        )
    };
    let events: Vec<String> = (0..exceptions).map(event).collect();
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"deployment.environment.name","value":{{"stringValue":"production"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"charge","events":[{}]}}]}}]}}]}}"#,
        events.join(",")
    )
}

fn told(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn notices(records: &[Record]) -> Vec<Notice> {
    of_kind(records, Kind::Notice).into_iter().map(body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_show_a_key_opens_the_doors_and_a_resend_has_the_same_name() {
    let gateway = ready(&[]).await;
    let bearer = format!("Bearer {KEY}");
    let sentry = format!("sentry sentry_key={KEY}");
    for (target, header, key) in [
        (TRACES, "Authorization", bearer.as_str()),
        (TRACES, "x-airbrake-key", KEY),
        (TRACES, "x-croak-key", KEY),
        (TRACES, "x-sentry-auth", sentry.as_str()),
        ("/api/1/integration/otlp/v1/traces", "x-sentry-auth", &sentry),
    ] {
        let headers = [("Content-Type", JSON), (header, key)];
        let answer = gateway.send("POST", target, &headers, traces(2).as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"), "{header}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some(JSON));
    }
    let notices = notices(&gateway.stop().await);
    assert_eq!(notices.len(), 10);
    let names: std::collections::BTreeSet<_> = notices.iter().map(|notice| notice.client_id.clone()).collect();
    assert_eq!(names.len(), 2, "what is sent again is counted once by the worker");
    assert_eq!(notices[0].errors[0].message.as_deref(), Some("card declined"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_exporters_has_the_same_doors() {
    let gateway = ready(&[]).await;
    let headers = [("Content-Type", JSON), ("x-croak-key", KEY)];
    let exported = exchange(gateway.otlp, &request("POST", TRACES, &headers, traces(1).as_bytes())).await;
    assert_eq!((exported.status, exported.body.as_str()), (200, "{}"), "{exported:?}");
    assert_eq!(exchange(gateway.otlp, &request("GET", "/up", &[], b"")).await.status, 200);
    assert_eq!(notices(&gateway.stop().await).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_is_answered_in_protobuf_packed_or_not() {
    let gateway = ready(&["--ledger-every-ms", "100"]).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/py-otel-grpc-1.45.1/007.bin");
    let message = std::fs::read(fixture).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message).unwrap();
    let gzip = gzip.finish().unwrap();
    for (encoding, body) in [("", &message), ("gzip", &gzip)] {
        let headers = [("Content-Type", PROTOBUF), ("Content-Encoding", encoding), ("x-croak-key", KEY)];
        let answer = gateway.send("POST", "/v1/logs", &headers, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(PROTOBUF));
    }
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":[{},{}]}}]}]}]}"#;
    let headers = [("Content-Type", JSON), ("x-croak-key", KEY)];
    assert_eq!(gateway.send("POST", "/v1/metrics", &headers, metrics.as_bytes()).await.status, 200);
    assert_eq!(gateway.send("POST", "/v1/logs", &headers, b"{}").await.status, 200);
    let records = gateway.stop().await;
    assert_eq!(notices(&records).len(), 2);
    let lines: Vec<_> =
        of_kind(&records, Kind::Ledger).into_iter().flat_map(|record| body::<Ledger>(record).lines).collect();
    let count = |reason: &str| {
        let named = lines.iter().filter(|line| line.ending() == Ending::NotKept && line.reason == reason);
        named.map(|line| line.count).sum::<u64>()
    };
    assert_eq!((count("log_record"), count("data_point")), (6, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_told_so_that_it_is_sent_again_or_not() {
    let gateway = ready(&[]).await;
    let good = traces(1);
    for (kind, key, body, status, code) in [
        (JSON, "", good.as_str(), 401, 16),
        (JSON, "00000000000000000000000000000000", &good, 403, 16),
        (JSON, DISABLED_KEY, &good, 403, 7),
        (JSON, KEY, "{broken", 400, 3),
        (JSON, KEY, "", 400, 3),
    ] {
        let answer =
            gateway.send("POST", TRACES, &[("Content-Type", kind), ("x-croak-key", key)], body.as_bytes()).await;
        assert_eq!((answer.status, &told(&answer)["code"]), (status, &code.into()), "{answer:?}");
        assert!(!told(&answer)["message"].as_str().unwrap().is_empty());
    }
    let text = [("Content-Type", "text/plain"), ("x-croak-key", KEY)];
    assert_eq!(gateway.send("POST", TRACES, &text, good.as_bytes()).await.status, 415);
    // A project may have two notices a minute. Three in one request would never be taken else: they are, and paid off.
    let headers = [("Content-Type", JSON), ("x-croak-key", LIMITED_KEY)];
    assert_eq!(gateway.send("POST", TRACES, &headers, traces(3).as_bytes()).await.status, 200);
    let answer = gateway.send("POST", TRACES, &headers, traces(1).as_bytes()).await;
    assert_eq!((answer.status, &told(&answer)["code"]), (429, &8.into()), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(notices(&gateway.stop().await).len(), 3);
}
