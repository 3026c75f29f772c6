//! Bugsnag's events, written after the public description of its API and what its clients are known to do.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;

use std::collections::HashMap;

use notice::Notice;
use protocol::Parsed;
use protocol::bugsnag::{ACCEPTED_STATUS, COUNTED_STATUS, parse_notify, refused};
use serde_json::{Value, json};

const RUBY: &str = include_str!("../../../tests/fixtures/bugsnag-written/ruby-4.json");
const ANDROID: &str = include_str!("../../../tests/fixtures/bugsnag-written/android-5.json");
const PYTHON: &str = include_str!("../../../tests/fixtures/bugsnag-written/python-4.json");

fn parsed(body: &str) -> Vec<Parsed> {
    parse_notify(body.as_bytes()).expect("is read")
}

fn only(body: &str) -> Notice {
    let [parsed] = <[Parsed; 1]>::try_from(parsed(body)).expect("is one event");
    parsed.notice
}

fn json_of(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

#[test]
fn what_a_client_for_servers_says_has_its_place() {
    let notice = only(RUBY);
    assert_eq!(notice.protocol, "bugsnag");
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert_eq!(notice.release.as_deref(), Some("1.4.2"));
    assert_eq!(notice.severity.as_deref(), Some("error"));
    assert_eq!(notice.client_fingerprint, ["checkout-of-carts"]);
    assert_eq!(notice.occurred_at_us, Some(1_795_318_465_589_000));
    assert_eq!(notice.notifier.as_ref().unwrap().version.as_deref(), Some("6.27.1"));
    assert_eq!(notice.server.as_ref().unwrap().hostname.as_deref(), Some("shop-web-1"));

    let classes: Vec<_> = notice.errors.iter().map(|error| error.class.as_deref().unwrap()).collect();
    assert_eq!(classes, ["CheckoutError", "JSON::ParserError"], "the raised one is first");
    assert_eq!(notice.errors[0].handled, Some(false));
    assert_eq!(json_of(notice.errors[0].mechanism_json.as_ref())["severityReason"]["attributes"]["framework"], "Rails");
    let frames = &notice.errors[0].frames;
    assert_eq!((frames[0].in_app, frames[2].in_app), (Some(true), None));
    assert_eq!(frames[0].code.iter().map(|code| code.line).collect::<Vec<_>>(), [19, 20, 21]);

    let request = notice.request.as_ref().unwrap();
    assert_eq!((request.component.as_deref(), request.action.as_deref()), (Some("carts"), Some("checkout")));
    assert_eq!(request.url.as_deref(), Some("https://shop.example/checkout?step=2"));
    assert_eq!(request.method.as_deref(), Some("POST"));
    assert_eq!(json_of(request.session_json.as_ref()), json!({"user_id": 42}));
    let user = notice.user.as_ref().unwrap();
    assert_eq!(
        [&user.id, &user.name, &user.email, &user.ip].map(|field| field.as_deref().unwrap()),
        ["42", "Zoë", "zoe@shop.example", "203.0.113.7"]
    );
    assert_eq!(
        json_of(notice.breadcrumbs_json.as_ref())[0],
        json!({"message": "login ok", "category": "manual", "at": "2026-11-22T03:34:20.120Z", "data": {"user": 42}})
    );
    assert_eq!(json_of(notice.extra_json.as_ref()), json!({"cart": {"items": 3, "total": 99.5}}));
    let contexts = json_of(notice.contexts_json.as_ref());
    assert_eq!(contexts["device"]["runtimeVersions"]["rails"], "7.0.8");
    assert_eq!(contexts["featureFlags"][0]["variant"], "b");
    assert_eq!(contexts["session"]["events"]["handled"], 1);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "events[0].metaData.request.requestId": "b4c7", "events[0].metaData.request.referer": "https://shop.example/cart",
            "events[0].user.plan": "gold",
        })
    );
}

