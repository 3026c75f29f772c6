//! The doors of Honeybadger's, Rollbar's and Bugsnag's clients.

use journal::{Kind, Record};
use notice::{Deploy, Ledger, Notice, ledger_line::Ending};

use crate::harness::{Answer, DISABLED_KEY, KEY, LIMITED_KEY, body, of_kind, ready};

const HONEYBADGER: &str = r#"{"notifier":{"name":"honeybadger-ruby","version":"5.0"},"error":{"class":"Declined","message":"card declined","backtrace":[{"number":"18","file":"[PROJECT_ROOT]/cart.rb","method":"charge"}]},"server":{"environment_name":"production"}}"#;
const ROLLBAR: &str = r#"{"data":{"environment":"production","uuid":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","body":{"trace":{"frames":[{"filename":"cart.py","lineno":18,"method":"charge"}],"exception":{"class":"Declined","message":"card declined"}}}}}"#;
const BUGSNAG: &str = r#"{"notifier":{"name":"Bugsnag Ruby","version":"6.0"},"events":[{"exceptions":[{"errorClass":"Declined","message":"card declined","stacktrace":[{"file":"cart.rb","lineNumber":18,"method":"charge","inProject":true}]}],"app":{"releaseStage":"production"}},{"exceptions":[{"errorClass":"Other","message":"second"}]}]}"#;

