//! JSON of version 3 as all its clients write it.

#![expect(clippy::unwrap_used, reason = "a test may")]

use notice::Notice;
use protocol::airbrake::parse_notice;
use serde_json::{Value, json};

fn notice_of(body: &str) -> Notice {
    parse_notice(body.as_bytes()).expect("is read").notice
}

fn json_of(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

#[test]
fn every_error_of_a_chain_is_kept_whatever_is_missing_in_it() {
    let notice = notice_of(
        r#"{"errors":[{"type":"A","message":"a","backtrace":null},{"message":5,"backtrace":[{"file":"f","line":"7","column":null}]},{},null,"text"]}"#,
    );
    assert_eq!(notice.errors.len(), 5);
    assert_eq!(notice.errors[0].class.as_deref(), Some("A"));
    assert_eq!(notice.errors[1].message.as_deref(), Some("5"));
    assert_eq!(notice.errors[1].frames[0].line, Some(7));
    assert_eq!(notice.errors[4].message.as_deref(), Some("text"));
}

#[test]
fn values_of_the_wrong_kind_are_kept_beside() {
    let notice = notice_of(
        r#"{"errors":[{"type":{"a":1},"message":["m"],"backtrace":"at f","x":1}, {"backtrace":[{"line":"last","file":["f"],"code":{"a":"b"}}]}],"context":"c"}"#,
    );
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "errors[0].type": {"a": 1}, "errors[0].message": ["m"], "errors[0].backtrace": "at f", "errors[0].x": 1,
            "errors[1].backtrace[0].line": "last", "errors[1].backtrace[0].file": ["f"], "errors[1].backtrace[0].code.a": "b",
            "context": "c",
        })
    );
}

#[test]
fn the_context_says_who_where_and_in_which_release() {
    let notice = notice_of(
        r#"{"errors":[{}],"notifier":{"name":"n","version":"1","extra":true},"context":{"version":"1.4","environment":"production",
        "severity":"warning","httpMethod":"POST","route":"/a","url":"http://a.example/","userAgent":"Mozilla","userAddr":"203.0.113.7",
        "hostname":"web-1","rootDirectory":"/srv","os":"Linux","language":"Ruby","user":{"id":42,"name":"Ann","plan":"gold"},"revision":"8f2c"}}"#,
    );
    assert_eq!(notice.release.as_deref(), Some("1.4"));
    assert_eq!(notice.severity.as_deref(), Some("warning"));
    let user = notice.user.as_ref().unwrap();
    assert_eq!(
        (user.id.as_deref(), user.name.as_deref(), user.ip.as_deref()),
        (Some("42"), Some("Ann"), Some("203.0.113.7"))
    );
    assert_eq!(json_of(notice.request.as_ref().unwrap().headers_json.as_ref()), json!({"User-Agent": "Mozilla"}));
    assert_eq!(json_of(notice.server.as_ref().unwrap().extra_json.as_ref()), json!({"os": "Linux"}));
    assert_eq!(notice.notifier.as_ref().unwrap().name.as_deref(), Some("n"));
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({"context.user.plan": "gold", "context.revision": "8f2c", "notifier.extra": true})
    );
}

#[test]
fn users_in_older_keys_are_found() {
    let notice = notice_of(
        r#"{"errors":[{}],"context":{"userId":7,"userName":"Ann","userEmail":"ann@example.org","userUsername":"ann"}}"#,
    );
    let user = notice.user.as_ref().unwrap();
    assert_eq!(
        [&user.id, &user.name, &user.email, &user.username].map(|field| field.as_deref().unwrap()),
        ["7", "Ann", "ann@example.org", "ann"]
    );
}

#[test]
fn the_history_becomes_breadcrumbs() {
    let notice = notice_of(
        r#"{"errors":[{}],"context":{"history":[{"type":"xhr","date":"2026-11-22T02:59:48Z","method":"GET","statusCode":500,"message":"m"},"text"]}}"#,
    );
    assert_eq!(
        json_of(notice.breadcrumbs_json.as_ref()),
        json!([
            {"category": "xhr", "at": "2026-11-22T02:59:48Z", "message": "m", "data": {"method": "GET", "statusCode": 500}},
            {"message": "text"},
        ])
    );
}

