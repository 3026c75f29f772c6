//! Honeybadger's notices, as all its clients write them.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;

use capture::{Capture, captures_or_fixtures, fixtures};
use notice::{Notice, NoticeId};
use protocol::honeybadger::{accepted, count_events, parse_notice, refused};
use serde_json::{Value, json};

fn notice_of(body: &str) -> Notice {
    parse_notice(body.as_bytes()).expect("is read").notice
}

fn json_of(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

fn captured(name: &str) -> Notice {
    let fixtures = fixtures();
    fixtures.iter().find(|fixture| fixture.name == name).expect("it is a fixture").parse().unwrap().notice
}

fn is_of_honeybadger(capture: &Capture) -> bool {
    capture.client.contains("honeybadger")
}

#[test]
fn the_chain_is_the_raised_error_and_its_causes() {
    let mut count = 0;
    for capture in captures_or_fixtures().iter().filter(|capture| is_of_honeybadger(capture) && capture.is_notice()) {
        let Some(classes) = capture.meta["expected"]["cause_classes"].as_array() else { continue };
        let causes = capture.parse().unwrap().notice.errors.into_iter().skip(1);
        let causes: Vec<Value> = causes.map(|cause| cause.class.into()).collect();
        assert_eq!(&causes, classes, "{}", capture.name);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_id_of_a_cause_is_no_secret() {
    // As the Python client 1.3.0 writes it.
    let notice = notice_of(
        r#"{"error":{"token":"d96345e5-ed10-4115-af76-1eceaf259e7e","class":"PaymentDeclined","message":"card was declined","causes":[{"token":"0b1f6d1c-2a52-4fd4-8f3e-5a1c3f0f7d11","class":"BankUnreachable","message":"no answer within 3 s","backtrace":[]}]}}"#,
    );
    assert_eq!(notice.client_id.as_deref(), Some("d96345e5-ed10-4115-af76-1eceaf259e7e"));
    assert_eq!(notice.errors[1].class.as_deref(), Some("BankUnreachable"));
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({"error.causes[0].id": "0b1f6d1c-2a52-4fd4-8f3e-5a1c3f0f7d11"})
    );
}

#[test]
fn what_a_client_says_has_its_place() {
    let notice = captured("node-honeybadger-6.16.5/004 request_context");
    assert_eq!(notice.protocol, "honeybadger");
    assert_eq!(notice.client_fingerprint, ["payment-declined"]);
    assert_eq!(notice.release.as_deref(), Some("8f2c1de9a7"));
    assert_eq!(notice.occurred_at_us, Some(1_795_318_465_000_000));
    assert_eq!(json_of(notice.tags_json.as_ref()), json!({"payments": true}));
    let user = notice.user.as_ref().unwrap();
    assert_eq!((user.id.as_deref(), user.email.as_deref()), (Some("42"), Some("zoe@shop.example")));
    let request = notice.request.as_ref().unwrap();
    assert_eq!((request.component.as_deref(), request.action.as_deref()), (Some("checkout"), Some("create")));
    assert_eq!(request.method.as_deref(), Some("POST"));
    assert_eq!(json_of(request.params_json.as_ref()), json!({"card": "4111", "password": "[FILTERED]"}));
    let server = notice.server.as_ref().unwrap();
    assert_eq!(server.root.as_deref(), Some("/srv/shop/app/node-honeybadger"));
    assert_eq!(server.hostname.as_deref(), Some("shop-web-1"));
    assert_eq!(json_of(server.extra_json.as_ref())["stats"]["load"]["one"], 7.52);
    let top = &notice.errors[0].frames[0];
    assert_eq!((top.line, top.column, top.function.as_deref()), (Some(10), Some(9), Some("Object.charge")));
    assert_eq!(top.code.len(), 5);
}

#[test]
fn breadcrumbs_are_the_trail() {
    let notice = captured("node-honeybadger-6.16.5/005 breadcrumbs");
    let trail = json_of(notice.breadcrumbs_json.as_ref());
    let last = trail.as_array().unwrap().last().unwrap();
    assert_eq!((&last["category"], &last["message"]), (&json!("notice"), &json!("Honeybadger Notice")));
    assert_eq!(last["data"]["name"], "PaymentDeclined", "what was attached to it is its data");
    assert!(last["at"].is_string());
}

#[test]
fn php_and_elixir_say_what_is_theirs() {
    let notice = notice_of(
        r#"{"error":{"class":"App\\Declined","message":"no","backtrace":[
        {"file":"/srv/shop/Cart.php","number":"10","method":"charge","class":"App\\Cart","type":"->","args":["4111"],"context":"app","source":{"10":"throw new Declined"}},
        {"file":"/srv/shop/vendor/x/y.php","number":"0","method":"call","class":null,"type":null,"args":[],"context":"all","source":null}]},
        "server":{"project_root":{"path":"/srv/shop"}}}"#,
    );
    let [own, library] = notice.errors[0].frames.as_slice() else { panic!("two frames") };
    assert_eq!((own.module.as_deref(), own.function.as_deref()), (Some("App\\Cart"), Some("charge")));
    assert_eq!((own.in_app, library.in_app), (Some(true), Some(false)));
    assert_eq!((own.line, library.line), (Some(10), Some(0)));
    assert_eq!(json_of(own.vars_json.as_ref()), json!({"args": ["4111"]}));
    assert_eq!(json_of(notice.unmapped_json.as_ref()), json!({"error.backtrace[0]": {"type": "->"}}));
    assert_eq!(notice.server.unwrap().root.as_deref(), Some("/srv/shop"));
}