#[test]
fn each_event_of_a_request_is_a_notice() {
    let events = parsed(ANDROID);
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event.api_key.as_deref(), Some("a1b2c3d4e5f60718293a4b5c6d7e8f90"));
        assert_eq!(event.notice.notifier.as_ref().unwrap().name.as_deref(), Some("Android Bugsnag Notifier"));
        assert_eq!(event.notice.release.as_deref(), Some("1.4.2"));
    }
    let [first, second] = [&events[0].notice, &events[1].notice];
    assert_eq!(first.client_fingerprint, ["{{ default }}", "tenant acme"], "it tells apart what would be one");
    assert_eq!(first.trace.as_ref().unwrap().trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(first.dist.as_deref(), Some("55"));
    assert_eq!(json_of(first.threads_json.as_ref())[0]["name"], "main");
    assert_eq!(json_of(first.extra_json.as_ref())["device"]["batteryLevel"], 0.5);
    assert_eq!((first.errors[0].handled, second.errors[0].handled), (Some(true), Some(false)));
    let of_first = json_of(first.unmapped_json.as_ref());
    assert_eq!(of_first["payloadVersion"], "5", "what the request says beside its events is with the first");
    let of_second = json_of(second.unmapped_json.as_ref());
    assert_eq!(of_second["events[1].exceptions[0].stacktrace[0]"]["loadAddress"], "0x7f0000");
    assert!(of_second.get("payloadVersion").is_none());
}

#[test]
fn python_says_stage_and_root_beside() {
    let notice = only(PYTHON);
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert_eq!(notice.server.as_ref().unwrap().root.as_deref(), Some("/srv/shop/app"));
    assert!(notice.client_fingerprint.is_empty());
    let request = notice.request.as_ref().unwrap();
    assert_eq!((request.method.as_deref(), request.component.as_deref()), (Some("GET"), None));
    assert_eq!(json_of(request.cgi_json.as_ref())["PATH_INFO"], "/products/17");
    let unmapped = json_of(notice.unmapped_json.as_ref());
    assert_eq!(unmapped["events[0].context"], "GET /products/17");
    assert_eq!(unmapped["events[0].metaData.request.endpoint"], "product");
}

#[test]
fn python_says_the_module_before_the_class() {
    let notice = only(PYTHON);
    assert_eq!(notice.language.as_deref(), Some("python"));
    let error = &notice.errors[0];
    assert_eq!((error.module.as_deref(), error.class.as_deref()), (Some("shop"), Some("PaymentDeclined")));
    // A class of another language is as it came.
    let other = only(r#"{"events":[{"exceptions":[{"errorClass":"java.io.IOException"}]}]}"#);
    assert_eq!((other.language, other.errors[0].class.as_deref()), (None, Some("java.io.IOException")));
}

#[test]
fn a_message_that_is_said_twice_is_kept_once() {
    // As @bugsnag/node 9.0.0 and 7.25.0 write it.
    let body = |again: &str| {
        format!(
            r#"{{"events":[{{"exceptions":[{{"errorClass":"PaymentDeclined","errorMessage":"{again}","message":"card was declined","type":"nodejs"}}],"device":{{"runtimeVersions":{{"node":"20.20.2"}}}}}}]}}"#
        )
    };
    let notice = only(&body("card was declined"));
    assert_eq!(notice.errors[0].message.as_deref(), Some("card was declined"));
    assert_eq!((notice.language.as_deref(), notice.unmapped_json), (Some("javascript"), None));
    let other = only(&body("another"));
    assert_eq!(json_of(other.unmapped_json.as_ref()), json!({"events[0].exceptions[0].errorMessage": "another"}));
}

#[test]
fn every_leaf_of_an_event_is_kept() {
    for body in [RUBY, ANDROID, PYTHON] {
        let mut kept = HashMap::new();
        for parsed in parsed(body) {
            let mut notice = parsed.notice;
            notice::normalise(&mut notice);
            // A class that was told with its module is there in two parts.
            let classes =
                notice.errors.iter().filter_map(|error| Some((error.module.as_ref()?, error.class.as_ref()?)));
            classes.for_each(|(module, class)| *kept.entry(format!("{module}.{class}")).or_default() += 1);
            count(&capture::json_of(&notice), &mut kept);
        }
        let mut sent = HashMap::new();
        count_leaves("", &serde_json::from_str(body).unwrap(), &mut sent);
        let lost: Vec<_> =
            sent.iter().filter(|(leaf, count)| kept.get(*leaf).is_none_or(|kept| kept < *count)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

/// Scalars and keys, however often they are there.
fn count(value: &Value, counts: &mut HashMap<String, usize>) {
    let mut add = |text: String| *counts.entry(text).or_default() += 1;
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => add(value.to_string()),
        Value::String(text) => add(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| count(item, counts)),
        Value::Object(entries) => {
            for (key, value) in entries {
                *counts.entry(key.clone()).or_default() += 1;
                count(value, counts);
            }
        }
    }
}

/// Scalars of the wire that have a place under the text that they had there: not the key, and not what has a form of its own.
fn count_leaves(name: &str, value: &Value, counts: &mut HashMap<String, usize>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| count_leaves(name, item, counts)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| count_leaves(key, value, counts)),
        _ if matches!(name, "apiKey" | "time" | "context") => {}
        scalar => count(scalar, counts),
    }
}

#[test]
fn one_bad_event_costs_nothing_but_itself() {
    let events = parsed(r#"{"events":[7,{"exceptions":[{"errorClass":"A"}]},null,{"exceptions":[]},"x"]}"#);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].notice.errors[0].class.as_deref(), Some("A"));
    assert_eq!(json_of(events[0].notice.unmapped_json.as_ref()), json!({"events[0]": 7, "events[4]": "x"}));
    assert_eq!(events[1].notice.errors.len(), 1);
    assert_eq!(events[1].notice.notes, ["events[3] has no exceptions"]);
}

#[test]
fn events_of_older_versions_are_read() {
    let notice = only(
        r#"{"apiKey":"k","events":[{"payloadVersion":"2","userId":7,"appVersion":"1.0","releaseStage":"staging","context":"/carts",
        "exceptions":[{"errorClass":"C","message":"m","stacktrace":[{"file":"a.js","lineNumber":"3","columnNumber":9,"method":"f","code":"throw x"}]}],
        "metaData":{"cart":1,"cookies":{"theme":"dark"}},"request":{"url":"http://a.example/","headers":{"A":"b"},"referer":"r"}}]}"#,
    );
    assert_eq!((notice.release.as_deref(), notice.environment.as_deref()), (Some("1.0"), Some("staging")));
    assert_eq!(notice.user.as_ref().unwrap().id.as_deref(), Some("7"));
    let frame = &notice.errors[0].frames[0];
    assert_eq!((frame.line, frame.code[0].line, frame.code[0].text.as_str()), (Some(3), 3, "throw x"));
    let request = notice.request.as_ref().unwrap();
    assert_eq!(request.route.as_deref(), Some("/carts"));
    assert_eq!(json_of(request.cookies_json.as_ref()), json!({"theme": "dark"}));
}

