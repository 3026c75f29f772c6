//! Bodies that no client should send, and that all of the internet does.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;
mod processor;

use std::sync::LazyLock;
use std::time::Duration;

use capture::{Capture, fixtures};
use notice::Notice;
use notice::prost::Message as _;
use processor::worked;
use proptest::prelude::*;
use protocol::sentry::{self, Envelope, EventContext, ReportContext};
use protocol::{ParseError, Parsed, airbrake, bugsnag, honeybadger, hoptoad, rollbar};

/// Where a key can stand, in the bodies of each protocol.
const PLACES: [&str; 14] = [
    r#"{"error":{"class":"C","KEY":VALUE}}"#,
    r#"{"error":{"class":"C","backtrace":[{"number":7,"KEY":VALUE}],"causes":[{"KEY":VALUE}],"source":{"7":"a"}}}"#,
    r#"{"error":{"class":"C"},"KEY":VALUE}"#,
    r#"{"error":{"class":"C"},"request":{"KEY":VALUE,"context":{"KEY":VALUE}},"server":{"KEY":VALUE}}"#,
    r#"{"error":{"class":"C"},"breadcrumbs":{"KEY":VALUE,"trail":[{"KEY":VALUE}]}}"#,
    r#"{"data":{"body":{"message":"m"},"KEY":VALUE}}"#,
    r#"{"data":{"body":{"trace":{"KEY":VALUE,"frames":[{"lineno":7,"code":"c","KEY":VALUE}],"exception":{"KEY":VALUE}}}}}"#,
    r#"{"data":{"body":{"message":{"body":"m","KEY":VALUE},"KEY":VALUE,"telemetry":[{"KEY":VALUE}]}}}"#,
    r#"{"data":{"body":{"message":"m"},"request":{"KEY":VALUE},"person":{"KEY":VALUE},"server":{"KEY":VALUE}}}"#,
    r#"{"events":[{"exceptions":[{"errorClass":"C"}],"KEY":VALUE}],"KEY":VALUE}"#,
    r#"{"events":[{"exceptions":[{"KEY":VALUE,"stacktrace":[{"lineNumber":7,"KEY":VALUE}]}]}]}"#,
    r#"{"events":[{"app":{"KEY":VALUE},"device":{"KEY":VALUE},"user":{"KEY":VALUE},"correlation":{"KEY":VALUE}}]}"#,
    r#"{"events":[{"metaData":{"KEY":VALUE,"request":{"KEY":VALUE}},"breadcrumbs":[{"KEY":VALUE}]}]}"#,
    r#"{"events":[{"request":{"KEY":VALUE}}, VALUE],"notifier":{"KEY":VALUE}}"#,
];

/// Keys that mean something in one of these places.
const KEYS: [&str; 40] = [
    "class",
    "message",
    "backtrace",
    "fingerprint",
    "tags",
    "causes",
    "source",
    "token",
    "context",
    "details",
    "request",
    "session",
    "cgi_data",
    "local_variables",
    "time",
    "project_root",
    "trail",
    "metadata",
    "timestamp",
    "code",
    "pre",
    "locals",
    "args",
    "trace_chain",
    "crash_report",
    "telemetry",
    "user_ip",
    "GET",
    "custom",
    "client",
    "uuid",
    "unhandled",
    "severityReason",
    "threads",
    "groupingHash",
    "groupingDiscriminator",
    "inProject",
    "cookies",
    "featureFlags",
    "hostname",
];

/// Far more than any of these bodies needs, far less than one that is read again and again.
const PARSE_TIME_MAX: Duration = Duration::from_secs(5);

/// What the function answers, if it did not take long.
fn quickly<T>(body: &[u8], function: impl FnOnce() -> T) -> T {
    let started = worked();
    let answer = function();
    let took = worked().saturating_sub(started);
    assert!(took < PARSE_TIME_MAX, "{took:?} for {} bytes", body.len());
    answer
}

