//! OpenTelemetry's requests, in both encodings.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;
mod otlp_message;
mod processor;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use capture::{Capture, captures_or_fixtures, fixtures, json_of};
use notice::Notice;
use otlp_message::{
    Any, AnyValue, ArrayValue, Event, KeyValue, KeyValues, Logs, Span, Traces, attribute, exception, logs, logs_json,
    record, span, texts, traces, traces_json,
};
use processor::worked;
use proptest::prelude::*;
use prost::Message;
use protocol::otlp::{Encoding, Taken, read_logs, read_metrics, read_traces};
use protocol::{ParseError, Parsed};
use serde_json::{Value, json};

const PYTHON: &str = "Traceback (most recent call last):\n  File \"/srv/shop/app/shop.py\", line 22, in checkout\n    charge(card)\n  File \"/srv/shop/app/shop.py\", line 18, in charge\n    raise PaymentDeclined(card)\nshop.PaymentDeclined: declined\n";

fn requests() -> Vec<Capture> {
    captures_or_fixtures().into_iter().chain(fixtures()).filter(Capture::is_otlp).collect()
}

fn is_logs(capture: &Capture) -> bool {
    capture.meta["path"].as_str().is_some_and(|path| path.contains("logs") || path.contains("LogsService"))
}

fn is_traces(capture: &Capture) -> bool {
    capture.meta["path"].as_str().is_some_and(|path| path.contains("traces") || path.contains("TraceService"))
}

/// What is made of spans, which must be the same in both encodings.
fn take_traces(request: &Traces) -> Taken {
    let taken = read_traces(&request.encode_to_vec(), Encoding::Protobuf).unwrap();
    let json = read_traces(traces_json(request).to_string().as_bytes(), Encoding::Json).unwrap();
    assert_eq!(without_lone_ids(json), without_lone_ids(taken.clone()));
    taken
}

/// What is made of records, which must be the same in both encodings.
fn take_logs(request: &Logs) -> Taken {
    let taken = read_logs(&request.encode_to_vec(), Encoding::Protobuf).unwrap();
    let json = read_logs(logs_json(request).to_string().as_bytes(), Encoding::Json).unwrap();
    assert_eq!(without_lone_ids(json), without_lone_ids(taken.clone()));
    taken
}

/// Ids of what is in no trace are made of the bytes on the wire; entries of objects have no order.
fn without_lone_ids(taken: Taken) -> (u64, u64, u64, Vec<Value>) {
    let notice = |mut notice: Notice| {
        if notice.trace.as_ref().is_none_or(|trace| trace.trace_id.is_none()) {
            notice.client_id = None;
        }
        json_of(&notice)
    };
    let notices = taken.notices.into_iter().map(|parsed| notice(parsed.notice)).collect();
    (taken.span_count, taken.log_count, taken.refused_count, notices)
}

fn only(taken: Taken) -> Notice {
    assert_eq!((taken.notices.len(), taken.refused_count), (1, 0));
    taken.notices.into_iter().next().unwrap().notice
}

fn json_part(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

fn id(notice: &Notice) -> &str {
    notice.client_id.as_deref().expect("every notice has an id")
}

#[test]
fn captured_requests_are_taken_whole() {
    let mut count = 0;
    for capture in requests() {
        let taken = capture.taken();
        let observed = &capture.meta["observed"];
        let exceptions = observed["exception_events"].as_u64().or(observed["with_exception"].as_u64()).unwrap_or(0);
        assert_eq!(taken.notices.len() as u64, exceptions, "{}", capture.name);
        assert_eq!(taken.span_count, observed["spans"].as_u64().unwrap_or(0), "{}", capture.name);
        assert_eq!(taken.log_count, observed["logs"].as_u64().unwrap_or(0), "{}", capture.name);
        assert_eq!(taken.data_point_count > 0, observed["kind"] == "otlp-metrics", "{}", capture.name);
        assert_eq!(taken.refused_count, 0, "{}", capture.name);
        count += taken.notices.len();
        let expected = &capture.meta["expected"];
        for Notice { errors, .. } in taken.notices.iter().map(|parsed| &parsed.notice) {
            let classes: Vec<&str> = errors.iter().filter_map(|error| error.class.as_deref()).collect();
            if let Some(causes) = expected["cause_classes"].as_array() {
                let causes: Vec<&str> = causes.iter().filter_map(Value::as_str).collect();
                assert_eq!(classes[1..], causes, "{}", capture.name);
            }
            if let Some(frames) = expected["frames"].as_u64() {
                let is_own = |file: &String| file.starts_with("/srv/shop/app/");
                let own = errors[0].frames.iter().filter(|frame| frame.file.as_ref().is_some_and(is_own)).count();
                assert_eq!(own as u64, frames, "{}", capture.name);
            }
            assert_eq!(errors[0].class.as_deref(), expected["error_class"].as_str(), "{}", capture.name);
        }
    }
    assert!(count > 0);
}

#[test]
fn captured_requests_are_the_same_in_json() {
    let mut count = 0;
    for capture in requests() {
        if is_traces(&capture) {
            count += take_traces(&Traces::of(&capture)).notices.len();
        } else if is_logs(&capture) {
            count += take_logs(&Logs::of(&capture)).notices.len();
        }
    }
    assert!(count > 0);
}

/// The same JSON under the names that the definition of the messages has for everything.
fn as_defined(json: Value) -> Value {
    match json {
        Value::Array(items) => items.into_iter().map(as_defined).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), &value) {
                    ("kind", value) if *value == 2 => "SPAN_KIND_SERVER".into(),
                    ("code", value) if *value == 2 => "STATUS_CODE_ERROR".into(),
                    ("severityNumber", value) if *value == 18 => "SEVERITY_NUMBER_ERROR2".into(),
                    _ => as_defined(value),
                };
                let name = key.chars().flat_map(|letter| {
                    letter.is_ascii_uppercase().then_some('_').into_iter().chain(letter.to_lowercase())
                });
                (name.collect::<String>(), value)
            })
            .collect(),
        other => other,
    }
}