fn told(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn notices(records: &[Record]) -> Vec<Notice> {
    of_kind(records, Kind::Notice).into_iter().map(body).collect()
}

/// With the key in the body, under the name that it has there.
fn keyed(notice: &str, name: &str) -> String {
    notice.replacen('{', &format!(r#"{{"{name}":"{KEY}","#), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_show_a_key_opens_their_doors() {
    let gateway = ready(&[]).await;
    let (honeybadger, rollbar, bugsnag) =
        (keyed(HONEYBADGER, "api_key"), keyed(ROLLBAR, "access_token"), keyed(BUGSNAG, "apiKey"));
    let in_query = format!("/api/1/item/?access_token={KEY}");
    for (target, header, body, status) in [
        ("/v1/notices", Some("X-API-Key"), HONEYBADGER, 201),
        ("/v1/notices/js", Some("x-api-key"), HONEYBADGER, 201),
        ("/v1/notices", None, &honeybadger, 201),
        ("/api/1/item/", Some("X-Rollbar-Access-Token"), ROLLBAR, 200),
        (&in_query, None, ROLLBAR, 200),
        ("/api/1/item", None, &rollbar, 200),
        ("/", Some("Bugsnag-Api-Key"), BUGSNAG, 200),
        ("/notify", None, &bugsnag, 200),
    ] {
        let headers: Vec<(&str, &str)> = header.iter().map(|name| (*name, KEY)).collect();
        let answer = gateway.send("POST", target, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert!(!told(&answer)["id"].as_str().unwrap().is_empty());
        if target.contains("item") {
            assert_eq!(told(&answer)["err"], 0);
            assert_eq!(told(&answer)["result"]["uuid"], "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
        }
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let notices = notices(&gateway.stop().await);
    assert_eq!(notices.len(), 10, "two of each request of Bugsnag's");
    let classes =
        |class: &str| notices.iter().filter(|notice| notice.errors[0].class.as_deref() == Some(class)).count();
    assert_eq!((classes("Declined"), classes("Other")), (8, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_may_be_all_in_the_address() {
    let gateway = ready(&[]).await;
    let error = "name=Declined&message=card%20declined&stacktrace=charge%40https://shop.example/app.js:10:5";
    for target in [
        format!("/js?apiKey={KEY}&{error}"),
        format!("/?apiKey={KEY}&{error}"),
        format!("/notify?{error}&apiKey={KEY}"),
    ] {
        let answer = gateway.send("GET", &target, &[], b"").await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    let honeybadger =
        format!("/v1/notices/js.gif?notice[error][class]=Declined&notice[error][message]=m&api_key={KEY}");
    assert_eq!(gateway.send("GET", &honeybadger, &[], b"").await.status, 201);
    // Who asks for the root only wants to know whether somebody is there.
    assert_eq!(gateway.send("GET", "/", &[], b"").await.body.trim(), "up");
    for (target, status) in [
        ("/js?apiKey=00000000000000000000000000000000&name=A", 403),
        ("/v1/notices/js.gif?notice[error][class]=A&api_key=", 401),
    ] {
        assert_eq!(gateway.send("GET", target, &[], b"").await.status, status, "{target}");
    }
    let notices = notices(&gateway.stop().await);
    assert_eq!(notices.len(), 4);
    assert!(notices.iter().all(|notice| notice.errors[0].class.as_deref() == Some("Declined")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_form_that_each_client_reads() {
    let gateway = ready(&[]).await;
    for (target, header, body, field) in [
        ("/v1/notices", "X-API-Key", HONEYBADGER, "error"),
        ("/api/1/item/", "X-Rollbar-Access-Token", ROLLBAR, "message"),
        ("/notify", "Bugsnag-Api-Key", BUGSNAG, "error"),
    ] {
        for (key, body, status) in [
            ("", body, 401),
            ("00000000000000000000000000000000", body, 403),
            (DISABLED_KEY, body, 403),
            (KEY, "{}", 400),
            (KEY, "not JSON", 400),
            (KEY, "", 400),
        ] {
            let answer = gateway.send("POST", target, &[(header, key)], body.as_bytes()).await;
            assert_eq!(answer.status, status, "{target} {key}: {answer:?}");
            assert!(!told(&answer)[field].as_str().unwrap().is_empty(), "{answer:?}");
        }
    }
    let mut last = None;
    for _ in 0..3 {
        let header = [("X-Rollbar-Access-Token", LIMITED_KEY)];
        last = Some(gateway.send("POST", "/api/1/item/", &header, ROLLBAR.as_bytes()).await);
    }
    let limited = last.unwrap();
    assert_eq!((limited.status, limited.header("x-rate-limit-remaining")), (429, Some("0")));
    assert_eq!(limited.header("x-rate-limit-remaining-seconds"), limited.header("retry-after"));
    assert_eq!(told(&limited)["err"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_to_be_shown_by_is_counted() {
    let gateway = ready(&["--ledger-every-ms", "100"]).await;
    let events = "{\"event_type\":\"a\"}\n{\"event_type\":\"b\"}\n";
    let answer = gateway.send("POST", "/v1/events", &[("X-API-Key", KEY)], events.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let sessions =
        r#"{"notifier":{"name":"n"},"sessionCounts":[{"startedAt":"2026-11-26T12:00:00Z","sessionsStarted":3}]}"#;
    let answer = gateway.send("POST", "/sessions", &[("Bugsnag-Api-Key", KEY)], sessions.as_bytes()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let records = gateway.stop().await;
    assert_eq!(["honeybadger_event", "bugsnag_session"].map(|what| not_kept(&records, what)), [2, 3]);
}

fn not_kept(records: &[Record], reason: &str) -> u64 {
    let lines = of_kind(records, Kind::Ledger).into_iter().flat_map(|record| body::<Ledger>(record).lines);
    lines.filter(|line| line.ending() == Ending::NotKept && line.reason == reason).map(|line| line.count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_are_recorded_however_they_are_told() {
    let gateway = ready(&[]).await;
    let json = ("Content-Type", "application/json");
    let parts = ("Content-Type", "multipart/form-data; boundary=xyz");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let rollbar =
        format!(r#"{{"access_token":"{KEY}","environment":"production","revision":"abc","local_username":"ann"}}"#);
    let rollbar_form = format!("access_token={KEY}&environment=production&revision=abc&local_username=ann");
    let rollbar_parts: String =
        [("access_token", KEY), ("environment", "production"), ("revision", "abc"), ("local_username", "ann")]
            .map(|(name, text)| format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"))
            .concat()
            + "--xyz--\r\n";
    let honeybadger = r#"{"deploy":{"environment":"production","revision":"abc","local_username":"ann"}}"#;
    let hook = format!("/v1/deploys/heroku?environment=production&api_key={KEY}&user=ann&head=abc");
    let bugsnag = format!(
        r#"{{"apiKey":"{KEY}","appVersion":"1.4.2","releaseStage":"production","builderName":"ann","sourceControl":{{"revision":"abc"}}}}"#
    );
    let deploys = [
        ("/api/1/deploy/", json, rollbar.as_str()),
        ("/api/1/deploy", form, &rollbar_form),
        ("/api/1/deploy/", parts, &rollbar_parts),
        ("/v1/deploys", ("X-API-Key", KEY), honeybadger),
        (&hook, form, ""),
        ("/", json, &bugsnag),
        ("/builds", json, &bugsnag),
    ];
    for (target, header, body) in deploys {
        let answer = gateway.send("POST", target, &[header], body.as_bytes()).await;
        let told = told(&answer);
        match target {
            target if target.contains("/api/1") => {
                assert_eq!((answer.status, told["err"].as_u64()), (200, Some(0)), "{answer:?}");
                assert!(told["data"]["deploy_id"].is_u64(), "{answer:?}");
            }
            target if target.contains("/v1/") => {
                assert_eq!((answer.status, told["status"].as_str()), (201, Some("OK")));
            }
            _ => assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#)),
        }
    }
    let records = gateway.stop().await;
    let recorded: Vec<Deploy> = of_kind(&records, Kind::Deploy).into_iter().map(body).collect();
    assert_eq!(recorded.len(), deploys.len());
    for deploy in &recorded {
        let said = [&deploy.environment, &deploy.revision, &deploy.username].map(|field| field.as_deref());
        assert_eq!(said, [Some("production"), Some("abc"), Some("ann")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_deploy_and_check_ins_are_counted() {
    let gateway = ready(&["--ledger-every-ms", "100"]).await;
    let update = format!("/api/1/deploy/17?access_token={KEY}");
    let updated = gateway.send("PATCH", &update, &[], b"status=succeeded").await;
    assert_eq!((updated.status, told(&updated)["err"].as_u64()), (200, Some(0)), "{updated:?}");
    assert_eq!(gateway.send("PATCH", "/api/1/deploy/17", &[], b"status=succeeded").await.status, 401);
    let named = format!("/v1/check_in/{KEY}/nightly");
    for (method, target, status) in [
        ("GET", named.as_str(), 200),
        ("HEAD", &named, 200),
        ("POST", &named, 200),
        // Somebody else gave this one out: nothing says which project it is of.
        ("GET", "/v1/check_in/1MqIo1", 200),
        ("POST", "/v1/check_in/00000000000000000000000000000000/nightly", 403),
    ] {
        assert_eq!(gateway.send(method, target, &[], b"").await.status, status, "{method} {target}");
    }
    assert_eq!(gateway.send("POST", "/v1/check_in/1MqIo1", &[("X-API-Key", KEY)], b"").await.status, 200);
    let records = gateway.stop().await;
    assert_eq!(["deploy_update", "check_in"].map(|what| not_kept(&records, what)), [1, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_know_its_address_has_the_one_that_it_came_from() {
    let gateway = ready(&[]).await;
    let item = r#"{"data":[{"body":{"message":{"body":"a"}},"request":{"user_ip":"$remote_ip"}},{"body":{"message":{"body":"b"}}}]}"#;
    let answer = gateway.send("POST", "/api/1/item/", &[("X-Rollbar-Access-Token", KEY)], item.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let notices = notices(&gateway.stop().await);
    let ips: Vec<_> = notices.iter().map(|notice| notice.user.as_ref().and_then(|user| user.ip.as_deref())).collect();
    assert!(ips == [Some("127.0.0.1"), None] || ips == [None, Some("127.0.0.1")], "{ips:?}");
}
