//! The doors of Honeybadger's, Rollbar's and Bugsnag's clients.

use journal::{Kind, Record};
use notice::{Ledger, Notice, ledger_line::Ending};

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
    let lines: Vec<_> =
        of_kind(&records, Kind::Ledger).into_iter().flat_map(|record| body::<Ledger>(record).lines).collect();
    let count = |reason: &str| {
        let named = lines.iter().filter(|line| line.ending() == Ending::NotKept && line.reason == reason);
        named.map(|line| line.count).sum::<u64>()
    };
    assert_eq!((count("honeybadger_event"), count("bugsnag_session")), (2, 3));
}