#[test]
fn names_of_the_definition_and_of_older_versions_say_the_same() {
    let mut attributes = texts(&[("url.path", "/a"), ("http.request.method", "GET")]);
    attributes.push(attribute("count", 7));
    attributes.push(attribute("list", AnyValue { value: Some(Any::Array(ArrayValue { values: vec![1.into()] })) }));
    let mut span = span(attributes, exception("E", "m", PYTHON));
    span.status = Some(otlp_message::Status { code: 2, message: "failed".to_owned() });
    let request = traces(texts(&[("host.name", "a")]), vec![span]);
    let read = |json: &str| without_lone_ids(read_traces(json.as_bytes(), Encoding::Json).unwrap());
    let json = traces_json(&request);
    let usual = read(&json.to_string());
    assert_eq!(usual.3.len(), 1);
    let defined = as_defined(json.clone());
    assert_eq!(read(&defined.to_string()), usual, "{defined}");
    let of_2021 = json
        .to_string()
        .replace("scopeSpans", "instrumentationLibrarySpans")
        .replace("\"scope\":", "\"instrumentationLibrary\":");
    assert_eq!(read(&of_2021), usual, "{of_2021}");
    let base64 =
        json.to_string().replace(&"5b".repeat(16), "W1tbW1tbW1tbW1tbW1tbWw==").replace(&"af".repeat(8), "r6+vr6+vr68=");
    assert_eq!(read(&base64), usual, "{base64}");

    let mut logged = record(exception("E", "m", ""));
    logged.severity_number = 18;
    let request = logs(Vec::new(), vec![logged]);
    let read = |json: &str| without_lone_ids(read_logs(json.as_bytes(), Encoding::Json).unwrap());
    let json = logs_json(&request);
    let usual = read(&json.to_string());
    assert_eq!(usual.3.len(), 1);
    let defined = as_defined(json.clone());
    assert_eq!(read(&defined.to_string()), usual, "{defined}");
    let of_2021 = json.to_string().replace("scopeLogs", "instrumentationLibraryLogs").replace("logRecords", "logs");
    assert_eq!(read(&of_2021), usual, "{of_2021}");
    let metrics = r#"{"resource_metrics":[{"instrumentation_library_metrics":[{"metrics":[{"gauge":{"data_points":[{},{}]}}]}]}]}"#;
    assert_eq!(read_metrics(metrics.as_bytes(), Encoding::Json).unwrap().data_point_count, 2);
}

#[test]
fn what_is_sent_again_has_the_same_id_and_nothing_else_has() {
    let mut ids: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for capture in captures_or_fixtures().iter().filter(|capture| capture.is_otlp()) {
        let taken = capture.taken();
        let in_request: BTreeSet<String> = taken.notices.iter().map(|parsed| id(&parsed.notice).to_owned()).collect();
        assert_eq!(in_request.len(), taken.notices.len(), "{}", capture.name);
        for id in in_request {
            assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
            ids.entry(id).or_default().insert(capture.body.clone());
        }
    }
    assert!(ids.values().all(|bodies| bodies.len() == 1), "two exceptions have one id");
}

#[test]
fn an_event_and_a_record_of_the_same_exception_are_twins() {
    let event = only(take_traces(&traces(
        Vec::new(),
        vec![span(Vec::new(), exception("shop.PaymentDeclined", "declined", PYTHON))],
    )));
    let logged =
        only(take_logs(&logs(Vec::new(), vec![record(exception("PaymentDeclined", "declined", PYTHON.trim_end()))])));
    assert_eq!(id(&event), id(&logged));
    assert_eq!(event.errors, logged.errors);
    for other in [
        exception("PaymentDeclined", "declined again", PYTHON),
        exception("CheckoutError", "declined", PYTHON),
        exception("PaymentDeclined", "declined", ""),
    ] {
        assert_ne!(id(&event), id(&only(take_logs(&logs(Vec::new(), vec![record(other)])))));
    }
    let elsewhere = Span { span_id: vec![1; 8], ..span(Vec::new(), exception("PaymentDeclined", "declined", PYTHON)) };
    assert_ne!(id(&event), id(&only(take_traces(&traces(Vec::new(), vec![elsewhere])))));
}

fn ids(taken: &Taken) -> Vec<&str> {
    taken.notices.iter().map(|parsed| id(&parsed.notice)).collect()
}