/// Parses by every parser, prepares what comes out like the gateway, and checks that it is bounded.
fn put_through(body: &[u8]) {
    let xml = quickly(body, || hoptoad::parse(body));
    let json = quickly(body, || airbrake::parse_notice(body));
    let honeybadger = quickly(body, || honeybadger::parse_notice(body));
    let rollbar = quickly(body, || rollbar::parse_items(body, None));
    let rollbar = rollbar.into_iter().flatten();
    let bugsnag = quickly(body, || bugsnag::parse_notify(body)).into_iter().flatten();
    let in_address = [honeybadger::parse_query, bugsnag::parse_query].map(|parse| quickly(body, || parse(body)));
    let one = [xml, json, honeybadger].into_iter().chain(in_address).flatten();
    let parsed = one.chain(rollbar).chain(bugsnag).chain(put_through_sentry(body));
    parsed.for_each(|parsed| quickly(body, || prepare(parsed.notice)));
}

fn prepare(mut notice: Notice) {
    notice::normalise(&mut notice);
    notice::scrub(&mut notice);
    let json = capture::json_of(&notice);
    assert!(json["errors"].is_array());
    assert!(notice.encoded_len() <= notice::normalise::NOTICE_BYTES_MAX + 64 * 1024);
    notice::fold_key(&notice);
    notice::lane_hash(&notice);
    notice::fingerprint(&notice, notice::Grouping::Default);
    notice::fingerprint(&notice, notice::Grouping::Hoptoad);
    let encoded = notice.encode_to_vec();
    notice::facets(&notice::NoticeFacts::decode(encoded.as_slice()).expect("facts are a part of a notice"));
    notice::search_words(&notice);
}

/// As an envelope with all its items, as an event of the older store, and as everything else of Sentry's.
fn put_through_sentry(body: &[u8]) -> Vec<Parsed> {
    const UNPACKED_BYTES_MAX: usize = 1 << 20;
    let event_context = EventContext { event_id: None, peer_ip: Some(capture::PEER_IP), client: Some("raven/1") };
    let context = ReportContext::default();
    let mut parsed = quickly(body, || events_of_envelope(body, &event_context));
    if let Ok(event) = sentry::decode_store_body(body, UNPACKED_BYTES_MAX) {
        assert!(event.len() <= UNPACKED_BYTES_MAX.max(body.len()));
        parsed.extend(quickly(body, || sentry::parse_event(&event, &event_context)));
    }
    let security = quickly(body, || sentry::security_report(body, "application/csp-report", &context));
    let nel = quickly(body, || sentry::nel_report(body, &context));
    for reports in [security, nel].into_iter().flatten() {
        assert!(reports.len() <= 100);
        parsed.extend(reports);
    }
    assert!(quickly(body, || sentry::client_report(body)).len() <= 50);
    let _ = quickly(body, || sentry::user_report(body));
    let _ = quickly(body, || sentry::feedback(body));
    quickly(body, || sentry::error_page_form(body, body));
    parsed
}

fn events_of_envelope(body: &[u8], context: &EventContext<'_>) -> Vec<Parsed> {
    let mut parsed = Vec::new();
    let Ok(mut envelope) = Envelope::begin(body) else { return parsed };
    while let Ok(Some(item)) = envelope.next_item(|_| 1 << 20) {
        assert!(item.payload.len() as u64 <= item.payload_bytes && item.payload_bytes <= body.len() as u64);
        parsed.extend(sentry::parse_event(&item.payload, context));
        let _ = sentry::user_report(&item.payload);
    }
    parsed
}

fn small_fixtures() -> Vec<Capture> {
    fixtures().into_iter().filter(|fixture| fixture.is_notice() && fixture.body.len() < 4_000).collect()
}

