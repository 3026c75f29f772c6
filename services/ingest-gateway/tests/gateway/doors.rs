//! Each door gives its clients the answer that they expect, and what was posted is on the disk.

use std::io::Write;

use journal::Kind;
use notice::{Deploy, Notice, NoticeId, SnapshotScrubbing, Stats};

use crate::harness::{Answer, KEY, Setup, body, of_kind, ready, snapshot};

pub(crate) fn xml_notice() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><notice version="2.4"><api-key>{KEY}</api-key><notifier><name>Airbrake Notifier</name><version>4.3.8</version><url>https://github.com/airbrake/airbrake</url></notifier><error><class>Payments::Declined</class><message>Payments::Declined: card declined</message><backtrace><line number="18" file="[PROJECT_ROOT]/models/cart.rb" method="charge"/></backtrace></error><server-environment><project-root>/srv/shop/app</project-root><environment-name>production</environment-name></server-environment></notice>"#
    )
}

pub(crate) const JSON_NOTICE: &str = r#"{"errors":[{"type":"Payments::Declined","message":"card declined","backtrace":[{"file":"/PROJECT_ROOT/models/cart.rb","line":18,"function":"charge"}]}],"context":{"environment":"production"}}"#;

const XML_PATH: &str = "/notifier_api/v2/notices";

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The id of an XML answer, as each generation of the Ruby client looks for it.
fn ids_of_xml(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let between = |from: &str, to: &str| {
        let after = answer.body.split_once(from).unwrap().1.split_once('>').unwrap().1;
        after.split_once(to).unwrap().0.to_owned()
    };
    (between("<error-id", "</error-id>"), between("<id", "</id>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_xml_notice_is_on_the_disk_when_it_is_answered() {
    let gateway = ready(&[]).await;
    let answer = gateway.send("POST", XML_PATH, &[("Content-Type", "text/xml")], xml_notice().as_bytes()).await;
    let (error_id, id) = ids_of_xml(&answer);
    assert_eq!(error_id, id);
    assert!(answer.body.contains(&format!("<url>https://croak.test/locate/{id}</url>")), "{}", answer.body);
    assert!(answer.header("content-type").unwrap().starts_with("text/xml"));

    let records = gateway.stop().await;
    let [record] = of_kind(&records, Kind::Notice)[..] else { panic!("one notice") };
    assert_eq!(NoticeId::from_bytes(record.id).to_string(), id);
    assert_eq!(NoticeId::from_bytes(record.id).lane(), record.lane);
    assert_eq!(record.project_id, 1);
    let notice: Notice = body(record);
    assert_eq!(notice.errors[0].message.as_deref(), Some("card declined"));
    assert_eq!(notice::fold_key(&notice).0, record.fold_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_projects_rules_name_is_never_on_the_disk() {
    let setup = Setup::new(&[]);
    let mut snapshot = snapshot();
    snapshot.projects[0].scrubbing = Some(SnapshotScrubbing {
        // A pattern that cannot be used any more does not let through what the others take out.
        patterns: vec!["(".into(), "declined$".into()],
        fields: vec!["tax_id".into()],
        ip: "drop".into(),
    });
    setup.publish(&snapshot).await;
    let gateway = setup.start().await;
    gateway.becomes_ready().await;
    gateway.send("POST", XML_PATH, &[("Content-Type", "text/xml")], xml_notice().as_bytes()).await;
    let records = gateway.stop().await;
    let [record] = of_kind(&records, Kind::Notice)[..] else { panic!("one notice") };
    let notice: Notice = body(record);
    assert_eq!(notice.errors[0].message.as_deref(), Some("card [FILTERED]"));
    assert!(notice.notes.iter().any(|note| note.contains("project's rules")), "{:?}", notice.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_an_xml_notice_is_taken() {
    let gateway = ready(&[]).await;
    let (xml, form) = (xml_notice(), format!("data={}", escaped(&xml_notice())));
    for path in ["/notifier_api/v2/notices/", "/notifier_api/v2/notices.xml"] {
        ids_of_xml(&gateway.send("POST", path, &[], xml.as_bytes()).await);
    }
    ids_of_xml(&gateway.send("GET", &format!("{XML_PATH}?{form}"), &[], b"").await);
    ids_of_xml(&gateway.send("POST", XML_PATH, &[], form.as_bytes()).await);
    assert_eq!(of_kind(&gateway.stop().await, Kind::Notice).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_document_is_kept_and_its_connection_closed() {
    let gateway = ready(&[]).await;
    let xml = xml_notice();
    let answer = gateway.send("POST", XML_PATH, &[], &xml.as_bytes()[..xml.len() - 12]).await;
    ids_of_xml(&answer);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(of_kind(&gateway.stop().await, Kind::Notice).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_show_a_key_opens_the_json_door() {
    let gateway = ready(&[]).await;
    let bearer = format!("Bearer {KEY}");
    let with_key = JSON_NOTICE.replacen('{', &format!(r#"{{"key":"{KEY}","#), 1);
    let plain = ("Content-Type", "text/plain;charset=UTF-8");
    let path = "/api/v3/projects/1/notices";
    let in_query = format!("{path}?&key={KEY}");
    let in_place = format!("/api/v3/projects/{KEY}/notices");
    // Who comes from Errbit has any number there.
    let any_number = format!("/api/v3/projects/4711/notices?key={KEY}");
    let slash = format!("{path}/?key={KEY}");
    for (target, header, body) in [
        (path, ("Authorization", bearer.as_str()), JSON_NOTICE),
        (path, ("X-Airbrake-Token", KEY), JSON_NOTICE),
        (&in_query, plain, JSON_NOTICE),
        (&in_place, plain, JSON_NOTICE),
        (&any_number, plain, JSON_NOTICE),
        (&slash, plain, JSON_NOTICE),
        (path, plain, &with_key),
    ] {
        let answer = gateway.send("POST", target, &[header], body.as_bytes()).await;
        assert_eq!(answer.status, 201, "{target} {header:?}: {answer:?}");
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["url"], format!("https://croak.test/locate/{}", told["id"].as_str().unwrap()));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(of_kind(&gateway.stop().await, Kind::Notice).len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_clients_for_browsers_are_answered_as_they_expect() {
    let gateway = ready(&[]).await;
    let path = format!("/api/v3/projects/1/create-notice?key={KEY}");
    let posted = gateway.send("POST", &path, &[], JSON_NOTICE.as_bytes()).await;
    assert_eq!(posted.status, 200, "they take nothing else for success: {posted:?}");
    let by_script = format!("{path}&callback=airbrakeCb7&body={}", escaped(JSON_NOTICE));
    let called = gateway.send("GET", &by_script, &[], b"").await;
    assert_eq!(called.status, 200, "{called:?}");
    assert!(called.header("content-type").unwrap().starts_with("application/javascript"));
    let argument = called.body.strip_prefix("/**/airbrakeCb7(").and_then(|rest| rest.strip_suffix(");")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(argument).unwrap()["id"].is_string());
    // What is no name of a function is never in a script.
    let hostile = format!("{path}&callback={}&body={}", escaped("alert(1)//"), escaped(JSON_NOTICE));
    let plain = gateway.send("GET", &hostile, &[], b"").await;
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("application/json")));
    assert!(!plain.body.contains("alert"));
    assert_eq!(of_kind(&gateway.stop().await, Kind::Notice).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_unpacked() {
    let gateway = ready(&[]).await;
    let json = JSON_NOTICE.as_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(json).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(json).unwrap();
    let mut br = Vec::new();
    brotli::CompressorWriter::new(&mut br, 4096, 5, 22).write_all(json).unwrap();
    let zst = zstd::bulk::compress(json, 3).unwrap();
    let target = format!("/api/v3/projects/1/notices?key={KEY}");
    for (encoding, packed) in [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("br", br),
        ("zstd", zst),
        ("", json.to_vec()),
        ("identity", json.to_vec()),
    ] {
        let answer = gateway.send("POST", &target, &[("Content-Encoding", encoding)], &packed).await;
        assert_eq!(answer.status, 201, "{encoding}: {answer:?}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_and_statistics_are_kept_in_their_own_kinds() {
    let gateway = ready(&[]).await;
    let form = format!("api_key={KEY}&deploy[rails_env]=production&deploy[scm_revision]=abc");
    let by_form = gateway.send("POST", "/deploys.txt", &[], form.as_bytes()).await;
    assert_eq!(by_form.status, 200, "{by_form:?}");
    let by_query = gateway.send("POST", &format!("/deploys?{form}"), &[], b"").await;
    assert_eq!(by_query.status, 200, "{by_query:?}");
    let by_json = gateway
        .send("POST", &format!("/api/v4/projects/1/deploys?key={KEY}"), &[], br#"{"environment":"production"}"#)
        .await;
    assert_eq!(by_json.status, 201, "{by_json:?}");
    assert!(serde_json::from_str::<serde_json::Value>(&by_json.body).unwrap()["id"].is_string());

    let rows = br#"{"environment":"production","routes":[{"method":"GET","route":"/","statusCode":200,"time":"2026-11-22T20:00:00Z","count":1,"sum":2.0,"sumsq":4.0,"tdigest":"AAAA"}]}"#;
    for method in ["PUT", "POST"] {
        let target = format!("/api/v5/projects/1/routes-stats?key={KEY}");
        let answer = gateway.send(method, &target, &[], rows).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
    }

    let records = gateway.stop().await;
    let deploys: Vec<Deploy> = of_kind(&records, Kind::Deploy).into_iter().map(body).collect();
    assert_eq!(deploys.len(), 3);
    assert!(deploys.iter().all(|deploy| deploy.environment.as_deref() == Some("production")));
    let stats: Vec<Stats> = of_kind(&records, Kind::Stats).into_iter().map(body).collect();
    assert_eq!(stats.len(), 2);
    assert_eq!(stats[0].kind, "routes-stats");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_scripts_and_clients_ask_for_is_there() {
    let gateway = ready(&[]).await;
    let config = gateway.send("GET", "/2020-06-18/config/1/config.json?notifier_name=x", &[], b"").await;
    let told: serde_json::Value = serde_json::from_str(&config.body).unwrap();
    assert_eq!((config.status, &told["project_id"]), (200, &serde_json::json!(1)));
    assert!(told["settings"].as_array().unwrap().iter().all(|setting| setting["enabled"] == true));

    let id = "01933333-0000-7000-8000-000000000001";
    let located = gateway.send("GET", &format!("/locate/{id}"), &[], b"").await;
    assert_eq!(located.status, 302);
    assert_eq!(located.header("location"), Some(format!("https://croak.test/locate/{id}").as_str()));
    assert_eq!(gateway.send("GET", "/locate/%0d%0aX:%20y", &[], b"").await.status, 404);

    let good = gateway.send("GET", &format!("/health/api-key-tester?api_key={KEY}"), &[], b"").await;
    assert_eq!((good.status, good.body.as_str()), (200, r#"{"ok":true}"#));
    let bad = gateway.send("GET", "/health/api-key-tester?api_key=no", &[], b"").await;
    assert_eq!((bad.status, bad.body.as_str()), (403, r#"{"ok":false}"#));
    for (method, target) in [("GET", "/up"), ("HEAD", "/up"), ("GET", "/"), ("HEAD", "/"), ("GET", "/healthz")] {
        let answer = gateway.send(method, target, &[], b"").await;
        assert_eq!(answer.status, 200, "{method} {target}: who balances load takes anything else for dead");
    }

    let preflight = [("Origin", "https://shop.test"), ("Access-Control-Request-Method", "GET")];
    for (target, methods) in
        [("/2020-06-18/config/1/config.json", "GET"), ("/api/v3/projects/1/notices", "POST"), (XML_PATH, "POST")]
    {
        let answer = gateway.send("OPTIONS", target, &preflight, b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{target}");
        assert!(answer.header("access-control-allow-methods").unwrap().contains(methods));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("cache-control"));
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_send_whatever_headers_a_page_adds() {
    let gateway = ready(&[]).await;
    let asked = "baggage,content-type,sentry-trace,traceparent,x-datadog-trace-id";
    let preflight = [("Origin", "https://shop.test"), ("Access-Control-Request-Headers", asked)];
    for target in ["/api/1/envelope/", "/api/v3/projects/1/notices", "/v1/notices/js", "/api/1/item/", "/notify"] {
        let answer = gateway.send("OPTIONS", target, &preflight, b"").await;
        assert_eq!(answer.header("access-control-allow-headers"), Some(asked), "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{target}");
    }
    // A beacon of JSON is asked for as if there were cookies.
    let answer = gateway.send("OPTIONS", "/v1/traces", &preflight, b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.test"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let endless = format!("x-{}", "a".repeat(5_000));
    let answer = gateway.send("OPTIONS", "/notify", &[("Access-Control-Request-Headers", &endless)], b"").await;
    assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_crash_from_a_telephone_is_a_notice() {
    let gateway = ready(&[]).await;
    let report =
        br#"{"report":"Process: Shop [4711]\nException Type: SIGSEGV\n","context":{"environment":"production"}}"#;
    let target = format!("/api/v3/projects/1/ios-reports?key={KEY}");
    assert_eq!(gateway.send("POST", &target, &[("Content-Type", "application/json")], report).await.status, 201);
    let records = gateway.stop().await;
    let notices: Vec<Notice> = of_kind(&records, Kind::Notice).into_iter().map(body).collect();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].errors[0].class.as_deref(), Some("SIGSEGV"));
}
