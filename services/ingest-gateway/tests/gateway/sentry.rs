//! Sentry's doors: what each takes, what it answers, and what is on the disk then.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use journal::{Kind, Record};
use notice::{Ledger, Notice, Stats, ledger_line::Ending};

use crate::harness::{Answer, DISABLED_KEY, KEY, LIMITED_KEY, body, exchange, of_kind, ready, request};

const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";
const EVENT: &str = r#"{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","timestamp":1795316388.5,"platform":"python","exception":{"values":[{"type":"Declined","value":"card declined","stacktrace":{"frames":[{"filename":"app/cart.py","function":"charge","lineno":18}]}}]}}"#;
/// What a client wrote where there were no items of this kind yet.
const TRANSACTION: &str = r#"{"type":"transaction","event_id":"fc6d8c0c43fc4630ad850ee518f1b9d1","timestamp":1795316388.5,"start_timestamp":1795316388.1,"transaction":"job"}"#;
const ENVELOPE: &str = "/api/1/envelope/";

fn auth(key: &str) -> String {
    format!("Sentry sentry_key={key}, sentry_version=7, sentry_client=test/1")
}

/// An envelope of this head and these items.
fn envelope(head: &str, items: &[(&str, &str)]) -> String {
    let items: String = items.iter().map(|(head, payload)| format!("{head}\n{payload}\n")).collect();
    format!("{head}\n{items}")
}