#[test]
fn ruby_says_the_class_twice_and_one_excerpt_for_all_frames() {
    let notice = notice_of(
        r#"{"api_key":"k","notifier":{"name":"honeybadger-ruby","language":"ruby"},"error":{"token":"3f25","class":"Shop::Declined","message":"Shop::Declined: no",
        "tags":"billing, urgent","backtrace":[{"file":"[GEM_ROOT]/gems/a/a.rb","number":"3","method":"a"},{"file":"[PROJECT_ROOT]/b.rb","number":"7","method":"b"}],
        "source":{"6":"def b\n","7":"  a\n","x":"y"},"causes":[{"class":"KeyError","message":"KeyError: gone","backtrace":[]}]},
        "request":{"context":{"user_id":7,"plan":"gold"},"local_variables":{"cart":1}},"correlation_context":{"request_id":"r"},"details":{"Job":{"id":1}},
        "server":{"time":"2026-11-22 03:34:25 UTC","pid":5}}"#,
    );
    assert_eq!(notice.errors[0].message.as_deref(), Some("no"));
    assert_eq!(notice.errors[1].message.as_deref(), Some("gone"));
    assert_eq!(notice.client_id.as_deref(), Some("3f25"));
    assert_eq!(notice.language.as_deref(), Some("ruby"));
    assert_eq!(json_of(notice.tags_json.as_ref()), json!({"billing": true, "urgent": true}));
    let frames = &notice.errors[0].frames;
    assert!(frames[0].code.is_empty());
    let code: Vec<_> = frames[1].code.iter().map(|code| (code.line, code.text.as_str())).collect();
    assert_eq!(code, [(6, "def b"), (7, "  a")]);
    assert_eq!(json_of(frames[0].vars_json.as_ref()), json!({"cart": 1}), "variables are of the innermost frame");
    assert_eq!(json_of(notice.extra_json.as_ref()), json!({"plan": "gold"}));
    assert_eq!(
        json_of(notice.contexts_json.as_ref()),
        json!({"Job": {"id": 1}, "correlation_context": {"request_id": "r"}})
    );
    assert_eq!(notice.occurred_at_us, Some(1_795_318_465_000_000));
    assert_eq!(json_of(notice.unmapped_json.as_ref()), json!({"error.source": {"x": "y"}}));
}