#[test]
fn what_fails_again_in_one_span_counts_again_and_what_is_sent_again_does_not() {
    let failed = || exception("shop.PaymentDeclined", "declined", "");
    let mut looping = span(Vec::new(), failed());
    for after_ns in [1_000_000, 2_000_000] {
        let first = looping.events[0].clone();
        looping.events.push(Event { time_unix_nano: first.time_unix_nano + after_ns, ..first });
    }
    let told = || take_traces(&traces(Vec::new(), vec![looping.clone()]));
    let events = told();
    assert_eq!(ids(&events).into_iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(ids(&events), ids(&told()), "what is sent again");
    // A sender that puts it twice into one request says it of one span.
    let twice = take_traces(&traces(Vec::new(), vec![looping.clone(), looping.clone()]));
    assert_eq!(ids(&twice), ids(&events).repeat(2));

    let logged = |count: usize| logs(Vec::new(), vec![record(failed()); count]);
    assert_eq!(ids(&take_logs(&logged(3))), ids(&events), "each record is the twin of an event");
    // What one logger has logged and passed on another logs again.
    let mut passed_on = logged(2);
    let mut elsewhere = passed_on.resource_logs[0].scope_logs[0].clone();
    elsewhere.scope.get_or_insert_default().name = "shop.elsewhere".to_owned();
    passed_on.resource_logs[0].scope_logs.push(elsewhere);
    assert_eq!(ids(&take_logs(&passed_on)), ids(&take_logs(&logged(2))).repeat(2));
}

#[test]
fn outside_of_a_trace_everything_makes_the_id_times_included() {
    let alone = |nanos, host| {
        let record = otlp_message::LogRecord {
            time_unix_nano: nanos,
            trace_id: vec![0; 16],
            span_id: Vec::new(),
            ..record(exception("E", "m", ""))
        };
        only(take_logs(&logs(texts(&[("host.name", host)]), vec![record])))
    };
    assert_eq!(alone(1, "a").client_id, alone(1, "a").client_id);
    assert_eq!(alone(1, "a").trace, None);
    assert_ne!(alone(1, "a").client_id, alone(2, "a").client_id);
    assert_ne!(alone(1, "a").client_id, alone(1, "b").client_id);
    // A loop logs several in a millisecond, and all of it may be sent again.
    let untraced =
        otlp_message::LogRecord { trace_id: Vec::new(), span_id: Vec::new(), ..record(exception("E", "m", "")) };
    let looping = || {
        let taken = take_logs(&logs(Vec::new(), vec![untraced.clone(), untraced.clone(), untraced.clone()]));
        taken.notices.iter().map(|parsed| id(&parsed.notice).to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!((looping().len(), looping()), (3, looping()));

    let mut twice = span(Vec::new(), exception("E", "m", ""));
    twice.trace_id.clear();
    twice.events.push(twice.events[0].clone());
    let taken = take_traces(&traces(Vec::new(), vec![twice]));
    assert_ne!(taken.notices[0].notice.client_id, taken.notices[1].notice.client_id);
}

#[test]
fn a_resource_says_where_it_happened() {
    let resource = texts(&[
        ("service.name", "shop-web"),
        ("service.namespace", "shop"),
        ("service.version", "1.4.2"),
        ("deployment.environment", "production"),
        ("host.name", "shop-web-1"),
        ("host.arch", "amd64"),
        ("os.type", "linux"),
        ("telemetry.sdk.language", "python"),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.version", "1.45.1"),
        ("k8s.pod.name", "web-7"),
    ]);
    let notice = only(take_traces(&traces(resource, vec![span(Vec::new(), exception("E", "m", ""))])));
    let json = json_of(&notice);
    assert_eq!(json["protocol"], "otlp");
    assert_eq!([&json["environment"], &json["release"], &json["language"]], ["production", "1.4.2", "python"]);
    assert_eq!(
        json["server"],
        json!({"hostname": "shop-web-1", "root": null, "host.arch": "amd64", "os.type": "linux"})
    );
    assert_eq!(json["notifier"]["name"], "opentelemetry");
    assert_eq!(json["tags"], json!({"service.name": "shop-web", "service.namespace": "shop"}));
    assert_eq!(json["contexts"]["resource"], json!({"k8s.pod.name": "web-7"}));
    assert_eq!(json["contexts"]["scope"], json!({"name": "shop.manual", "version": "1.0"}));
    assert_eq!(json["contexts"]["span"]["name"], "checkout");
    assert_eq!(json["contexts"]["span"]["started_at"], "2026-11-22T02:59:48.000000Z");
    assert_eq!(json["occurred_at"], "2026-11-22T02:59:48.564007Z");
    assert_eq!(json["trace"], json!({"trace_id": "5b".repeat(16), "span_id": "af".repeat(8)}));
}

#[test]
fn the_environment_has_a_new_name_and_an_old_one() {
    let both = texts(&[("deployment.environment.name", "production"), ("deployment.environment", "prod")]);
    let notice = only(take_traces(&traces(both, vec![span(Vec::new(), exception("E", "m", ""))])));
    assert_eq!(notice.environment.as_deref(), Some("production"));
    assert_eq!(json_of(&notice)["contexts"]["resource"], json!({"deployment.environment": "prod"}));
}

#[test]
fn a_span_of_a_server_says_who_asked_for_what() {
    let mut attributes = texts(&[
        ("http.request.method", "POST"),
        ("http.route", "/carts/:id"),
        ("url.scheme", "https"),
        ("server.address", "shop.example"),
        ("url.path", "/carts/4711"),
        ("url.query", "a=b"),
        ("user_agent.original", "Mozilla"),
        ("client.address", "203.0.113.7"),
        ("network.peer.address", "10.0.0.1"),
        ("enduser.id", "42"),
        ("user.email", "ann@example.org"),
        ("user.name", "ann"),
        ("user.full_name", "Ann"),
        ("shop.tier", "gold"),
    ]);
    attributes.push(attribute("server.port", 443));
    attributes.push(attribute("http.response.status_code", 500));
    attributes.push(attribute("shop.retry", true));
    let header = ArrayValue { values: vec!["text/html".into()] };
    attributes.push(attribute("http.request.header.accept", AnyValue { value: Some(Any::Array(header)) }));
    let mut span = span(attributes, exception("E", "m", ""));
    let json = json_of(&only(take_traces(&traces(Vec::new(), vec![span.clone()]))));
    let request = &json["request"];
    assert_eq!([&request["method"], &request["route"]], ["POST", "/carts/:id"]);
    assert_eq!(request["url"], "https://shop.example/carts/4711?a=b");
    assert_eq!(request["headers"], json!({"User-Agent": "Mozilla", "accept": "text/html"}));
    let user = json!({"id": "42", "name": "Ann", "username": "ann", "email": "ann@example.org", "ip": "203.0.113.7"});
    assert_eq!(json["user"], user);
    assert_eq!(json["tags"], json!({"shop.tier": "gold", "shop.retry": true}));
    let rest = json!({"network.peer.address": "10.0.0.1", "server.port": 443, "http.response.status_code": 500});
    assert_eq!(json["contexts"]["span"]["attributes"], rest);
    assert_eq!(json["contexts"]["span"]["kind"], "server");

    span.kind = 3;
    let json = json_of(&only(take_traces(&traces(Vec::new(), vec![span]))));
    assert_eq!(json["request"], Value::Null, "a client's span is about what it asked of others");
    assert_eq!(json["contexts"]["span"]["attributes"]["url.path"], "/carts/4711");
}

#[test]
fn attributes_of_the_exception_count_before_those_of_its_span() {
    let mut told = exception("E", "m", "");
    told.extend(texts(&[("user.id", "7"), ("cart", "4711")]));
    let notice = only(take_traces(&traces(Vec::new(), vec![span(texts(&[("user.id", "42")]), told)])));
    let json = json_of(&notice);
    assert_eq!(json["user"]["id"], "7");
    assert_eq!(json["contexts"]["span"]["attributes"], json!({"user.id": "42"}));
    assert_eq!(json["tags"], json!({"cart": "4711"}));
}

#[test]
fn events_before_the_exception_are_breadcrumbs() {
    let mut span = span(Vec::new(), exception("E", "m", ""));
    let event = |name: &str, attributes| Event {
        time_unix_nano: 1_795_316_388_100_000_000,
        name: name.to_owned(),
        attributes,
        dropped_attributes_count: 0,
    };
    span.events.insert(0, event("validated", vec![attribute("n", 1)]));
    span.events.push(event("after", Vec::new()));
    let notice = only(take_traces(&traces(Vec::new(), vec![span])));
    assert_eq!(
        json_part(notice.breadcrumbs_json.as_ref()),
        json!([{"category": "event", "at": "2026-11-22T02:59:48.100000Z", "message": "validated", "data": {"n": 1}}])
    );
}

#[test]
fn whether_it_was_handled_is_known_by_whether_it_escaped() {
    for (escaped, handled) in [
        (AnyValue::from("False"), Some(true)),
        (AnyValue::from(false), Some(true)),
        (AnyValue::from("True"), Some(false)),
        (AnyValue::from(true), Some(false)),
        (AnyValue::from("perhaps"), None),
    ] {
        let mut told = exception("E", "m", "");
        told.push(attribute("exception.escaped", escaped.clone()));
        let notice = only(take_traces(&traces(Vec::new(), vec![span(Vec::new(), told)])));
        assert_eq!(notice.errors[0].handled, handled, "{escaped:?}");
        assert_eq!(handled.is_none(), json_of(&notice).to_string().contains("perhaps"));
    }
}

#[test]
fn records_of_logs_have_a_severity_a_logger_and_a_body() {
    let mut warning = record(exception("E", "m", ""));
    warning.severity_number = 13;
    warning.severity_text = "WARN".to_owned();
    warning.body = Some(AnyValue { value: Some(Any::Map(KeyValues { values: vec![attribute("order", 17)] })) });
    warning.event_name = "http.client.request.exception".to_owned();
    warning.observed_time_unix_nano = 1_795_316_390_000_000_000;
    warning.attributes.push(attribute("code.line.number", 67));
    let plain = otlp_message::LogRecord { attributes: texts(&[("a", "exception.type")]), ..warning.clone() };
    let taken = take_logs(&logs(Vec::new(), vec![plain, warning]));
    assert_eq!(taken.log_count, 2);
    let json = json_of(&only(Taken { log_count: 0, ..taken }));
    assert_eq!([&json["severity"], &json["logger"]], ["warning", "shop.orders"]);
    assert_eq!(json["occurred_at"], "2026-11-22T02:59:48.564007Z");
    assert_eq!(
        json["contexts"]["log"],
        json!({
            "body": {"order": 17}, "severity_text": "WARN", "severity_number": 13, "observed_at": "2026-11-22T02:59:50.000000Z",
            "event_name": "http.client.request.exception", "attributes": {"code.line.number": 67},
        })
    );
    assert_eq!(json["contexts"]["scope"], Value::Null);
}

#[test]
fn the_class_of_python_stands_without_its_module() {
    let python = texts(&[("telemetry.sdk.language", "python")]);
    let java = texts(&[("telemetry.sdk.language", "java")]);
    for (resource, class, stack, expected) in [
        (&python, "shop.cart.Declined", "", (Some("shop.cart"), "Declined")),
        (&python, "ValueError", "", (None, "ValueError")),
        (&python, "PaymentDeclined", PYTHON, (Some("shop"), "PaymentDeclined")),
        (&Vec::new(), "shop.PaymentDeclined", PYTHON, (Some("shop"), "PaymentDeclined")),
        (&java, "shop.PaymentDeclined", "", (None, "shop.PaymentDeclined")),
    ] {
        let request = traces(resource.clone(), vec![span(Vec::new(), exception(class, "declined", stack))]);
        let error = only(take_traces(&request)).errors.swap_remove(0);
        assert_eq!((error.module.as_deref(), error.class.as_deref().unwrap()), expected, "{class}");
    }
}

#[test]
fn what_a_stack_trace_says_otherwise_is_kept_beside() {
    let told = |class: &str, message: &str, stack: &str| {
        only(take_traces(&traces(Vec::new(), vec![span(Vec::new(), exception(class, message, stack))])))
    };
    let same = told("PaymentDeclined", "declined", PYTHON);
    assert_eq!((same.errors.len(), same.errors[0].frames.len(), same.extra_json), (1, 2, None));
    assert_eq!(same.language.as_deref(), Some("python"));

    let other =
        told("ERR_X", "other", "TypeError: m\n    at f (/srv/shop.js:1:2)\n    at g (/srv/shop.js:3:4)\nmore to say");
    assert_eq!(other.errors[0].class.as_deref(), Some("ERR_X"));
    assert_eq!(other.errors[0].frames.len(), 2);
    assert_eq!(
        json_part(other.extra_json.as_ref()),
        json!({
            "exception.stacktrace.rest": "more to say", "exception.stacktrace.type": "TypeError", "exception.stacktrace.message": "m",
        })
    );
    let unknown = told("E", "m", "at the till");
    assert_eq!(json_part(unknown.extra_json.as_ref()), json!({"exception.stacktrace": "at the till"}));
    assert_eq!(unknown.errors.len(), 1);
}

#[test]
fn a_code_is_no_class_where_the_text_has_one() {
    let told = |class: &str, message: &str, header: &str| {
        let stack = format!(
            "{header}\n    at Object.charge (/srv/shop/app/lib/shop.js:8:11)\n    at main (/srv/shop/app/main.js:3:4)"
        );
        let notice = only(take_traces(&traces(Vec::new(), vec![span(Vec::new(), exception(class, message, &stack))])));
        let error = &notice.errors[0];
        (error.class.clone().unwrap_or_default(), error.message.clone(), json_part(notice.extra_json.as_ref()))
    };
    for (code, message, header, class) in [
        ("51", "declined", "PaymentDeclined: declined", "PaymentDeclined"),
        ("ENOENT", "ENOENT: no such file", "Error: ENOENT: no such file", "Error"),
        ("ERR_INVALID_ARG_TYPE", "must be a string", "TypeError [ERR_INVALID_ARG_TYPE]: must be a string", "TypeError"),
        ("auth/user-not-found", "nobody\nthere", "FirebaseError: nobody\nthere", "FirebaseError"),
    ] {
        let kept = json!({"exception.type": code});
        assert_eq!(told(code, message, header), (class.to_owned(), Some(message.to_owned()), kept));
    }
    // A name that was given after the text was made, and a text that names nothing.
    for (name, header) in
        [("PaymentDeclined", "Error: declined"), ("GrößenFehler", "Error: declined"), ("51", "declined")]
    {
        assert_eq!(told(name, "declined", header).0, name);
    }
}

#[test]
fn values_of_every_kind_are_kept() {
    let any = |value| AnyValue { value: Some(value) };
    let mut told = vec![attribute("exception.type", 7), attribute("exception.message", "m")];
    let lines = ["E: m", "    at f (/srv/shop.js:1:2)"].map(AnyValue::from).to_vec();
    told.push(attribute("exception.stacktrace", any(Any::Array(ArrayValue { values: lines }))));
    let attributes = vec![
        attribute("int", i64::MIN),
        attribute("double", any(Any::Double(0.1))),
        attribute("nan", any(Any::Bytes(vec![0xff, 0]))),
        attribute("list", any(Any::Array(ArrayValue { values: vec![1.into(), "two".into(), AnyValue::default()] }))),
        attribute("map", any(Any::Map(KeyValues { values: vec![attribute("a", 1), attribute("a", 2)] }))),
        attribute("long", "x".repeat(300).as_str()),
        KeyValue { key: "nothing".to_owned(), value: None },
    ];
    let notice = only(take_traces(&traces(Vec::new(), vec![span(attributes, told)])));
    assert_eq!(notice.errors[0].class.as_deref(), Some("7"));
    assert_eq!(notice.errors[0].frames.len(), 1);
    let json = json_of(&notice);
    assert_eq!(
        json["contexts"]["span"]["attributes"],
        json!({"int": i64::MIN, "double": 0.1, "list": [1, "two", null], "map": {"a": 1, "a (2)": 2}, "long": "x".repeat(300)})
    );
    assert_eq!(json["tags"], json!({"nan": "/wA="}));
}

#[test]
fn json_is_taken_as_liberally_as_it_is_written() {
    let body = json!({"resourceSpans": [
        {"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "a"}, "other": 1}], "new": {"x": 1}}, "scopeSpans": [
            {"spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "kind": "2", "unknown": [1],
                "startTimeUnixNano": 1_795_316_388_000_000_000_u64, "endTimeUnixNano": "x", "parentSpanId": "", "links": null,
                "attributes": [{"key": "i", "value": {"intValue": 5}}, {"key": "odd", "value": {"intValue": "many"}}, 7],
                "events": [
                    {"name": "exception", "timeUnixNano": 1_795_316_388_564_007_123_u64, "attributes": [
                        {"key": "exception.type", "value": {"stringValue": "E"}}, {"key": "d", "value": {"doubleValue": "NaN"}}]},
                    {"name": "other"}, null,
                ],
            }]},
            {"scope": null, "spans": null},
        ]},
        {"scopeSpans": null},
    ], "later": true});
    let taken = read_traces(body.to_string().as_bytes(), Encoding::Json).unwrap();
    assert_eq!((taken.span_count, taken.refused_count), (1, 0));
    let json = json_of(&taken.notices[0].notice);
    assert_eq!(json["trace"], json!({"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174"}));
    assert_eq!(json["occurred_at"], "2026-11-22T02:59:48.564007Z");
    assert_eq!(json["server"]["hostname"], "a");
    let span = &json["contexts"]["span"];
    assert_eq!(span["attributes"], json!([7]), "what is no attribute is kept");
    assert_eq!(span["attributes (2)"], json!({"i": 5, "odd": {"intValue": "many"}}));
    assert_eq!(
        [&span["kind"], &span["unknown"], &span["endTimeUnixNano"]],
        [&json!("server"), &json!([1]), &json!("x")]
    );
    for (body, reason) in [
        ("", "the body is empty"),
        (" ", "the body is empty"),
        ("[]", "the body is not a request of OpenTelemetry in JSON: "),
        ("{", "the body is not a request of OpenTelemetry in JSON: "),
        (r#"{"resourceSpans":{}}"#, "the body is not a request of OpenTelemetry in JSON: "),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":["exception"]}]}]}"#, "no record of the request could be read"),
    ] {
        let error = read_traces(body.as_bytes(), Encoding::Json).expect_err(body).to_string();
        assert!(error.starts_with(reason), "{body}: {error}");
    }
}

#[test]
fn an_empty_request_is_a_success() {
    for (body, encoding) in
        [(&b""[..], Encoding::Protobuf), (b"{}", Encoding::Json), (b"{\"resourceSpans\":[]}", Encoding::Json)]
    {
        for read in [read_traces, read_logs, read_metrics] {
            assert_eq!(read(body, encoding), Ok(Taken::default()));
        }
    }
}

#[test]
fn data_points_of_every_kind_are_counted() {
    let data = json!({"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]});
    let metrics = json!([
        {"name": "a", "gauge": data}, {"name": "b", "sum": data}, {"name": "c", "histogram": data},
        {"name": "d", "exponentialHistogram": data}, {"name": "e", "summary": data}, {"name": "f"}, {"name": "g", "gauge": {}},
    ]);
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string();
    assert_eq!(read_metrics(body.as_bytes(), Encoding::Json).unwrap().data_point_count, 10);
}

#[test]
fn one_record_that_is_broken_costs_no_other() {
    let good = span(Vec::new(), exception("E", "m", "")).encode_to_vec();
    let bad = &good[..good.len() - 1];
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    };
    let body = field(1, &field(2, &[field(2, bad), field(2, &good)].concat()));
    let taken = read_traces(&body, Encoding::Protobuf).unwrap();
    assert_eq!((taken.notices.len(), taken.span_count, taken.refused_count), (1, 2, 1));
    assert_eq!(taken.refused_reason, "a record could not be read");
    let alone = read_traces(&field(1, &field(2, &field(2, bad))), Encoding::Protobuf);
    assert_eq!(alone, Err(ParseError::Malformed("no record of the request could be read".to_owned())));
    let cut = read_traces(&body[..body.len() - 1], Encoding::Protobuf).expect_err("is cut");
    assert_eq!(cut.to_string(), "the body is not a whole `ExportTraceServiceRequest` in protobuf");
}

#[test]
fn one_attribute_that_is_broken_costs_no_other() {
    let mut body = traces(Vec::new(), vec![span(texts(&[("cart", "4711")]), exception("E", "m", ""))]).encode_to_vec();
    let at = body.windows(4).position(|window| window == b"4711").unwrap();
    body[at - 1] = 0x7f;
    let notice = only(read_traces(&body, Encoding::Protobuf).unwrap());
    assert_eq!((notice.errors[0].class.as_deref(), notice.tags_json), (Some("E"), None));
    assert_eq!(notice.notes, ["values that could not be read were dropped"]);
}

#[test]
fn texts_that_are_not_utf8_are_replaced_and_noted() {
    let mut body = traces(Vec::new(), vec![span(Vec::new(), exception("E", "declined", ""))]).encode_to_vec();
    let at = body.windows(8).position(|window| window == b"declined").unwrap();
    body[at] = 0xff;
    let notice = only(read_traces(&body, Encoding::Protobuf).unwrap());
    assert_eq!(notice.errors[0].message.as_deref(), Some("\u{fffd}eclined"));
    assert_eq!(notice.notes, ["bytes that are not UTF-8 were replaced by U+FFFD"]);
}

/// How much memory notices take, roughly.
fn bytes_of(taken: &Taken) -> usize {
    taken.notices.iter().map(|parsed| parsed.notice.encoded_len() + size_of::<Notice>()).sum()
}

#[test]
fn what_notices_share_is_not_copied_without_bound() {
    let big = "x".repeat(512 * 1024);
    let tiny = || vec![attribute("exception.type", "E")];
    let events = |count| {
        let mut span = span(Vec::new(), tiny());
        span.events = vec![span.events[0].clone(); count];
        span
    };
    let mut fat = events(5_000);
    fat.attributes = texts(&[("fat", &big)]);
    let requests = [
        traces(texts(&[("fat", &big)]), (0..5_000).map(|_| span(Vec::new(), tiny())).collect()),
        traces(Vec::new(), vec![fat]),
        traces(texts(&[("service.version", &big[..1_000])]), vec![events(5_000)]),
        traces(Vec::new(), (0..1_000).map(|_| span(Vec::new(), exception("E", "m", &recursion()))).collect()),
    ];
    for request in requests {
        let body = request.encode_to_vec();
        for (body, encoding) in
            [(body, Encoding::Protobuf), (traces_json(&request).to_string().into_bytes(), Encoding::Json)]
        {
            let taken = read_traces(&body, encoding).unwrap();
            let bytes = bytes_of(&taken);
            assert!(bytes < 24 * body.len() + 32 * 1024 * 1024, "{bytes} of {}", body.len());
            assert!(taken.notices.len() >= 1_000, "{encoding:?} {} {:?}", taken.notices.len(), taken.refused_reason);
        }
    }
}

fn recursion() -> String {
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n  [Previous line repeated 990 more times]\nE: m\n".to_owned()
}

#[test]
fn more_exceptions_than_a_request_of_its_size_can_tell_are_refused() {
    let mut many = span(Vec::new(), Vec::new());
    many.events = vec![Event { name: "exception".to_owned(), ..Event::default() }; 50_000];
    let body = traces(Vec::new(), vec![many]).encode_to_vec();
    let taken = read_traces(&body, Encoding::Protobuf).unwrap();
    assert_eq!(taken.notices.len(), 1_000 + body.len() / 64);
    assert_eq!(taken.notices.len() as u64 + taken.refused_count, 50_000);
    assert_eq!(taken.refused_reason, "too many exceptions for the size of the request");
}

#[test]
fn a_span_of_too_many_values_is_taken_as_far_as_they_go() {
    let mut many = span(Vec::new(), exception("E", "m", ""));
    many.events = vec![many.events[0].clone(); 20_000];
    let body = traces_json(&traces(Vec::new(), vec![many, span(Vec::new(), exception("E", "m", ""))])).to_string();
    let taken = read_traces(body.as_bytes(), Encoding::Json).unwrap();
    assert_eq!((taken.span_count, taken.refused_count), (2, 1));
    // 50,000 values are those of some 3,000 events, and the other span is whole.
    assert!((3_000..4_000).contains(&taken.notices.len()), "{}", taken.notices.len());
    let dropped = |parsed: &Parsed| parsed.notice.notes.iter().any(|note| note.contains("beyond the first 50,000"));
    assert_eq!(taken.notices.iter().filter(|parsed| !dropped(parsed)).count(), 1);
    // What comes behind the values that are too many could be an exception.
    let mut many = span((0..60_000).map(|n| attribute("a", n)).collect(), exception("E", "m", ""));
    many.trace_id.clear();
    let body = traces_json(&traces(Vec::new(), vec![many, span(Vec::new(), exception("E", "m", ""))])).to_string();
    let taken = read_traces(body.as_bytes(), Encoding::Json).unwrap();
    assert_eq!((taken.notices.len(), taken.refused_count), (1, 1));
}

#[test]
fn requests_cut_anywhere_are_refused() {
    let traces = traces(texts(&[("host.name", "a")]), vec![span(Vec::new(), exception("E", "m", PYTHON))]);
    let (protobuf, json) = (traces.encode_to_vec(), traces_json(&traces).to_string());
    for end in 1..protobuf.len() {
        assert!(read_traces(&protobuf[..end], Encoding::Protobuf).is_err(), "at {end}");
    }
    for end in 0..json.len() {
        assert!(read_traces(&json.as_bytes()[..end], Encoding::Json).is_err(), "at {end}");
    }
}

#[test]
fn values_nested_deep_and_many_are_cut_with_a_note() {
    let mut deep = AnyValue::from("bottom");
    for _ in 0..80 {
        deep = AnyValue { value: Some(Any::Array(ArrayValue { values: vec![deep] })) };
    }
    let body = traces(Vec::new(), vec![span(vec![attribute("deep", deep)], exception("E", "m", ""))]).encode_to_vec();
    let notice = only(read_traces(&body, Encoding::Protobuf).unwrap());
    assert_eq!(notice.notes, ["values nested deeper than 64 levels were kept as base64"]);
    let attributes = (0..60_000).map(|n| attribute(&n.to_string(), n)).collect();
    let body = traces(Vec::new(), vec![span(attributes, exception("E", "m", ""))]).encode_to_vec();
    let notice = only(read_traces(&body, Encoding::Protobuf).unwrap());
    assert_eq!(notice.notes, ["values beyond the first 50,000 were dropped"]);
}

/// Far more than any of these bodies needs.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

fn put_through(body: &[u8]) {
    let started = worked();
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        for read in [read_traces, read_logs, read_metrics] {
            let Ok(taken) = read(body, encoding) else { continue };
            assert!(bytes_of(&taken) <= 24 * body.len() + 32 * 1024 * 1024);
            for mut notice in taken.notices.into_iter().map(|parsed| parsed.notice) {
                for json in [&notice.contexts_json, &notice.tags_json, &notice.extra_json, &notice.breadcrumbs_json] {
                    json.iter().for_each(|json| drop(serde_json::from_str::<Value>(json).expect("is JSON")));
                }
                assert_eq!(notice.client_id.as_deref().map(str::len), Some(32));
                notice::normalise(&mut notice);
                notice::scrub(&mut notice);
                json_of(&notice);
            }
        }
    }
    let took = worked() - started;
    assert!(took < READ_TIME_MAX, "{took:?} for {} bytes", body.len());
}

#[test]
fn attacks_cost_little() {
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"events":[{{"name":"exception","attributes":[{{"key":"a","value":{}1{}}}]}}]}}]}}]}}]}}"#,
            open.repeat(20_000),
            close.repeat(20_000)
        )
    };
    for body in [
        deep("[", "]"),
        deep(r#"{"arrayValue":{"values":["#, "]}}"),
        format!(r#"{{"resourceSpans":[{}null]}}"#, "{},".repeat(100_000)),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{}}{}]}}]}}"#, ",{}".repeat(100_000)),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}}{}]}}]}}]}}"#, ",{}".repeat(100_000)),
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{}}{}]}}]}}]}}"#,
            r#",{"a":"exception"}"#.repeat(50_000)
        ),
        "[".repeat(500_000),
    ] {
        put_through(body.as_bytes());
    }
    put_through(&[0x0a, 0x00].repeat(200_000));
    put_through(&[0x0a].repeat(200_000));
    let mut span = span(Vec::new(), Vec::new());
    span.events.extend(vec![Event::default(); 100_000]);
    put_through(&traces(Vec::new(), vec![span]).encode_to_vec());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_borne(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        put_through(&body);
    }

    #[test]
    fn requests_with_wrong_bytes_in_them_are_borne(
        is_json in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut attributes = texts(&[("url.path", "/a"), ("http.host", "b"), ("user.id", "7")]);
        attributes.push(attribute("list", AnyValue { value: Some(Any::Array(ArrayValue { values: vec![1.into()] })) }));
        let request = traces(texts(&[("host.name", "a")]), vec![span(attributes, exception("E", "m", PYTHON))]);
        let mut body = if is_json { traces_json(&request).to_string().into_bytes() } else { request.encode_to_vec() };
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        put_through(&body);
    }
}