#[test]
fn values_of_the_wrong_kind_are_kept_beside() {
    let notice = only(
        r#"{"notifier":"n","events":[{"exceptions":[{"errorClass":{"a":1},"stacktrace":"s","type":["t"]},5,{"stacktrace":[6,{"lineNumber":"last","inProject":"yes"}]}],
        "app":"a","device":[1],"user":"u","threads":"t","breadcrumbs":"b","groupingHash":["g"],"unhandled":"maybe","metaData":"m","request":"r","correlation":"c"}]}"#,
    );
    assert_eq!(notice.errors.len(), 3);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "notifier": "n", "events[0].exceptions[0].errorClass": {"a": 1}, "events[0].exceptions[0].stacktrace": "s",
            "events[0].exceptions[0].type": ["t"], "events[0].exceptions[1]": 5, "events[0].exceptions[2].stacktrace[0]": 6,
            "events[0].exceptions[2].stacktrace[1]": {"lineNumber": "last", "inProject": "yes"},
            "events[0].app": "a", "events[0].device": [1], "events[0].request": "r", "events[0].user": "u", "events[0].threads": "t",
            "events[0].breadcrumbs": "b", "events[0].groupingHash": ["g"], "events[0].correlation": "c",
        })
    );
    assert_eq!(json_of(notice.errors[0].mechanism_json.as_ref()), json!({"unhandled": "maybe"}));
    assert_eq!(json_of(notice.extra_json.as_ref()), json!({"metaData": "m"}));
    assert_eq!((notice.user, notice.server, notice.request), (None, None, None));
}

#[test]
fn a_request_costs_no_more_than_its_bytes_allow() {
    let many = format!("{{\"events\":[{}{{}}]}}", "{},".repeat(500));
    assert_eq!(
        parse_notify(many.as_bytes()).expect_err("is refused").to_string(),
        "501 events are too many for one request: 500 are taken"
    );
    let long = "n".repeat(1_000_000);
    let events = parsed(&format!("{{\"notifier\":{{\"name\":\"{long}\"}},\"events\":[{}{{}}]}}", "{},".repeat(499)));
    let copies = events.iter().filter(|event| format!("{:?}", event.notice).contains(&long)).count();
    assert_eq!((events.len(), copies), (500, 1));
}