#[test]
fn values_of_the_wrong_kind_are_kept_beside() {
    let notice = notice_of(
        r#"{"error":{"class":{"a":1},"message":["m"],"backtrace":"at f","fingerprint":["f"],"tags":5,"causes":["gone",{"backtrace":[7]}]},
        "request":"r","server":[1],"breadcrumbs":{"trail":"t","enabled":false},"notifier":1,"x":2}"#,
    );
    assert_eq!(notice.errors.len(), 3);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "error.class": {"a": 1}, "error.message": ["m"], "error.backtrace": "at f", "error.fingerprint": ["f"], "error.tags": 5,
            "error.causes[0]": "gone", "error.causes[1].backtrace[0]": 7, "request": "r", "server": [1], "breadcrumbs.trail": "t",
            "breadcrumbs.enabled": false, "notifier": 1, "x": 2,
        })
    );
    assert_eq!(notice_of(r#"{"error":"disk full"}"#).errors[0].message.as_deref(), Some("disk full"));
}

#[test]
fn the_key_in_the_body_is_for_whoever_checks_it() {
    let parsed = parse_notice(br#"{"api_key":"a1b2","error":{"class":"C"}}"#).unwrap();
    assert_eq!(parsed.api_key.as_deref(), Some("a1b2"));
    assert!(!format!("{:?}", parsed.notice).contains("a1b2"));
}

#[test]
fn events_are_counted() {
    let mut count = 0;
    for capture in captures_or_fixtures().iter().filter(|capture| capture.meta["path"] == "/v1/events") {
        count += count_events(&capture.body).unwrap_or_else(|error| panic!("{}: {error}", capture.name));
    }
    assert!(count > 0);
}

#[test]
fn answers_are_what_the_clients_read() {
    let id = NoticeId::new(1_795_316_388_564_789, 5, 42);
    assert_eq!(accepted(&id), format!(r#"{{"id":"{id}"}}"#));
    assert_eq!(refused("no \"error\""), r#"{"error":"no \"error\""}"#);
}

#[test]
fn browsers_clients_of_old_send_the_stack_as_text_and_the_notice_in_an_address() {
    // As honeybadger.js 1.0 and 0.5 write them.
    let notice = notice_of(
        r#"{"error":{"class":"TypeError","message":"card is null","backtrace":"TypeError: card is null\n    at charge (https://shop.example/app.js:10:5)\n    at https://shop.example/app.js:22:3"}}"#,
    );
    let frames: Vec<_> = notice.errors[0].frames.iter().map(|frame| (frame.function.as_deref(), frame.line)).collect();
    assert_eq!(frames, [(Some("charge"), Some(10)), (None, Some(22))]);
    let unread = notice_of(r#"{"error":{"class":"TypeError","backtrace":"no stack"}}"#);
    assert_eq!(json_of(unread.unmapped_json.as_ref())["error.backtrace"], "no stack");

    let query = "notice[notifier][name]=honeybadger.js&notice[error][class]=TypeError&notice[error][message]=card%20is%20null\
                 &notice[error][backtrace]=charge%40https://shop.example/app.js:10:5&notice[request][url]=https://shop.example/cart&api_key=k&t=1";
    let parsed = protocol::honeybadger::parse_query(query.as_bytes()).unwrap();
    assert_eq!(parsed.api_key.as_deref(), Some("k"));
    let error = &parsed.notice.errors[0];
    assert_eq!((error.class.as_deref(), error.message.as_deref()), (Some("TypeError"), Some("card is null")));
    assert_eq!(error.frames[0].function.as_deref(), Some("charge"));
    assert_eq!(parsed.notice.request.unwrap().url.as_deref(), Some("https://shop.example/cart"));
    assert!(protocol::honeybadger::parse_query(b"api_key=k").is_err());
}

#[test]
fn a_client_that_was_not_told_what_is_the_applications_does_not_say_that_nothing_is() {
    let own = |contexts: [&str; 2]| {
        let [one, other] = contexts;
        let notice = notice_of(&format!(
            r#"{{"error":{{"class":"E","backtrace":[{{"file":"a.ex","method":"f","context":"{one}"}},{{"file":"b.ex","method":"g","context":"{other}"}}]}}}}"#
        ));
        notice.errors[0].frames.iter().map(|frame| frame.in_app).collect::<Vec<_>>()
    };
    assert_eq!(own(["all", "all"]), [None, None]);
    assert_eq!(own(["all", "app"]), [Some(false), Some(true)]);
}

#[test]
fn the_release_of_phps_client_is_a_version() {
    let notice = notice_of(r#"{"error":{"class":"E"},"server":{"version":"1.4.2","hostname":"web-1"}}"#);
    assert_eq!(notice.release.as_deref(), Some("1.4.2"));
    let both = notice_of(r#"{"error":{"class":"E"},"server":{"version":"8","revision":"8f2c1de"}}"#);
    assert_eq!(both.release.as_deref(), Some("8f2c1de"));
    let kept = both.server.and_then(|server| server.extra_json);
    assert_eq!(kept.as_deref(), Some(r#"{"version":"8"}"#));
}