#[test]
fn an_event_with_what_an_exception_says_is_one_whatever_its_name() {
    // Rust's tracing gives an event the text of the log for a name.
    let mut failed = span(Vec::new(), exception("shop::Declined", "declined", ""));
    failed.events[0].name = "cannot charge the card".to_owned();
    let plain = Event { attributes: texts(&[("cart", "4711")]), ..failed.events[0].clone() };
    failed.events.insert(0, Event { name: "tried".to_owned(), ..plain });
    let notice = only(take_traces(&traces(Vec::new(), vec![failed])));
    assert_eq!(notice.errors[0].class.as_deref(), Some("shop::Declined"));
    assert_eq!(json_part(notice.contexts_json.as_ref())["exception"]["name"], "cannot charge the card");
    assert_eq!(json_part(notice.breadcrumbs_json.as_ref())[0]["message"], "tried");
}

#[test]
fn what_of_the_class_and_the_message_only_the_text_says_counts() {
    const NET: &str = "Shop.PaymentDeclined: declined\n   at Shop.Cart.Charge(String card) in /srv/shop/Cart.cs:line 9";
    const JAVA: &str = "shop.Cart$Declined: declined\n\tat shop.Cart.charge(Cart.java:9)";
    const MISSING: &str = "Traceback (most recent call last):\n  File \"/srv/shop.py\", line 18, in charge\n    open(path)\nFileNotFoundError: [Errno 2] No such file or directory: '/x'\n";
    let event = |class: &str, message: &str, stack: &str| {
        only(take_traces(&traces(Vec::new(), vec![span(Vec::new(), exception(class, message, stack))])))
    };
    let logged = |class: &str, message: &str, stack: &str| {
        only(take_logs(&logs(Vec::new(), vec![record(exception(class, message, stack))])))
    };
    for (of_event, of_log) in [
        (event("Shop.PaymentDeclined", "declined", NET), logged("PaymentDeclined", "declined", NET)),
        (event("shop.Cart.Declined", "declined", JAVA), logged("shop.Cart$Declined", "declined", JAVA)),
        (
            event("FileNotFoundError", "[Errno 2] No such file or directory: '/x'", MISSING),
            logged("FileNotFoundError", "2", MISSING),
        ),
    ] {
        assert_eq!(of_event.errors, of_log.errors);
        assert_eq!(id(&of_event), id(&of_log));
    }
    assert_eq!(logged("PaymentDeclined", "declined", NET).errors[0].class.as_deref(), Some("Shop.PaymentDeclined"));
    assert_eq!(logged("Declined", "declined", NET).errors[0].class.as_deref(), Some("Declined"));
    let missing = logged("FileNotFoundError", "2", MISSING);
    assert_eq!(json_part(missing.extra_json.as_ref()), json!({"exception.message": "2"}));
}