#[test]
fn a_document_cut_behind_its_key_is_kept_as_far_as_it_goes() {
    for fixture in small_fixtures().iter().filter(|fixture| fixture.is_xml()) {
        let whole = fixture.whole_body();
        let key_end = whole.windows(10).position(|window| window == b"</api-key>").unwrap() + 10;
        let Parsed { notice: all, .. } = hoptoad::parse(&whole).unwrap();
        let mut frame_count = 0;
        let document_end = whole.windows(9).rposition(|window| window == b"</notice>").unwrap() + 9;
        for end in 0..document_end {
            let parsed = hoptoad::parse(&whole[..end]);
            if end < key_end {
                assert!(parsed.is_err(), "{} at {end}", fixture.name);
                continue;
            }
            let parsed = parsed.unwrap_or_else(|error| panic!("{} at {end}: {error}", fixture.name));
            assert!(parsed.salvaged, "{} at {end}", fixture.name);
            let frames = &parsed.notice.errors[0].frames;
            // PHP's top frame comes from its message, and only when that is whole.
            assert!(
                frames.len() + 1 >= frame_count && frames.len() <= all.errors[0].frames.len(),
                "{} at {end}",
                fixture.name
            );
            frame_count = frames.len();
        }
        assert!(!hoptoad::parse(&whole[..document_end]).unwrap().salvaged);
    }
}

#[test]
fn json_cut_anywhere_is_refused() {
    for fixture in small_fixtures().iter().filter(|fixture| is_bare_json(fixture)) {
        let body = fixture.body.trim_ascii_end();
        let cut = |end: usize| Capture { body: body[..end].to_vec(), ..fixture.clone() };
        for end in 0..body.len() {
            assert!(cut(end).parse().is_err(), "{} at {end}", fixture.name);
        }
    }
}

/// Whether all of the body is one document of JSON.
fn is_bare_json(fixture: &Capture) -> bool {
    !fixture.is_xml() && !fixture.is_sentry() && !fixture.is_otlp()
}