fn event_envelope() -> String {
    envelope(&format!(r#"{{"event_id":"{ID}"}}"#), &[(r#"{"type":"event"}"#, EVENT)])
}

fn told(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn notices(records: &[Record]) -> Vec<Notice> {
    of_kind(records, Kind::Notice).into_iter().map(body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_show_a_key_opens_the_door() {
    let gateway = ready(&[]).await;
    let in_query = format!("{ENVELOPE}?sentry_version=7&sentry_key={KEY}&sentry_client=x");
    let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
    let plain = event_envelope();
    let with_dsn = plain.replacen('{', &format!(r#"{{"dsn":"https://{KEY}@sentry.test/1","#), 1);
    let slug = format!("/api/shop-frontend/envelope/?sentry_key={KEY}");
    for (target, header, envelope) in [
        (ENVELOPE, ("X-Sentry-Auth", auth(KEY)), &plain),
        ("/api/1/envelope", ("authorization", auth(KEY)), &plain),
        (ENVELOPE, ("Authorization", basic), &plain),
        (&in_query, ("Content-Type", "text/plain;charset=UTF-8".to_owned()), &plain),
        (ENVELOPE, ("Content-Encoding", String::new()), &with_dsn),
        // What a site's own proxy or a browser adds is not the key.
        (ENVELOPE, ("Authorization", "Bearer of-somebody-else".to_owned()), &with_dsn),
        (&in_query, ("Authorization", "Basic c2l0ZTpwYXNzd29yZA==".to_owned()), &plain),
        (&slug, ("Content-Encoding", String::new()), &plain),
    ] {
        let answer = gateway.send("POST", target, &[(header.0, &header.1)], envelope.as_bytes()).await;
        assert_eq!(answer.status, 200, "{target} {header:?}: {answer:?}");
        assert_eq!(told(&answer)["id"], ID);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let notices = notices(&gateway.stop().await);
    assert_eq!(notices.len(), 8);
    assert!(notices.iter().all(|notice| notice.client_id.as_deref() == Some(ID)));
    assert_eq!(notices[0].errors[0].class.as_deref(), Some("Declined"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_envelope_is_taken_or_counted() {
    let gateway = ready(&["--ledger-every-ms", "100"]).await;
    let report = r#"{"discarded_events":[{"reason":"ratelimit_backoff","category":"error","quantity":7}]}"#;
    let attached = r#"{"type":"attachment","length":5,"filename":"a.txt"}"#;
    let written = format!(r#"{{"event_id":"{ID}","name":"Ann","email":"a@b.test","comments":"It broke."}}"#);
    let whole = envelope(
        &format!(r#"{{"event_id":"{ID}"}}"#),
        &[
            (r#"{"type":"session"}"#, r#"{"sid":"1"}"#),
            (r#"{"type":"client_report"}"#, report),
            (r#"{"type":"event"}"#, EVENT),
            (attached, "a\nb\nc"),
            (r#"{"type":"user_report"}"#, &written),
            (r#"{"type":"what_comes_next_year"}"#, "?"),
            (r#"{"type":"event"}"#, TRANSACTION),
        ],
    );
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], whole.as_bytes()).await;
    assert_eq!((answer.status, &told(&answer)["id"]), (200, &ID.into()));
    // Without an event there is no id, and an empty envelope is one.
    for items in [&[(r#"{"type":"session"}"#, "{}")][..], &[]] {
        let answer =
            gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], envelope("{}", items).as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
    let answer = gateway.send("POST", "/api/1/store/", &[("X-Sentry-Auth", &auth(KEY))], TRANSACTION.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    let records = gateway.stop().await;
    assert_eq!(notices(&records).len(), 1);
    let [feedback] = of_kind(&records, Kind::Stats)[..] else { panic!("one feedback") };
    let feedback: Stats = body(feedback);
    assert_eq!(feedback.kind, "feedback");
    assert!(feedback.json.contains("It broke."), "{}", feedback.json);

    let lines: Vec<_> =
        of_kind(&records, Kind::Ledger).into_iter().flat_map(|record| body::<Ledger>(record).lines).collect();
    let count = |ending: Ending, reason: &str| {
        let named = lines.iter().filter(|line| line.ending() == ending && line.reason == reason);
        named.map(|line| line.count).sum::<u64>()
    };
    assert_eq!(count(Ending::LostInClient, "ratelimit_backoff"), 7);
    assert_eq!(count(Ending::NotKept, "session"), 2);
    assert_eq!(count(Ending::NotKept, "other"), 1);
    assert_eq!(count(Ending::NotKept, "transaction"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_may_come_with_all_that_an_event_has() {
    let gateway = ready(&[]).await;
    let crumbs = vec![r#"{"message":"clicked on a button of the page"}"#; 8_000].join(",");
    let written = format!(
        r#"{{"breadcrumbs":[{crumbs}],"contexts":{{"feedback":{{"message":"It froze.","associated_event_id":"{ID}"}}}}}}"#
    );
    assert!(written.len() > 300_000 && written.len() < 1 << 20);
    let whole = envelope(&format!(r#"{{"event_id":"{ID}"}}"#), &[(r#"{"type":"feedback"}"#, &written)]);
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], whole.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let long = format!(r#"{{"contexts":{{"feedback":{{"message":"{}"}}}}}}"#, "a".repeat(1 << 20));
    let whole = envelope(&format!(r#"{{"event_id":"{ID}"}}"#), &[(r#"{"type":"feedback"}"#, &long)]);
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], whole.as_bytes()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let records = gateway.stop().await;
    let [feedback] = of_kind(&records, Kind::Stats)[..] else { panic!("one feedback") };
    assert!(body::<Stats>(feedback).json.contains("It froze."));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_these_clients_look_for() {
    let gateway = ready(&[]).await;
    let good = event_envelope();
    let key = auth(KEY);
    let in_query = format!("{ENVELOPE}?sentry_key={DISABLED_KEY}");
    let huge = format!(r#"{{"message":"{}"}}"#, "x".repeat(1024 * 1024));
    let huge = envelope("{}", &[(r#"{"type":"event"}"#, huge.as_str())]);
    let not_json = envelope("{}", &[(r#"{"type":"event"}"#, "{broken")]);
    let bad_id = good.replacen(ID, "no-id", 1);
    for (target, key, body, status, reason) in [
        (ENVELOPE, None, good.as_str(), 401, "key is missing"),
        (in_query.as_str(), Some(&key), &good, 401, "several keys"),
        (ENVELOPE, Some(&"Sentry sentry_version=7".to_owned()), &good, 401, "cannot be read"),
        (ENVELOPE, Some(&format!("Sentry sentry_key={KEY}, sentry_version=8")), &good, 400, "version"),
        (ENVELOPE, Some(&auth("00000000000000000000000000000000")), &good, 403, "unknown"),
        ("/api/2/envelope/", Some(&key), &good, 403, "another project"),
        ("/api/2/envelope/", Some(&auth(DISABLED_KEY)), &good, 403, "disabled"),
        (ENVELOPE, Some(&key), "", 400, "empty"),
        (ENVELOPE, Some(&key), "not JSON", 400, "envelope"),
        (ENVELOPE, Some(&key), &not_json, 400, "JSON"),
        (ENVELOPE, Some(&key), &bad_id, 400, "id"),
        (ENVELOPE, Some(&key), &huge, 413, "too large"),
    ] {
        let headers: Vec<(&str, &str)> = key.iter().map(|key| ("X-Sentry-Auth", key.as_str())).collect();
        let answer = gateway.send("POST", target, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
        let detail = told(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(reason), "{reason}: {detail}");
        assert_eq!(answer.header("x-sentry-error"), Some(detail.as_str()));
        assert!(answer.header("access-control-expose-headers").unwrap().contains("X-Sentry-Error"));
        assert_eq!((answer.header("retry-after"), answer.header("x-sentry-rate-limits")), (None, None));
    }
    assert_eq!(notices(&gateway.stop().await).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operators_limit_silences_clients_and_it_names_what_it_is_about() {
    let gateway = ready(&[]).await;
    let key = auth(LIMITED_KEY);
    let good = event_envelope();
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(gateway.send("POST", "/api/3/envelope/", &[("X-Sentry-Auth", &key)], good.as_bytes()).await);
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 429]);
    let limits = answers[2].header("x-sentry-rate-limits").unwrap();
    assert_eq!(limits.split_once(':').unwrap().1, "default;error;security:project:notices_per_minute");
    assert_eq!(answers[2].header("retry-after"), Some(limits.split(':').next().unwrap()));
    // What is not limited passes.
    let session = envelope("{}", &[(r#"{"type":"session"}"#, "{}")]);
    let answer = gateway.send("POST", "/api/3/envelope/", &[("X-Sentry-Auth", &key)], session.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(notices(&gateway.stop().await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_break_is_kept() {
    let gateway = ready(&[]).await;
    let cut = event_envelope() + "{\"type\":\"attachment\",\"length\":100}\nonly this";
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], cut.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let good_and_bad = event_envelope() + "{\"type\":\"event\"}\n{broken\n";
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY))], good_and_bad.as_bytes()).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(notices(&gateway.stop().await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_store_takes_every_packing() {
    let gateway = ready(&[]).await;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(EVENT.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let in_base64 = STANDARD.encode(EVENT);
    let packed_in_base64 = STANDARD.encode(&zlib);
    let key = auth(KEY);
    for (target, encoding, body) in [
        ("/api/1/store/", "", EVENT.as_bytes()),
        ("/api/store/", "", EVENT.as_bytes()),
        ("/api/1/store/", "deflate", &zlib),
        ("/api/1/store/", "", in_base64.as_bytes()),
        ("/api/1/store", "", packed_in_base64.as_bytes()),
    ] {
        let headers = [("X-Sentry-Auth", key.as_str()), ("Content-Encoding", encoding)];
        let answer = gateway.send("POST", target, &headers, body).await;
        assert_eq!((answer.status, &told(&answer)["id"]), (200, &ID.into()), "{answer:?}");
    }
    let escaped: String = form_urlencoded::byte_serialize(EVENT.as_bytes()).collect();
    let target = format!("/api/1/store/?sentry_key={KEY}&sentry_version=7&sentry_data={escaped}");
    let answer = gateway.send("GET", &target, &[], b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/gif")));
    // A client that names nothing is told the name that its notice got.
    let nameless = EVENT.replacen(&format!(r#""event_id":"{ID}","#), "", 1);
    let answer = gateway.send("POST", "/api/1/store/", &[("X-Sentry-Auth", &key)], nameless.as_bytes()).await;
    let given = told(&answer)["id"].as_str().unwrap().to_owned();
    assert_eq!(given.len(), 32);
    let notices = notices(&gateway.stop().await);
    assert_eq!(notices.len(), 7);
    assert!(notices.iter().any(|notice| notice.client_id.as_deref() == Some(&given)));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_browsers_check_ins_and_feedback_have_their_doors() {
    let gateway = ready(&[]).await;
    let csp = r#"{"csp-report":{"document-uri":"https://shop.test/","violated-directive":"img-src 'self'","effective-directive":"img-src","blocked-uri":"https://cdn.test/a.png"}}"#;
    let nel = r#"[{"type":"network-error","age":1,"url":"https://shop.test/","body":{"type":"tcp.timed_out","phase":"connection","status_code":0}}]"#;
    let query = format!("?sentry_key={KEY}&sentry_environment=staging&sentry_release=shop@1");
    let post = async |path: &str, kind: &str, body: &str| {
        gateway.send("POST", &format!("{path}{query}"), &[("Content-Type", kind)], body.as_bytes()).await.status
    };
    assert_eq!(post("/api/1/security/", "application/csp-report", csp).await, 200);
    assert_eq!(post("/api/1/csp-report/", "application/json; charset=utf-8", csp).await, 200);
    assert_eq!(post("/api/1/security/", "text/plain", csp).await, 415);
    assert_eq!(post("/api/1/nel/", "application/reports+json", nel).await, 200);
    assert_eq!(gateway.send("GET", &format!("/api/1/cron/nightly/{KEY}/?status=ok"), &[], b"").await.status, 202);
    assert_eq!(gateway.send("GET", &format!("/api/1/cron/nightly/{KEY}/?status=well"), &[], b"").await.status, 400);
    assert_eq!(post("/api/1/cron/nightly/", "application/json", r#"{"status":"in_progress"}"#).await, 202);
    let dsn: String = form_urlencoded::byte_serialize(format!("https://{KEY}@sentry.test/1").as_bytes()).collect();
    let form = format!("/api/embed/error-page/?dsn={dsn}&eventId={ID}");
    let answer = gateway.send("POST", &form, &[], b"name=Ann&email=a%40b.test&comments=It+broke.").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let records = gateway.stop().await;
    let notices = notices(&records);
    assert_eq!(notices.len(), 3);
    assert!(notices.iter().all(|notice| notice.environment.as_deref() == Some("staging")), "{notices:#?}");
    assert_eq!(of_kind(&records, Kind::Stats).len(), 1);
}

/// An item of this kind with so many bytes as its payload.
fn item(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("{{\"type\":\"{kind}\",\"length\":{}}}\n", payload.len());
    [head.as_bytes(), payload, b"\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_kept_however_much_is_attached_to_it() {
    const MIB: usize = 1024 * 1024;
    let gateway = ready(&[]).await;
    let event = item("event", EVENT.as_bytes());
    let screenshot: Vec<u8> = (0..20 * MIB).map(|at| (at * at / 7) as u8).collect();
    let before = [b"{}\n".as_slice(), &item("attachment", &screenshot), &event].concat();
    let after = [b"{}\n".as_slice(), &event, &item("attachment", &screenshot)].concat();
    let key = auth(KEY);
    for envelope in [&before, &after] {
        let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &key)], envelope).await;
        assert_eq!((answer.status, &told(&answer)["id"]), (200, &ID.into()), "{answer:?}");
    }
    // The same packed, and something that shrinks to nearly nothing.
    let log = [b"{}\n".as_slice(), &item("attachment", &vec![b'a'; 50 * MIB]), &event].concat();
    for envelope in [&before, &log] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(envelope).unwrap();
        let headers = [("X-Sentry-Auth", key.as_str()), ("Content-Encoding", "gzip")];
        let answer = gateway.send("POST", ENVELOPE, &headers, &gzip.finish().unwrap()).await;
        assert_eq!((answer.status, &told(&answer)["id"]), (200, &ID.into()), "{answer:?}");
    }
    // Beyond the limit, told by its head and found out on the way.
    let bomb = [b"{}\n".as_slice(), &item("attachment", &vec![b'a'; 101 * MIB])].concat();
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &key)], &bomb).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bomb).unwrap();
    let headers = [("X-Sentry-Auth", key.as_str()), ("Content-Encoding", "gzip")];
    let answer = gateway.send("POST", ENVELOPE, &headers, &gzip.finish().unwrap()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(notices(&gateway.stop().await).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_with_a_long_envelope_holds_up_nobody() {
    let gateway = ready(&["--body-pause-max-ms", "300"]).await;
    let long =
        [b"{}\n".as_slice(), &item("event", EVENT.as_bytes()), &item("attachment", &vec![0; 2_000_000])].concat();
    let key = auth(KEY);
    let whole = crate::harness::request("POST", ENVELOPE, &[("X-Sentry-Auth", &key)], &long);
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut connection = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut connection, &whole[..1_000_000]).await.unwrap();
        slow.push(connection);
    }
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &key)], event_envelope().as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut answered = 0;
    for mut connection in slow {
        if let Some(answer) = crate::harness::answer(&mut connection).await {
            assert!([200, 408, 503].contains(&answer.status), "{answer:?}");
            answered += 1;
        }
    }
    assert!(answered > 0, "none of them is left alone for ever");
    let answer = gateway.send("POST", ENVELOPE, &[("X-Sentry-Auth", &key)], &long).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_packed_envelopes_is_taken_whole() {
    const AT_ONCE: usize = 64;
    let gateway = ready(&[]).await;
    // Text that does not pack well, as stack traces with sources do not: more than what is read at once.
    let mut noise = 0_u64;
    let text: String = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from(noise >> 33 & 15).unwrap())
    })
    .take(60_000)
    .collect();
    let event = EVENT.replacen('{', &format!(r#"{{"extra":{{"text":"{text}"}},"#), 1);
    let whole = envelope("{}", &[(r#"{"type":"event"}"#, &event)]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(whole.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    assert!(packed.len() > 8 * 1024, "{}", packed.len());
    let post = request("POST", ENVELOPE, &[("X-Sentry-Auth", &auth(KEY)), ("Content-Encoding", "gzip")], &packed);
    let sent: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let post = post.clone();
            tokio::spawn(async move { exchange(gateway.address, &post).await })
        })
        .collect();
    for answer in sent {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(notices(&gateway.stop().await).len(), AT_ONCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_what_they_did_and_their_words_are_kept() {
    let gateway = ready(&[]).await;
    let path = format!("/api/embed/error-page/?dsn=https%3A%2F%2F{KEY}%40sentry.test%2F1&eventId={ID}");
    let script = gateway.send("GET", &path, &[], b"").await;
    assert_eq!(script.status, 200);
    assert!(script.header("content-type").unwrap().starts_with("application/javascript"), "{script:?}");
    let posted = gateway.send("POST", &path, &[], b"name=Ann&email=a%40b.test&comments=It+broke").await;
    assert_eq!(posted.status, 200, "{posted:?}");
    // Clients of telephones that are older than feedback in envelopes.
    let old = "/api/0/projects/acme/shop/user-feedback/";
    let written = format!(r#"{{"event_id":"{ID}","name":"Bob","email":"b@b.test","comments":"It froze"}}"#);
    let dsn = format!("DSN https://{KEY}@sentry.test/1");
    let answer = gateway.send("POST", old, &[("Authorization", &dsn)], written.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gateway.send("POST", old, &[], written.as_bytes()).await.status, 401);
    let records = gateway.stop().await;
    let kept: Vec<String> =
        of_kind(&records, Kind::Stats).into_iter().map(|record| body::<Stats>(record).json).collect();
    assert!(kept.len() == 2 && kept[0].contains("It broke") && kept[1].contains("It froze"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_unreal_engine_is_an_event_with_its_archive() {
    let gateway = ready(&[]).await;
    let archive = b"CR1 and what comes after it".repeat(40_000);
    let path = format!("/api/1/unreal/{KEY}/?AppVersion=1.4.2&UserID=ada%7C7%7CLinux");
    let answer = gateway.send("POST", &path, &[("Content-Type", "application/octet-stream")], &archive).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body.len(), 36, "an id with hyphens: {answer:?}");
    let records = gateway.stop().await;
    let [notice] = &notices(&records)[..] else { panic!("one notice") };
    assert_eq!(notice.errors[0].class.as_deref(), Some("UnrealCrash"));
    assert_eq!(notice.release.as_deref(), Some("1.4.2"));
    assert_eq!(notice.client_id.as_deref(), Some(answer.body.replace('-', "").as_str()));
    let kept: usize = of_kind(&records, Kind::AttachmentPart)
        .into_iter()
        .map(|record| body::<notice::AttachmentPart>(record).content.len())
        .sum();
    assert_eq!(kept, archive.len());
}