#[test]
fn answers_are_what_the_clients_read() {
    assert_eq!((ACCEPTED_STATUS, COUNTED_STATUS), (200, 202));
    assert_eq!(refused("no"), r#"{"error":"no"}"#);
}

#[test]
fn browsers_clients_of_old_write_the_event_into_an_address() {
    // As bugsnag.js 3.0 writes it.
    let query = "apiKey=k&notifierVersion=3.0.7&name=TypeError&message=card%20is%20null&severity=error&releaseStage=production\
                 &stacktrace=TypeError%3A%20card%20is%20null%0A%20%20at%20charge%20(https%3A%2F%2Fshop.example%2Fapp.js%3A10%3A5)\
                 &url=https%3A%2F%2Fshop.example%2Fcart&userAgent=Mozilla&metaData[cart][id]=4711&userId=42&ct=img";
    let parsed = protocol::bugsnag::parse_query(query.as_bytes()).unwrap();
    assert_eq!(parsed.api_key.as_deref(), Some("k"));
    let notice = parsed.notice;
    assert_eq!(notice.errors[0].class.as_deref(), Some("TypeError"));
    assert_eq!(notice.errors[0].message.as_deref(), Some("card is null"));
    assert_eq!(notice.errors[0].frames[0].function.as_deref(), Some("charge"));
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert_eq!(notice.user.as_ref().unwrap().id.as_deref(), Some("42"));
    assert_eq!(notice.request.as_ref().unwrap().url.as_deref(), Some("https://shop.example/cart"));
    assert_eq!(json_of(notice.extra_json.as_ref()), json!({"cart": {"id": "4711"}}));
    assert_eq!(json_of(notice.unmapped_json.as_ref())["query.ct"], "img");
    assert!(protocol::bugsnag::parse_query(b"apiKey=k").is_err());
}

#[test]
fn a_stack_that_only_counts_frames_is_not_filled() {
    let text = r#"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    f()\n  [Previous line repeated 1900 more times]\nE: m"#;
    let exceptions = vec![format!(r#"{{"errorClass":"E","stacktrace":"{text}"}}"#); 500].join(",");
    let parsed = parse_notify(format!(r#"{{"events":[{{"exceptions":[{exceptions}]}}]}}"#).as_bytes()).unwrap();
    let frames = parsed[0].notice.errors.iter().map(|error| error.frames.len()).sum::<usize>();
    assert!((500..1_500).contains(&frames), "{frames}");
}

#[test]
fn compiled_code_without_names_is_told_by_its_place_in_its_image() {
    let functions = |frames: &str| -> Vec<(Option<String>, Option<String>)> {
        let body = format!(r#"{{"events":[{{"exceptions":[{{"errorClass":"SIGSEGV","stacktrace":{frames}}}]}}]}}"#);
        let notice = parse_notify(body.as_bytes()).unwrap().remove(0).notice;
        notice.errors[0].frames.iter().map(|frame| (frame.file.clone(), frame.function.clone())).collect()
    };
    let named = |name: &str| (None, Some(name.to_owned()));
    let of_android = functions(
        r#"[{"frameAddress":"0x7b1c2d3e40","loadAddress":"0x7b1c2d0000","file":"/data/app/~~Qx==/com.shop-9f==/lib/arm64/libshop.so","method":"0x7b1c2d3e40"},
            {"frameAddress":"0x7b1c2d3f40","loadAddress":"0x7b1c2d0000","file":"/data/app/~~Qx==/com.shop-9f==/lib/arm64/libshop.so","method":"shop_charge"}]"#,
    );
    assert_eq!(of_android, [named("libshop.so+0x3e40"), named("shop_charge")]);
    let of_apple = functions(
        r#"[{"machoFile":"/private/Shop.app/Shop","machoLoadAddress":"0x100000000","frameAddress":"0x10000a4c4"}]"#,
    );
    assert_eq!(of_apple, [named("Shop+0xa4c4")]);
    let of_flutter = functions(r#"[{"method":"_kDartIsolateSnapshotInstructions","frameAddress":"0x1ed6d7"}]"#);
    assert_eq!(of_flutter, [named("_kDartIsolateSnapshotInstructions+0x1ed6d7")]);
}