#[test]
fn what_a_console_was_told_is_the_text_of_a_breadcrumb() {
    // As @airbrake/browser 2.1.9 writes it.
    let breadcrumbs = |arguments: &str| {
        let notice = notice_of(&format!(
            r#"{{"errors":[{{}}],"context":{{"history":[{{"type":"log","severity":"info","arguments":{arguments},"date":"2026-11-26T15:38:26.287Z"}}]}}}}"#
        ));
        json_of(notice.breadcrumbs_json.as_ref())
    };
    assert_eq!(
        breadcrumbs(r#"["basket opened", 3]"#),
        json!([{"category": "log", "level": "info", "at": "2026-11-26T15:38:26.287Z", "message": "basket opened 3"}])
    );
    let with_object = breadcrumbs(r#"["basket", {"items": 3}]"#);
    assert_eq!(with_object[0]["data"]["arguments"], json!(["basket", {"items": 3}]));
    assert!(with_object[0].get("message").is_none());
}

#[test]
fn numbers_and_equal_keys_are_kept_exactly() {
    let notice = notice_of(
        r#"{"errors":[{}],"params":{"big":12345678901234567890123,"float":0.09250640869140625,"a":1,"a":2,"t":1795316388.564}}"#,
    );
    let params = notice.request.as_ref().unwrap().params_json.as_deref().unwrap();
    assert_eq!(
        params,
        r#"{"big":"12345678901234567890123","float":0.09250640869140625,"a":1,"a (2)":2,"t":1795316388.564}"#
    );
    assert_eq!(notice.notes, ["equal keys of one JSON object were numbered"]);
}

#[test]
fn keys_in_the_body_are_for_whoever_checks_them() {
    let parsed = parse_notice(br#"{"errors":[{}],"project_id":1,"key":"a1b2"}"#).unwrap();
    assert_eq!((parsed.api_key.as_deref(), parsed.project_id.as_deref()), (Some("a1b2"), Some("1")));
    assert!(!format!("{:?}", parsed.notice).contains("a1b2"));
}

#[test]
fn half_characters_and_wrong_bytes_are_replaced_and_noted() {
    let notice = parse_notice(b"{\"errors\":[{\"message\":\"\\ud83d \xff\"}]}").unwrap().notice;
    assert_eq!(notice.errors[0].message.as_deref(), Some("\u{fffd} \u{fffd}"));
    assert_eq!(notice.notes.len(), 2, "{:?}", notice.notes);
}

#[test]
fn json_nested_too_deep_is_kept_as_text() {
    let body = format!("{{\"errors\":[{{}}],\"params\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let notice = notice_of(&body);
    assert!(notice.notes[0].contains("deeper than 64"));
    assert!(notice.request.as_ref().unwrap().params_json.as_deref().unwrap().contains("[[[1]]]"));
}

#[test]
fn pythons_older_client_begins_with_the_outermost_call() {
    // As airbrake-python 2.1 writes it.
    let notice = notice_of(
        r#"{"notifier":{"name":"airbrake-python","version":"2.1.2"},"errors":[{"type":"shop.Declined","message":"shop.Declined: no","backtrace":[
        {"file":"/srv/wsgi.py","line":3,"function":"app"},{"file":"/srv/shop.py","line":9,"function":"charge"}]},
        {"type":"Error","message":"slow","backtrace":[{"file":"N/A","line":1,"function":"N/A"}]}]}"#,
    );
    let functions: Vec<_> = notice.errors[0].frames.iter().map(|frame| frame.function.as_deref().unwrap()).collect();
    assert_eq!(functions, ["charge", "app"]);
    assert_eq!(notice.errors[0].message.as_deref(), Some("no"));
    assert!(notice.errors[1].frames.is_empty());
    assert_eq!(json_of(notice.unmapped_json.as_ref()), json!({"errors[1].backtrace": "N/A:1"}));
}

#[test]
fn a_class_of_java_is_no_file() {
    // As javabrake 0.2 writes it.
    let notice = notice_of(
        r#"{"context":{"notifier":{"name":"javabrake"}},"errors":[{"type":"shop.Declined","backtrace":[
        {"file":"/srv/shop-1.4.jar!/shop/Cart.class","function":"charge","line":9},{"file":"java.lang.Thread","function":"run","line":748}]}]}"#,
    );
    let frames: Vec<_> = notice.errors[0]
        .frames
        .iter()
        .map(|frame| (frame.file.as_deref().unwrap(), frame.function.as_deref().unwrap()))
        .collect();
    assert_eq!(frames, [("Cart.java", "shop.Cart.charge"), ("Thread.java", "java.lang.Thread.run")]);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({"errors[0].backtrace[0].file": "/srv/shop-1.4.jar!/shop/Cart.class", "errors[0].backtrace[1].file": "java.lang.Thread"})
    );
}

#[test]
fn a_report_of_a_crash_is_a_notice() {
    let notice = notice_of(
        r#"{"report":"Process: Shop [4711]\nException Type: SIGSEGV\nThread 0 Crashed:\n0   Shop  0x00000001000a4c44 -[Cart charge:] + 172\n","context":{"environment":"production","userName":"ann"}}"#,
    );
    assert_eq!(notice.errors[0].class.as_deref(), Some("SIGSEGV"));
    assert_eq!(notice.errors[0].frames[0].function.as_deref(), Some("-[Cart charge:]"));
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert!(json_of(notice.unmapped_json.as_ref())["report"].as_str().unwrap().starts_with("Process: Shop"));
    // Its exceptions have the address and the offset with the name.
    let notice = notice_of(
        r#"{"errors":[{"type":"NSRangeException","backtrace":[{"file":"Shop","function":"0x00000001000a4c44 -[Cart charge:] + 172"}]}]}"#,
    );
    assert_eq!(notice.errors[0].frames[0].function.as_deref(), Some("-[Cart charge:]"));
}

#[test]
fn modules_of_elixir_are_no_files() {
    // As airbrakex writes it.
    let notice = notice_of(
        r#"{"notifier":{"name":"Airbrakex"},"errors":[{"type":"Elixir.Shop.Declined","message":"no","backtrace":[
        {"file":"(Elixir.Shop.Cart) lib/shop/cart.ex","line":8,"function":"charge/2"},{"file":"(timer) timer.erl","line":166,"function":"tc/1"},
        {"file":"unknown","line":0,"function":"fn/0"}]}]}"#,
    );
    assert_eq!(notice.errors[0].class.as_deref(), Some("Shop.Declined"));
    let frames = notice.errors[0].frames.iter();
    let frames: Vec<_> = frames.map(|frame| (frame.module.as_deref(), frame.file.as_deref(), frame.line)).collect();
    assert_eq!(
        frames,
        [
            (Some("Shop.Cart"), Some("lib/shop/cart.ex"), Some(8)),
            (Some("timer"), Some("timer.erl"), Some(166)),
            (None, None, None),
        ]
    );
}
