//! Each refusal has the form that its client can bear, and those of known projects are in the ledger.

use std::collections::BTreeMap;

use journal::Kind;
use notice::Ledger;

use crate::doors::{JSON_NOTICE, xml_notice};
use crate::harness::{Answer, DISABLED_KEY, KEY, LIMITED_KEY, body, of_kind, ready};

const XML_PATH: &str = "/notifier_api/v2/notices";
const JSON_PATH: &str = "/api/v3/projects/1/notices";

fn assert_xml(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.contains("<errors><error>"), "{answer:?}");
}

fn assert_json(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(!told["message"].as_str().unwrap().is_empty());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "a browser must be able to read it");
    assert!(answer.header("access-control-expose-headers").unwrap().contains("X-RateLimit-Delay"));
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_clients_are_refused_in_xml() {
    let gateway = ready(&[]).await;
    let xml = xml_notice();
    for (body, status) in [
        (xml.replace(KEY, "nobody"), 422),
        (xml.replace(&format!("<api-key>{KEY}</api-key>"), ""), 422),
        (xml.replace(KEY, DISABLED_KEY), 403),
        (xml.replace(r#"version="2.4""#, r#"version="9.9""#), 422),
        ("not XML".to_owned(), 422),
        (format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{xml}"), 422),
        (String::new(), 422),
        ("other=1".to_owned(), 422),
    ] {
        assert_xml(&gateway.send("POST", XML_PATH, &[], body.as_bytes()).await, status);
    }
    assert_xml(&gateway.send("GET", XML_PATH, &[], b"").await, 422);
    let method = gateway.send("DELETE", XML_PATH, &[], b"").await;
    assert_xml(&method, 405);
    assert_eq!(method.header("allow"), Some("GET, POST, OPTIONS"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_clients_are_refused_in_json() {
    let gateway = ready(&[]).await;
    let good = format!("{JSON_PATH}?key={KEY}");
    for (target, body, status) in [
        (format!("{JSON_PATH}?key=nobody"), JSON_NOTICE, 401),
        (JSON_PATH.to_owned(), JSON_NOTICE, 401),
        (format!("/api/v3/projects/2/notices?key={DISABLED_KEY}"), JSON_NOTICE, 403),
        (good.clone(), "{", 400),
        (good.clone(), "", 400),
        (good.clone(), "{}", 400),
        (good.clone(), r#"{"errors":[]}"#, 400),
        (format!("/api/v4/projects/1/deploys?key={KEY}"), "deploy!", 400),
        (format!("/api/v5/projects/1/routes-stats?key={KEY}"), "{}", 400),
        ("/api/v5/projects/1/routes-stats".to_owned(), "{}", 401),
    ] {
        let answer = gateway.send("POST", &target, &[], body.as_bytes()).await;
        assert_json(&answer, status);
    }
    let coding = [("Content-Encoding", "rot13")];
    assert_json(&gateway.send("POST", &good, &coding, JSON_NOTICE.as_bytes()).await, 415);
    let not_gzip = [("Content-Encoding", "gzip")];
    assert_json(&gateway.send("POST", &good, &not_gzip, JSON_NOTICE.as_bytes()).await, 400);
    let method = gateway.send("GET", &good, &[], b"").await;
    assert_json(&method, 405);
    assert_eq!(method.header("allow"), Some("POST, OPTIONS"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_refused_in_plain_words() {
    let gateway = ready(&[]).await;
    let nowhere = gateway.send("POST", "/nothing/here", &[], b"x").await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.header("content-type").unwrap().starts_with("text/plain"));
    for (target, field) in [("/api/v3/nothing", "message"), ("/api/1/nothing/", "detail"), ("/v1/nothing", "error")] {
        let nowhere = gateway.send("POST", target, &[], b"x").await;
        assert_eq!(nowhere.status, 404, "{target}: {nowhere:?}");
        let told: serde_json::Value = serde_json::from_str(&nowhere.body).unwrap();
        assert!(told[field].is_string(), "{target}: its clients read `{field}`: {told}");
    }
    for form in ["", "api_key=nobody&deploy[rails_env]=production"] {
        let refused = gateway.send("POST", "/deploys.txt", &[], form.as_bytes()).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(!refused.body.trim().is_empty());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_project_was_refused_is_in_its_ledger() {
    let gateway = ready(&["--ledger-every-ms", "100"]).await;
    let limited = format!("/api/v3/projects/3/notices?key={LIMITED_KEY}");
    let mut statuses = BTreeMap::new();
    for _ in 0..5 {
        let answer = gateway.send("POST", &limited, &[], JSON_NOTICE.as_bytes()).await;
        *statuses.entry(answer.status).or_insert(0) += 1;
        if answer.status == 429 {
            assert_json(&answer, 429);
            let delay_s: u64 = answer.header("x-ratelimit-delay").unwrap().parse().unwrap();
            assert!((1..=60).contains(&delay_s));
        }
    }
    assert_eq!(statuses, BTreeMap::from([(201, 2), (429, 3)]));
    gateway.send("POST", &format!("{JSON_PATH}?key={KEY}"), &[], b"{").await;
    gateway.send("POST", &format!("{JSON_PATH}?key=nobody"), &[], b"{").await;

    let records = gateway.stop().await;
    let mut told = BTreeMap::new();
    for record in of_kind(&records, Kind::Ledger) {
        for line in body::<Ledger>(record).lines {
            *told.entry((record.project_id, line.reason)).or_insert(0) += line.count;
        }
    }
    let expected = BTreeMap::from([((3, "rate_limited".to_owned()), 3), ((1, "malformed".to_owned()), 1)]);
    assert_eq!(told, expected);
}