#[test]
fn attacks_are_refused_or_cut_and_cost_little() {
    let document = |inner: &str| {
        format!("<notice version=\"2.0\"><api-key>k</api-key><error><class>C</class>{inner}</error></notice>")
    };
    let laughs = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><notice version=\"2.0\">&b;</notice>";
    assert_eq!(hoptoad::parse(laughs.as_bytes()), Err(ParseError::Doctype));
    assert_eq!(
        hoptoad::parse(b"<?xml version=\"1.0\"?><!DOCTYPE x SYSTEM \"file:///etc/passwd\"><notice/>"),
        Err(ParseError::Doctype)
    );
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert_eq!(hoptoad::parse(document(&deep).as_bytes()), Err(ParseError::TooDeep));

    for body in [
        document(&"<backtrace><line/></backtrace>".repeat(100_000)),
        document(&format!("<message>{}</message>", "&amp;".repeat(200_000))),
        document(&format!("<message>{}</message>", "&#55357;".repeat(200_000))),
        document(&format!("<message>{}", "&unknown;".repeat(100_000))),
        document(&format!("<message>{}</message>", "<b>x</b>y".repeat(100_000))),
        document(&format!("<x {}/>", "a='1' ".repeat(100_000))),
        document(&"<x a='1' a='1'/>".repeat(50_000)),
        format!(
            "<notice version=\"2.0\"><api-key>k</api-key><request><params>{}</params></request><error/></notice>",
            "<var key='a'>1</var>".repeat(100_000)
        ),
        format!(
            "<notice version=\"2.0\"><api-key>k</api-key><request><params>{}</params></request><error/></notice>",
            "<var key='a'>".repeat(900)
        ),
        document(&format!("<message>{}</message>", "token=".repeat(100_000))),
        document(&format!("<message>{}</message>", "eyJ".repeat(200_000))),
        document(&format!("<message>{}</message>", "4111 1111 ".repeat(60_000))),
        document(&format!("<message>{}</message>", "1".repeat(600_000))),
        document(&format!("<message>{}</message>", "\"password\": \"".repeat(50_000))),
        document(&format!("<message>{}</message>", "a://b:c".repeat(80_000))),
        document(&format!("<message>{}</message>", " in /a.php on line 1".repeat(30_000))),
        document(&format!("<message>{}</message>", "C: ".repeat(200_000))),
    ] {
        put_through(body.as_bytes());
    }
    let errors = |inner: &str| format!("{{\"errors\":[{{\"type\":\"C\",\"message\":\"m\"}}],\"params\":{inner}}}");
    for body in [
        errors(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        errors(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        errors(&format!("{}1{}", "{\"cookie\":".repeat(60), "}".repeat(60))),
        errors(&format!("[{}0]", "0,".repeat(1_000_000))),
        errors(&format!("{{{}\"b\":1}}", "\"a\":1,".repeat(300_000))),
        errors(&format!("{{{}\"b\":1}}", "\"\":{\"\":\"\"},".repeat(200_000))),
        errors(&format!("\"{}\"", "\\ud83d".repeat(200_000))),
        errors(&format!("[{}0]", "1e999,".repeat(200_000))),
        errors(&format!("\"{}\"", "\\\\\\\"password\\\\\\\":".repeat(100_000))),
        format!("{{\"errors\":[{}{{}}]}}", "{},".repeat(200_000)),
        format!("{{\"errors\":[{{\"backtrace\":[{}{{}}]}}]}}", "{\"file\":\"a\",\"x\":1},".repeat(50_000)),
        format!("{{\"errors\":[{{\"backtrace\":[{{\"code\":{{{}\"1\":\"\"}}}}]}}]}}", "\"1\":\"a\",".repeat(100_000)),
        format!("{{\"errors\":[{{\"message\":\"{}\"}}]}}", "a@".repeat(500_000)),
        format!("{{\"error\":{{\"causes\":[{}{{}}]}}}}", "{},".repeat(200_000)),
        format!("{{\"error\":{{\"backtrace\":[{}{{}}]}}}}", "{\"number\":1,\"x\":1},".repeat(50_000)),
        format!("{{\"error\":{{\"tags\":[{}\"a\"]}}}}", "\"a\",".repeat(200_000)),
        format!("{{\"error\":{{\"tags\":\"{}\"}}}}", "a,".repeat(300_000)),
        format!("{{\"error\":{{}},\"breadcrumbs\":{{\"trail\":[{}1]}}}}", "{\"metadata\":{\"a\":1}},".repeat(50_000)),
        format!("{{\"data\":{{\"body\":{{\"trace_chain\":[{}{{}}]}}}}}}", "{},".repeat(200_000)),
        format!(
            "{{\"data\":{{\"body\":{{\"trace\":{{\"frames\":[{}{{}}]}}}}}}}}",
            "{\"lineno\":1,\"x\":1},".repeat(50_000)
        ),
        format!(
            "{{\"data\":{{\"body\":{{\"trace\":{{\"frames\":[{{\"lineno\":1,\"context\":{{\"pre\":[{}1]}}}}]}}}}}}}}",
            "1,".repeat(200_000)
        ),
        format!("payload={}", "%7B%22data%22%3A".repeat(50_000)),
        format!("{{\"events\":[{}{{}}]}}", "{},".repeat(499)),
        format!("{{\"events\":[{}{{}}]}}", "{},".repeat(200_000)),
        format!("{{\"events\":[{}{{}}]}}", "1,".repeat(499)),
        format!("{{\"events\":[{{\"exceptions\":[{}{{}}]}}]}}", "{},".repeat(200_000)),
        format!(
            "{{\"events\":[{{\"exceptions\":[{{\"stacktrace\":[{}{{}}]}}]}}]}}",
            "{\"lineNumber\":1,\"x\":1},".repeat(50_000)
        ),
        format!("{{\"events\":[{{\"metaData\":{{{}\"a\":1}}}}]}}", "\"request\":{},".repeat(100_000)),
    ] {
        put_through(body.as_bytes());
    }
}

#[test]
fn events_cut_anywhere_are_refused_and_what_lies_before_them_is_kept() {
    for fixture in small_fixtures().iter().filter(|fixture| fixture.is_sentry()) {
        let (event, _) = fixture.event().unwrap();
        let event = event.trim_ascii_end();
        for end in 0..event.len() {
            let parsed = sentry::parse_event(&event[..end], &EventContext::default());
            assert!(parsed.is_err(), "{} at {end}", fixture.name);
        }
    }
    for fixture in fixtures().iter().filter(|fixture| fixture.is_envelope() && fixture.body.len() < 8_000) {
        let (_, all) = fixture.envelope();
        for end in 0..fixture.body.len() {
            let Ok(mut envelope) = Envelope::begin(&fixture.body[..end]) else { continue };
            let mut items = Vec::new();
            while let Ok(Some(item)) = envelope.next_item(|_| usize::MAX) {
                items.push(item);
            }
            // Without a length the last payload ends where everything ends.
            let whole = items.len().saturating_sub(1);
            assert_eq!(items[..whole], all[..whole], "{} at {end}", fixture.name);
            if let Some(last) = items.last() {
                assert_eq!(last.head, all[whole].head, "{} at {end}", fixture.name);
                assert!(all[whole].payload.starts_with(&last.payload), "{} at {end}", fixture.name);
                assert!(last.head.length.is_none() || *last == all[whole], "{} at {end}", fixture.name);
            }
        }
    }
}

#[test]
fn attacks_by_events_and_envelopes_cost_little() {
    let exception = |inner: &str| format!("{{\"exception\":[{{\"type\":\"C\",{inner}}}]}}");
    let frames =
        |inner: &str, count| exception(&format!("\"stacktrace\":{{\"frames\":[{}{{}}]}}", inner.repeat(count)));
    for body in [
        format!("{{\"exception\":[{}{{}}]}}", "{},".repeat(200_000)),
        format!("{{\"exception\":[{}{{}}]}}", "{\"mechanism\":{\"exception_id\":1,\"parent_id\":1}},".repeat(20_000)),
        format!(
            "{{\"exception\":[{}{{}}]}}",
            (0..12_000)
                .map(|n| format!("{{\"mechanism\":{{\"exception_id\":{n},\"parent_id\":{}}}}},", n + 1))
                .collect::<String>()
        ),
        frames("{},", 200_000),
        frames("{\"filename\":\"a\",\"abs_path\":\"b\",\"x\":1},", 20_000),
        frames(
            "{\"lineno\":4294967295,\"pre_context\":[\"\",\"\"],\"post_context\":[\"\"],\"context_line\":\"\"},",
            10_000,
        ),
        exception(&format!("\"value\":{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        exception(&format!("\"value\":\"{}\"", "a: ".repeat(300_000))),
        format!("{{\"threads\":[{}{{}}]}}", "{\"crashed\":true,\"stacktrace\":{}},".repeat(15_000)),
        format!(
            "{{\"logentry\":{{\"message\":\"{}\",\"params\":{{\"a\":\"{}\"}}}}}}",
            "%(a)s".repeat(100_000),
            "x".repeat(100_000)
        ),
        format!("{{\"logentry\":{{\"message\":\"{}\",\"params\":[\"x\"]}}}}", "{0}".repeat(200_000)),
        format!(
            "{{\"logentry\":{{\"message\":\"{}\",\"params\":{{{}\"z\":1}}}}}}",
            "%(zz)s".repeat(100_000),
            (0..20_000).map(|n| format!("\"{n}\":\"\",")).collect::<String>()
        ),
        format!("{{\"request\":{{\"query_string\":\"{}\"}}}}", "a&".repeat(400_000)),
        format!("{{\"request\":{{\"headers\":[{}0]}}}}", "[\"a\",1],".repeat(15_000)),
        format!("{{\"tags\":[{}0]}}", "[\"a\"],".repeat(40_000)),
        format!("{{\"breadcrumbs\":[{}0]}}", "{\"timestamp\":1e15,\"data\":{\"a\":1},\"a\":2},".repeat(9_000)),
        format!("{{\"fingerprint\":[{}0]}}", "[1],".repeat(40_000)),
        format!("[{}0]", "{\"type\":\"x\",\"body\":{}},".repeat(15_000)),
        format!("{{\"discarded_events\":[{}0]}}", "{\"category\":\"error\",\"quantity\":1},".repeat(15_000)),
        format!("{{}}\n{}", "\n".repeat(1_000_000)),
        format!("{{}}\n{}", "{\"type\":\"x\"}\n\n".repeat(100_000)),
        format!("{{}}\n{{\"type\":\"x\",\"length\":{}}}\nx", u64::MAX),
        format!("{{\"x\":{}1{}}}\n", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{{}}\n{{\"type\":\"{}", "x".repeat(1_000_000)),
    ] {
        put_through(body.as_bytes());
    }
}

#[test]
fn whatever_stands_in_any_place_is_kept() {
    let mut lost = Vec::new();
    for place in PLACES {
        for key in KEYS {
            for value in ["\"mark 7\"", "[\"mark 7\"]", "{\"k\":\"mark 7\"}", "[[{\"k\":\"mark 7\"}]]"] {
                let body = place.replace("KEY", key).replace("VALUE", value);
                let count = body.matches("mark 7").count();
                let one = honeybadger::parse_notice(body.as_bytes());
                let items = rollbar::parse_items(body.as_bytes(), Some("203.0.113.7")).into_iter().flatten();
                let more = bugsnag::parse_notify(body.as_bytes()).into_iter().flatten();
                let kept: usize = one
                    .into_iter()
                    .chain(items)
                    .chain(more)
                    .map(|parsed| capture::json_of(&parsed.notice).to_string().matches("mark 7").count())
                    .sum();
                if kept < count {
                    lost.push(format!("{kept} of {count}: {body}"));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{} bodies lose something:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn what_is_no_notice_is_refused_with_a_reason() {
    for (body, reason) in [
        (&b""[..], "the body is empty"),
        (b" \n", "the body is empty"),
        (b"hello", "the body is not XML: it has no `notice` element"),
        (b"{\"errors\":[]}", "the body is not XML: it has no `notice` element"),
        (b"<html><body/></html>", "the root element is `html`, not `notice`"),
        (
            b"<notice version=\"1.2\"><api-key>k</api-key><error/></notice>",
            "version `1.2` of the notice is not supported: 2.0 to 2.4 are",
        ),
        (b"<notice version=\"3.0\"/>", "version `3.0` of the notice is not supported: 2.0 to 2.4 are"),
        (b"<notice version=\"2.0\"><api-key>k</api-key></notice>", "the notice has no `error` element"),
        (b"<notice version=\"2.0\"><error><class>C</class>", "the XML ends before the `api-key` does"),
        (b"<notice version=\"2.0\"><api-key>k", "the XML ends before the `api-key` does"),
    ] {
        let error = hoptoad::parse(body).expect_err("is refused");
        assert_eq!(error.to_string(), reason);
    }
    for (body, reason) in [
        (&b""[..], "the body is empty"),
        (b"{", "the body is not JSON: expected a key in quotes at byte 1"),
        (b"[]", "the body is JSON, but not an object"),
        (b"{}", "`errors` is missing: a notice needs a list of at least one error"),
        (b"{\"errors\":null}", "`errors` is missing: a notice needs a list of at least one error"),
        (b"{\"errors\":[]}", "`errors` is empty: a notice needs at least one error"),
    ] {
        assert_eq!(airbrake::parse_notice(body).expect_err("is refused").to_string(), reason);
    }
    for (refused, reason) in [
        (honeybadger::parse_notice(b"{}").err(), "`error` is missing: a notice needs one"),
        (honeybadger::parse_notice(b"{\"error\":{}}").err(), "`error` is missing: a notice needs one"),
        (rollbar::parse_items(b"", None).err(), "the body is empty"),
        (rollbar::parse_items(b"payload=", None).err(), "the body is empty"),
        (rollbar::parse_items(b"{\"data\":5}", None).err(), "`data` is missing"),
        (rollbar::parse_items(b"{\"data\":{}}", None).err(), "`data.body` is missing"),
        (
            rollbar::parse_items(b"{\"data\":{\"body\":{\"trace_chain\":[]}}}", None).err(),
            "`data.body` has no `trace`, `trace_chain`, `message` or `crash_report`: an item needs one",
        ),
        (
            bugsnag::parse_notify(b"{\"events\":{}}").err(),
            "`events` is missing: a request needs a list of at least one event",
        ),
        (bugsnag::parse_notify(b"{\"events\":[7]}").err(), "`events` has no event: a request needs at least one"),
    ] {
        assert_eq!(refused.expect("is refused").to_string(), reason);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_borne(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        put_through(&body);
    }

    #[test]
    fn any_markup_is_borne(body in "(<notice version=\"2.[0-4]\">)?(<api-key>k</api-key>)?[<>/a-c=\"'&;#!\\[\\]\\-x0-9 ]{0,300}(</notice>)?") {
        put_through(body.as_bytes());
    }

    #[test]
    fn any_json_is_borne(body in "\\{\"errors\":\\[[\\[\\]{}:,\"a-c0-9.eE+\\-\\\\u ]{0,300}\\]\\}") {
        put_through(body.as_bytes());
    }

    #[test]
    fn any_address_is_borne(body in "(notice\\[error\\]\\[(class|backtrace)\\]|stacktrace|name|metaData)[\\[\\]a-c]{0,9}=[a-c@:/%0-9A& \\[\\]=]{0,300}") {
        put_through(body.as_bytes());
    }

    #[test]
    fn any_report_of_a_crash_is_borne(
        lines in proptest::collection::vec("(Process|Exception Type|Exception Codes|Thread 0 Crashed|Last Exception Backtrace)?:?[0-9 x+:a-c'\\[\\]-]{0,40}", 0..30),
    ) {
        put_through(serde_json::json!({"report": lines.join("\n")}).to_string().as_bytes());
    }

    #[test]
    fn any_event_is_borne(body in "\\{\"(exception|threads|logentry|request|tags|user|breadcrumbs|stacktrace)\":[\\[\\]{}:,\"a-c0-9.eE+\\-\\\\u ]{0,300}\\}") {
        put_through(body.as_bytes());
    }

    #[test]
    fn any_envelope_is_borne(body in "\\{\\}\n(\\{\"type\":\"(event|x)\"(,\"length\":[0-9]{1,2})?\\}\n[\\[\\]{}:,\"a-c0-9 \n]{0,40}\n?){0,6}") {
        put_through(body.as_bytes());
    }

    #[test]
    fn any_value_in_any_place_is_borne(
        value in prop_oneof!["[0-9]{1,20}", "\"[a-c/#: 0-9]{0,12}\"", "true", "null", "\\[(\\{\\}|1|\"a\")?\\]", "\\{(\"a\":[0-9])?\\}"],
        place in any::<prop::sample::Index>(),
        key in any::<prop::sample::Index>(),
    ) {
        let body = place.get(&PLACES).replace("KEY", key.get::<&str>(&KEYS)).replace("VALUE", &value);
        put_through(body.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn real_bodies_with_wrong_bytes_in_them_are_borne(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        static FIXTURES: LazyLock<Vec<Vec<u8>>> =
            LazyLock::new(|| small_fixtures().iter().map(Capture::whole_body).collect());
        let mut body = which.get(&FIXTURES).clone();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        put_through(&body);
    }
}
