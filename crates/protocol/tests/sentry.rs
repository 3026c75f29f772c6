//! Events as all clients of Sentry write them, and as none should.

#![expect(clippy::unwrap_used, reason = "a test may")]

use notice::{Error, Notice};
use protocol::sentry::{EventContext, parse_event};
use protocol::{ParseError, Parsed};
use serde_json::{Value, json};

const CONTEXT: EventContext<'_> = EventContext { event_id: None, peer_ip: Some("203.0.113.7"), client: None };

fn parsed(event: &Value) -> Parsed {
    parse_event(event.to_string().as_bytes(), &CONTEXT).expect("is read")
}

fn notice_of(event: &Value) -> Notice {
    parsed(event).notice
}

fn json_of(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).expect("is JSON"))
}

fn unmapped(notice: &Notice) -> Value {
    json_of(notice.unmapped_json.as_ref())
}

fn classes(notice: &Notice) -> Vec<&str> {
    notice.errors.iter().map(|error| error.class.as_deref().unwrap_or_default()).collect()
}

fn functions(error: &Error) -> Vec<&str> {
    error.frames.iter().map(|frame| frame.function.as_deref().unwrap_or_default()).collect()
}

#[test]
fn an_event_of_nothing_is_an_error_with_what_the_protocol_supposes() {
    let notice = notice_of(&json!({}));
    assert_eq!(notice.protocol, "sentry");
    assert_eq!(notice.errors, [Error::default()]);
    assert_eq!((notice.severity.as_deref(), notice.environment.as_deref()), (Some("error"), Some("production")));
    assert_eq!((notice.request, notice.user, notice.server, notice.unmapped_json), (None, None, None, None));
}

#[test]
fn what_is_no_object_is_refused() {
    for (payload, reason) in [
        (&b""[..], "the body is empty"),
        (b" \n", "the body is empty"),
        (b"[]", "the body is JSON, but not an object"),
        (b"5", "the body is JSON, but not an object"),
        (b"{", "the body is not JSON: expected a key in quotes at byte 1"),
    ] {
        assert_eq!(parse_event(payload, &CONTEXT).expect_err("is refused").to_string(), reason);
    }
}

#[test]
fn a_transaction_is_no_error_unless_it_tells_of_one() {
    let read = |event: Value| parse_event(event.to_string().as_bytes(), &CONTEXT);
    let spans = json!({"type": "transaction", "transaction": "job", "start_timestamp": 1.5, "spans": [{"op": "db"}]});
    assert_eq!(read(spans), Err(ParseError::Transaction));
    let told = read(json!({"type": "transaction", "message": "it failed"})).expect("is an error").notice;
    assert_eq!(
        (told.errors[0].message.as_deref(), unmapped(&told)),
        (Some("it failed"), json!({"type": "transaction"}))
    );
    let other = notice_of(&json!({"type": "error"}));
    assert_eq!(unmapped(&other), json!({"type": "error"}));
}

#[test]
fn the_id_of_the_envelope_wins() {
    let id = "8d1c2cbc5e4e4fac89924a67464ceb58";
    let other = "00000000000000000000000000000001";
    let read = |event: Value, event_id| {
        parse_event(event.to_string().as_bytes(), &EventContext { event_id, ..EventContext::default() })
            .map(|parsed| parsed.notice)
    };
    let alone = read(json!({"event_id": "8D1C2CBC-5E4E-4FAC-8992-4A67464CEB58"}), None).unwrap();
    assert_eq!((alone.client_id.as_deref(), unmapped(&alone)), (Some(id), Value::Null));
    let both = read(json!({"event_id": other}), Some("8D1C2CBC-5E4E-4FAC-8992-4A67464CEB58")).unwrap();
    assert_eq!((both.client_id.as_deref(), unmapped(&both)), (Some(id), json!({"event_id": other})));
    let same = read(json!({"event_id": id}), Some(id)).unwrap();
    assert_eq!((same.client_id.as_deref(), unmapped(&same)), (Some(id), Value::Null));
    let none = read(json!({"event_id": "7"}), None).unwrap();
    assert_eq!((none.client_id.as_deref(), unmapped(&none)), (None, json!({"event_id": "7"})));
    let reason = "`event_id` of the envelope is not 32 hexadecimal digits";
    assert_eq!(read(json!({}), Some("7")), Err(ParseError::Malformed(reason.to_owned())));
}

#[test]
fn plain_fields_say_who_where_and_in_which_release() {
    let parsed = parsed(&json!({
        "timestamp": 1795316388.564007, "level": "fatal", "environment": "staging", "release": "shop@1.4.2", "dist": 7,
        "platform": "node", "logger": "shop.orders", "server_name": "web-1", "transaction": "POST /checkout", "project": "1",
        "sdk": {"name": "sentry.javascript.node", "version": "11.12.0", "packages": [{"name": "npm:@sentry/node"}]},
        "modules": {"express": "4.22.3"}, "extra": {"cart": 4711}, "debug_meta": {"images": [{"type": "elf"}], "sdk_info": {"a": 1}},
        "measurements": {"a": {"value": 1}},
    }));
    let notice = parsed.notice;
    assert_eq!(parsed.project_id.as_deref(), Some("1"));
    assert_eq!(notice.occurred_at_us, Some(1_795_316_388_564_007));
    let fields = [
        (&notice.severity, "fatal"),
        (&notice.environment, "staging"),
        (&notice.release, "shop@1.4.2"),
        (&notice.dist, "7"),
        (&notice.platform, "node"),
        (&notice.language, "javascript"),
        (&notice.logger, "shop.orders"),
        (&notice.server.as_ref().unwrap().hostname, "web-1"),
        (&notice.request.as_ref().unwrap().action, "POST /checkout"),
        (&notice.notifier.as_ref().unwrap().name, "sentry.javascript.node"),
        (&notice.notifier.as_ref().unwrap().version, "11.12.0"),
        (&notice.modules_json, r#"{"express":"4.22.3"}"#),
        (&notice.extra_json, r#"{"cart":4711}"#),
        (&notice.debug_images_json, r#"[{"type":"elf"}]"#),
    ];
    for (field, expected) in fields {
        assert_eq!(field.as_deref(), Some(expected));
    }
    assert_eq!(
        unmapped(&notice),
        json!({"project": "1", "sdk.packages": [{"name": "npm:@sentry/node"}], "debug_meta.sdk_info": {"a": 1}, "measurements": {"a": {"value": 1}}})
    );
}

#[test]
fn levels_are_five_words() {
    for (level, severity, kept) in [
        (json!("warning"), "warning", Value::Null),
        (json!("critical"), "fatal", json!({"level": "critical"})),
        (json!("log"), "info", json!({"level": "log"})),
        (json!(40), "error", json!({"level": 40})),
        (json!("10"), "debug", json!({"level": "10"})),
        (json!("dreadful"), "error", json!({"level": "dreadful"})),
        (json!([1]), "error", json!({"level": [1]})),
        (json!(null), "error", Value::Null),
    ] {
        let notice = notice_of(&json!({"level": level}));
        assert_eq!((notice.severity.as_deref(), unmapped(&notice)), (Some(severity), kept));
    }
}

#[test]
fn languages_are_told_by_the_platform() {
    for (platform, language) in [
        ("python", Some("python")),
        ("javascript", Some("javascript")),
        ("node", Some("javascript")),
        ("csharp", Some("csharp")),
        ("objc", Some("objective-c")),
        ("native", None),
        ("other", None),
        ("", None),
    ] {
        assert_eq!(notice_of(&json!({"platform": platform})).language.as_deref(), language);
    }
}

#[test]
fn the_raised_error_comes_first_whatever_the_list_is_wrapped_in() {
    let list = json!([
        {"type": "Cause", "value": "c"},
        {"type": "Raised", "value": "r", "module": "shop", "mechanism": {"type": "generic", "handled": false}, "thread_id": 5},
    ]);
    for exception in [list.clone(), json!({"values": list})] {
        let path = if exception.is_array() { "exception[1].thread_id" } else { "exception.values[1].thread_id" };
        let notice = notice_of(&json!({"exception": exception}));
        assert_eq!(classes(&notice), ["Raised", "Cause"]);
        let raised = &notice.errors[0];
        assert_eq!(
            (raised.message.as_deref(), raised.module.as_deref(), raised.handled),
            (Some("r"), Some("shop"), Some(false))
        );
        assert_eq!(json_of(raised.mechanism_json.as_ref()), json!({"type": "generic", "handled": false}));
        assert_eq!(unmapped(&notice), json!({path: 5}));
    }
    let single = notice_of(&json!({"sentry.interfaces.Exception": {"type": "Old", "value": "o"}}));
    assert_eq!((classes(&single), single.errors[0].message.as_deref()), (vec!["Old"], Some("o")));
    let beside = notice_of(&json!({"exception": {"values": [{"type": "A"}], "exc_omitted": [1, 2]}}));
    assert_eq!((classes(&beside), unmapped(&beside)), (vec!["A"], json!({"exception.exc_omitted": [1, 2]})));
}

#[test]
fn groups_are_followed_by_what_is_in_them() {
    let link = |class: &str, mechanism: Value| json!({"type": class, "value": "v", "mechanism": mechanism});
    let notice = notice_of(&json!({"exception": {"values": [
        link("Second", json!({"exception_id": 3, "parent_id": 0})),
        link("CauseOfFirst", json!({"exception_id": 2, "parent_id": 1})),
        link("First", json!({"exception_id": 1, "parent_id": 0})),
        link("Group", json!({"exception_id": 0, "is_exception_group": true})),
    ]}}));
    assert_eq!(classes(&notice), ["Group", "First", "CauseOfFirst", "Second"]);
}

#[test]
fn whatever_was_raised_has_a_message() {
    for (value, class, message) in [
        (json!("ValueError: bad input"), Some("ValueError"), Some("bad input")),
        (json!("shop.PaymentDeclined: no"), Some("shop.PaymentDeclined"), Some("no")),
        (json!("error: it is gone"), None, Some("error: it is gone")),
        (json!("see https://shop.example: it is gone"), None, Some("see https://shop.example: it is gone")),
        (json!("https://shop.example"), None, Some("https://shop.example")),
        (json!("Error: first line\nsecond"), None, Some("Error: first line\nsecond")),
        (json!({"code": 17}), None, Some(r#"{"code":17}"#)),
        (json!(17), None, Some("17")),
        (json!(null), None, None),
    ] {
        let notice = notice_of(&json!({"exception": [{"value": value}]}));
        let raised = &notice.errors[0];
        assert_eq!((raised.class.as_deref(), raised.message.as_deref()), (class, message));
        assert_eq!(notice.unmapped_json, None);
    }
}

#[test]
fn a_message_with_a_made_up_stack_has_no_class() {
    let made_up = json!([{"value": "Payment: it failed", "mechanism": {"type": "generic", "synthetic": true}}]);
    let notice = notice_of(&json!({"exception": made_up}));
    assert_eq!(
        (notice.errors[0].class.as_deref(), notice.errors[0].message.as_deref()),
        (None, Some("Payment: it failed"))
    );
}

#[test]
fn frames_come_innermost_first_with_their_code() {
    let notice = notice_of(&json!({"exception": [{"type": "A", "stacktrace": {"registers": {"rip": "0x1"}, "frames": [
        null,
        {"filename": "main.py", "abs_path": "/srv/main.py", "function": "main", "lineno": 2, "in_app": true},
        {"filename": "shop.py", "abs_path": "/srv/shop.py", "function": "charge", "module": "shop", "lineno": 21, "colno": 5,
            "pre_context": ["a", null, ""], "context_line": "  raise", "post_context": ["b"], "vars": {"card": "4000"}, "instruction_addr": "0x2"},
    ]}}]}));
    let raised = &notice.errors[0];
    assert_eq!(functions(raised), ["charge", "main"]);
    let frame = &raised.frames[0];
    assert_eq!((frame.file.as_deref(), frame.module.as_deref()), (Some("shop.py"), Some("shop")));
    assert_eq!((frame.line, frame.column, frame.in_app), (Some(21), Some(5), None));
    let code: Vec<(u32, &str)> = frame.code.iter().map(|code| (code.line, code.text.as_str())).collect();
    assert_eq!(code, [(18, "a"), (19, ""), (20, ""), (21, "  raise"), (22, "b")]);
    assert_eq!(json_of(frame.vars_json.as_ref()), json!({"card": "4000"}));
    assert_eq!(raised.frames[1].in_app, Some(true));
    assert_eq!(
        unmapped(&notice),
        json!({
            "exception[0].stacktrace.registers": {"rip": "0x1"},
            "exception[0].stacktrace.frames": [null, {"abs_path": "/srv/main.py"}, {"instruction_addr": "0x2", "abs_path": "/srv/shop.py"}],
        })
    );
}

#[test]
fn code_that_cannot_be_numbered_is_kept_beside() {
    let frames = json!([
        {"function": "f", "pre_context": ["a"], "context_line": "b", "post_context": ["c"]},
        {"function": "g", "lineno": 1, "pre_context": ["a", "b"], "context_line": "c"},
        {"function": "h", "lineno": 4294967295u32, "post_context": ["c"], "context_line": "b"},
        {"function": "i", "lineno": 9, "pre_context": [["a"]], "context_line": ["b"], "post_context": "c"},
        {"function": "j", "lineno": -1, "colno": "x", "in_app": "yes", "vars": ["v"], "function": "j", "filename": 5},
        {"function": "k", "lineno": "9", "pre_context": null, "context_line": "", "post_context": []},
    ]);
    let notice = notice_of(&json!({"exception": [{"type": "A", "stacktrace": {"frames": frames}}]}));
    let codes: Vec<usize> = notice.errors[0].frames.iter().map(|frame| frame.code.len()).collect();
    assert_eq!(codes, [1, 0, 0, 1, 1, 0]);
    assert_eq!(
        unmapped(&notice)["exception[0].stacktrace.frames"],
        json!([
            {"pre_context": ["a"], "context_line": "b", "post_context": ["c"]},
            {"pre_context": ["a", "b"]},
            {"post_context": ["c"]},
            {"pre_context": [["a"]], "context_line": ["b"], "post_context": "c"},
            {"lineno": -1, "colno": "x", "in_app": "yes", "vars": ["v"], "filename": 5},
            null,
        ])
    );
}

#[test]
fn the_last_lines_that_have_a_number_have_it() {
    for (line, after, kept) in [
        (u32::MAX, json!([]), vec![u32::MAX - 1, u32::MAX]),
        (u32::MAX - 2, json!(["d"]), vec![u32::MAX - 3, u32::MAX - 2, u32::MAX - 1]),
        (2, json!(null), vec![1, 2]),
        (0, json!(["d"]), vec![0, 1]),
    ] {
        let frame = json!({"lineno": line, "pre_context": ["b"], "context_line": "c", "post_context": after});
        let notice = notice_of(&json!({"exception": [{"type": "A", "stacktrace": {"frames": [frame]}}]}));
        let lines: Vec<u32> = notice.errors[0].frames[0].code.iter().map(|code| code.line).collect();
        assert_eq!(lines, kept);
    }
}

#[test]
fn the_file_is_what_helps_to_find_it() {
    for (frame, file, in_app, kept) in [
        (
            json!({"filename": "shop.py", "abs_path": "/srv/shop.py"}),
            "shop.py",
            None,
            json!([{"abs_path": "/srv/shop.py"}]),
        ),
        (json!({"abs_path": "/srv/shop.py"}), "/srv/shop.py", None, Value::Null),
        (json!({"filename": "a.rb", "abs_path": "a.rb"}), "a.rb", None, Value::Null),
        (json!({"filename": "", "abs_path": "/srv/shop.py"}), "/srv/shop.py", None, Value::Null),
        (
            json!({"filename": "/static/app.js", "abs_path": "https://cdn.example/static/app.js"}),
            "https://cdn.example/static/app.js",
            None,
            json!([{"filename": "/static/app.js"}]),
        ),
        (
            json!({"filename": "app:///app.js", "abs_path": "https://cdn.example/app.js"}),
            "https://cdn.example/app.js",
            None,
            json!([{"filename": "app:///app.js"}]),
        ),
        (
            json!({"filename": "./src/cart.ts", "abs_path": "webpack:///./src/cart.js"}),
            "./src/cart.ts",
            None,
            json!([{"abs_path": "webpack:///./src/cart.js"}]),
        ),
        (
            json!({"filename": "flask/app.py", "abs_path": "/venv/lib/python3.11/site-packages/flask/app.py"}),
            "flask/app.py",
            Some(false),
            json!([{"abs_path": "/venv/lib/python3.11/site-packages/flask/app.py"}]),
        ),
        (
            json!({"filename": "flask/app.py", "abs_path": "/venv/lib/python3.11/site-packages/flask/app.py", "in_app": true}),
            "flask/app.py",
            Some(true),
            json!([{"abs_path": "/venv/lib/python3.11/site-packages/flask/app.py"}]),
        ),
    ] {
        let notice = notice_of(&json!({"exception": [{"type": "A", "stacktrace": {"frames": [frame]}}]}));
        let frame = &notice.errors[0].frames[0];
        assert_eq!((frame.file.as_deref(), frame.in_app), (Some(file), in_app));
        let rest = unmapped(&notice).get("exception[0].stacktrace.frames").cloned().unwrap_or_default();
        assert_eq!(rest, kept);
    }
}

#[test]
fn the_stack_of_a_thread_goes_to_an_error_that_has_none() {
    let frames = |function: &str| json!({"frames": [{"function": function}]});
    let threads = |first: Value, second: Value| {
        json!({"values": [
            {"id": 1, "name": "main", "stacktrace": frames("main"), "flag": first},
            {"id": 2, "name": "worker", "stacktrace": frames("work"), "flag": second},
        ]})
    };
    let marked = |first: &str, second: &str| -> Value {
        let text = threads(json!(true), json!(true)).to_string();
        let text = text.replacen("flag", first, 1).replacen("flag", second, 1);
        serde_json::from_str(&text).unwrap()
    };
    for (first, second, function) in [
        ("current", "crashed", Some("work")),
        ("crashed", "current", Some("main")),
        ("other", "current", Some("work")),
        ("other", "another", None),
    ] {
        let notice = notice_of(&json!({"exception": [{"type": "A"}], "threads": marked(first, second)}));
        assert_eq!(functions(&notice.errors[0]), function.into_iter().collect::<Vec<_>>());
        let kept = json_of(notice.threads_json.as_ref());
        let stacks = kept.as_array().unwrap().iter().filter(|thread| thread["stacktrace"].is_object()).count();
        assert_eq!((kept[1]["name"].as_str(), stacks), (Some("worker"), 2 - usize::from(function.is_some())));
        assert_eq!(notice.unmapped_json, None);
    }
    let only = notice_of(&json!({"message": "m", "threads": [{"stacktrace": frames("only")}]}));
    assert_eq!(functions(&only.errors[0]), ["only"]);
    let own = notice_of(
        &json!({"exception": [{"type": "A", "stacktrace": frames("own")}], "threads": marked("current", "crashed")}),
    );
    assert_eq!(functions(&own.errors[0]), ["own"]);
    assert!(json_of(own.threads_json.as_ref())[1]["stacktrace"].is_object());
    let wrong = notice_of(&json!({"threads": "t"}));
    assert_eq!(unmapped(&wrong), json!({"threads": "t"}));
}

#[test]
fn a_stack_of_the_event_goes_to_an_error_that_has_none() {
    let stacktrace = json!({"frames": [{"function": "f"}], "registers": {"a": "0x1"}});
    for key in ["stacktrace", "sentry.interfaces.Stacktrace"] {
        let notice = notice_of(&json!({"message": "m", key: stacktrace}));
        assert_eq!(functions(&notice.errors[0]), ["f"]);
        assert_eq!(unmapped(&notice), json!({format!("{key}.registers"): {"a": "0x1"}}));
    }
    let both = notice_of(
        &json!({"stacktrace": stacktrace, "exception": [{"type": "A", "stacktrace": {"frames": [{"function": "own"}]}}]}),
    );
    assert_eq!(functions(&both.errors[0]), ["own"]);
    assert_eq!(unmapped(&both), json!({"stacktrace": stacktrace}));
}

#[test]
fn a_message_alone_is_an_error_without_a_class() {
    for (event, message, formatted, kept) in [
        (json!({"message": "SKU low"}), "SKU low", None, Value::Null),
        (
            json!({"message": {"message": "SKU %s low", "params": ["AB-1"]}}),
            "SKU %s low",
            Some("SKU AB-1 low"),
            json!({"message.params": ["AB-1"]}),
        ),
        (
            json!({"logentry": {"message": "order %s", "formatted": "order 17", "params": [17]}}),
            "order %s",
            Some("order 17"),
            json!({"logentry.params": [17]}),
        ),
        (json!({"logentry": {"message": "same", "formatted": "same"}}), "same", None, Value::Null),
        (json!({"logentry": {"formatted": "only"}}), "only", None, Value::Null),
        (json!({"logentry": "text"}), "text", None, Value::Null),
        (
            json!({"logentry": {"message": "{user} came", "params": {"user": "Ann"}}}),
            "{user} came",
            Some("Ann came"),
            json!({"logentry.params": {"user": "Ann"}}),
        ),
        (
            json!({"logentry": {"message": "%.3f", "params": [1], "x": 1}}),
            "%.3f",
            None,
            json!({"logentry.params": [1], "logentry.x": 1}),
        ),
        (
            json!({"message": "SKU %s low", "sentry.interfaces.Message": {"message": "SKU %s low", "params": ["'AB-1'"], "formatted": null}}),
            "SKU AB-1 low",
            None,
            json!({
                "sentry.interfaces.Message.message": "SKU %s low",
                "sentry.interfaces.Message.params": ["'AB-1'"],
                "message": "SKU %s low",
            }),
        ),
        (json!({"logentry": {"message": {"a": 1}}, "message": "m"}), "m", None, json!({"logentry.message": {"a": 1}})),
    ] {
        let notice = notice_of(&event);
        let [error] = notice.errors.as_slice() else { panic!("{event}") };
        assert_eq!((error.class.as_deref(), error.message.as_deref()), (None, Some(message)));
        assert_eq!((error.formatted.as_deref(), unmapped(&notice)), (formatted, kept), "{event}");
    }
}

#[test]
fn a_message_beside_an_exception_is_kept_beside() {
    let notice = notice_of(
        &json!({"exception": [{"type": "A", "value": "a"}], "message": "m", "logentry": {"message": "l", "params": [1]}}),
    );
    assert_eq!((notice.errors.len(), notice.errors[0].message.as_deref()), (1, Some("a")));
    assert_eq!(unmapped(&notice), json!({"logentry": {"message": "l", "params": [1]}, "message": "m"}));
    let nameless = notice_of(&json!({"exception": [{"stacktrace": {"frames": [{"function": "f"}]}}], "message": "m"}));
    assert_eq!((nameless.errors[0].message.as_deref(), functions(&nameless.errors[0])), (Some("m"), vec!["f"]));
}

#[test]
fn requests_are_read_in_all_their_forms() {
    let request = |request: Value| notice_of(&json!({"request": request, "transaction": "t"})).request.unwrap();
    let full = request(json!({
        "url": "https://shop.example/checkout", "method": "POST", "query_string": "?step=2&tags=a&tags=b&q=%C3%BC+x",
        "headers": [["Accept", "*/*"], ["X-Tag", "a"], ["X-Tag", "b"]], "cookies": "sid=1; theme=dark",
        "env": {"REMOTE_ADDR": "203.0.113.9"}, "data": {"card": "4111"},
    }));
    assert_eq!((full.url.as_deref(), full.method.as_deref()), (Some("https://shop.example/checkout"), Some("POST")));
    assert_eq!(full.action.as_deref(), Some("t"));
    assert_eq!(json_of(full.params_json.as_ref()), json!({"step": "2", "tags": "a", "tags (2)": "b", "q": "ü x"}));
    assert_eq!(json_of(full.headers_json.as_ref()), json!({"Accept": "*/*", "X-Tag": "a", "X-Tag (2)": "b"}));
    assert_eq!(json_of(full.cookies_json.as_ref()), json!("sid=1; theme=dark"));
    assert_eq!(json_of(full.cgi_json.as_ref()), json!({"REMOTE_ADDR": "203.0.113.9"}));
    assert_eq!(json_of(full.body_json.as_ref()), json!({"card": "4111"}));
    for (query, params) in [
        (json!({"a": [1, 2]}), json!({"a": [1, 2]})),
        (json!([["a", "1"], ["b", null]]), json!({"a": "1", "b": null})),
        (json!("flag"), json!({"flag": ""})),
        (json!("q=%FF"), json!("q=%FF")),
        (json!("a&".repeat(2_000)), json!("a&".repeat(2_000))),
        (json!(5), json!(5)),
        (json!([1, 2]), json!([1, 2])),
        (json!(""), Value::Null),
    ] {
        assert_eq!(json_of(request(json!({"query_string": query})).params_json.as_ref()), params);
    }
    assert_eq!(json_of(request(json!({"cookies": [["sid", "1"]]})).cookies_json.as_ref()), json!({"sid": "1"}));
    assert_eq!(json_of(request(json!({"data": "raw"})).body_json.as_ref()), json!("raw"));
    let odd = notice_of(&json!({"request": {"url": ["u"], "fragment": "f", "headers": [["A", "1"], 5, [["B"], 2]]}}));
    assert_eq!(json_of(odd.request.as_ref().unwrap().headers_json.as_ref()), json!({"A": "1"}));
    assert_eq!(
        unmapped(&odd),
        json!({"request.url": ["u"], "request.fragment": "f", "request.headers[1]": 5, "request.headers[2]": [["B"], 2]})
    );
    let older = notice_of(&json!({"sentry.interfaces.Http": {"url": "u", "x": 1}, "culprit": "shop in charge"}));
    let action = older.request.as_ref().unwrap();
    assert_eq!((action.url.as_deref(), action.action.as_deref()), (Some("u"), Some("shop in charge")));
    assert_eq!(unmapped(&older), json!({"sentry.interfaces.Http.x": 1}));
    let both = notice_of(&json!({"culprit": "c", "transaction": "t"}));
    assert_eq!(
        (both.request.unwrap().action.as_deref(), json_of(both.unmapped_json.as_ref())),
        (Some("t"), json!({"culprit": "c"}))
    );
}

#[test]
fn addresses_are_filled_in_where_the_client_asks_for_it() {
    let settings = |setting: &str| json!({"settings": {"infer_ip": setting}});
    for (event, ip) in [
        (json!({"user": {"id": 42, "ip_address": "{{auto}}"}}), Some("203.0.113.7")),
        (json!({"user": {"id": 42, "ip_address": "198.51.100.1"}, "sdk": settings("auto")}), Some("198.51.100.1")),
        (json!({"user": {"id": 42}, "sdk": settings("auto")}), Some("203.0.113.7")),
        (json!({"user": {"id": 42}, "sdk": settings("never")}), None),
        (json!({"user": {"id": 42, "ip_address": "{{auto}}"}, "sdk": settings("never")}), None),
        (json!({"user": {"id": 42}}), None),
    ] {
        assert_eq!(notice_of(&event).user.unwrap().ip.as_deref(), ip, "{event}");
    }
    assert_eq!(notice_of(&json!({"sdk": settings("auto")})).user.unwrap().ip.as_deref(), Some("203.0.113.7"));
    let payload = br#"{"user":{"ip_address":"{{auto}}"}}"#;
    let unknown = parse_event(payload, &EventContext::default()).unwrap().notice;
    assert_eq!(
        (unknown.user.is_none(), json_of(unknown.unmapped_json.as_ref())),
        (true, json!({"user.ip_address": "{{auto}}"}))
    );
}

#[test]
fn users_are_read_under_both_names() {
    for key in ["user", "sentry.interfaces.User"] {
        let notice = notice_of(
            &json!({key: {"id": 42, "name": "Ann", "username": "ann", "email": "ann@shop.example", "geo": {"city": "B"}}}),
        );
        let user = notice.user.as_ref().unwrap();
        assert_eq!(
            [&user.id, &user.name, &user.username, &user.email].map(|field| field.as_deref().unwrap()),
            ["42", "Ann", "ann", "ann@shop.example"]
        );
        assert_eq!(unmapped(&notice), json!({format!("{key}.geo"): {"city": "B"}}));
    }
    let wrong = notice_of(&json!({"user": "ann"}));
    assert_eq!((wrong.user.is_none(), unmapped(&wrong)), (true, json!({"user": "ann"})));
}

#[test]
fn tags_are_an_object_whatever_they_came_as() {
    for (tags, expected, kept) in [
        (json!({"a": "1", "b": 2, "c": null, "d": true}), json!({"a": "1", "b": 2, "d": true}), Value::Null),
        (json!([["a", "1"], ["b", null], [3, "c"], null]), json!({"a": "1", "3": "c"}), Value::Null),
        (json!({"a": {"x": 1}, "b": "2"}), json!({"b": "2"}), json!({"tags.a": {"x": 1}})),
        (json!([["a", "1"], ["b"], "c"]), json!({"a": "1"}), json!({"tags[1]": ["b"], "tags[2]": "c"})),
        (json!("t"), Value::Null, json!({"tags": "t"})),
        (json!(["t"]), Value::Null, json!({"tags": ["t"]})),
        (json!({}), Value::Null, Value::Null),
    ] {
        let notice = notice_of(&json!({"tags": tags}));
        assert_eq!((json_of(notice.tags_json.as_ref()), unmapped(&notice)), (expected, kept));
    }
}

#[test]
fn fingerprints_keep_their_parts_as_they_are() {
    let notice = notice_of(&json!({"fingerprint": ["{{ default }}", "{{default}}", 17, true, null, ["x"], 1.50]}));
    assert_eq!(notice.client_fingerprint, ["{{ default }}", "{{default}}", "17", "true", "1.5"]);
    assert_eq!(unmapped(&notice), json!({"fingerprint[5]": ["x"]}));
    assert_eq!(unmapped(&notice_of(&json!({"fingerprint": "f"}))), json!({"fingerprint": "f"}));
}

#[test]
fn breadcrumbs_have_the_same_parts_as_those_of_others() {
    let list = json!([
        {"timestamp": 1795318083.541, "category": "fetch", "type": "http", "data": {"method": "POST", "type": "x"}},
        {"timestamp": "2026-11-22T02:59:48Z", "type": "default", "level": null, "message": "m", "event_id": "7"},
        "text",
    ]);
    let expected = json!([
        {"at": "2026-11-22T03:28:03.541000Z", "category": "fetch", "data": {"type": "http", "method": "POST", "type (2)": "x"}},
        {"at": "2026-11-22T02:59:48Z", "category": "default", "message": "m", "data": {"event_id": "7"}},
        {"message": "text"},
    ]);
    for event in [
        json!({"breadcrumbs": list}),
        json!({"breadcrumbs": {"values": list}}),
        json!({"sentry.interfaces.Breadcrumbs": {"values": list}}),
    ] {
        let notice = notice_of(&event);
        assert_eq!((json_of(notice.breadcrumbs_json.as_ref()), unmapped(&notice)), (expected.clone(), Value::Null));
    }
    assert_eq!(notice_of(&json!({"breadcrumbs": {"values": []}})).breadcrumbs_json, None);
    assert_eq!(unmapped(&notice_of(&json!({"breadcrumbs": {"x": 1}}))), json!({"breadcrumbs": {"x": 1}}));
}

#[test]
fn the_trace_is_known_and_stays_in_the_contexts() {
    let contexts = json!({"trace": {"trace_id": "6135", "span_id": "8ba8", "op": "x"}, "os": {"name": "Linux"}});
    let notice = notice_of(&json!({"contexts": contexts}));
    let trace = notice.trace.as_ref().unwrap();
    assert_eq!((trace.trace_id.as_deref(), trace.span_id.as_deref()), (Some("6135"), Some("8ba8")));
    assert_eq!(json_of(notice.contexts_json.as_ref()), contexts);
    for other in [json!({"trace": 5}), json!({"trace": {"trace_id": null}}), json!({})] {
        assert_eq!(notice_of(&json!({"contexts": other})).trace, None);
    }
}

#[test]
fn values_of_the_wrong_kind_are_kept_beside_and_nothing_else_is_lost() {
    let wrong = json!({
        "exception": 5, "threads": 5, "stacktrace": 5, "request": 5, "user": 5, "sdk": 5, "tags": 5, "fingerprint": 5, "debug_meta": 5,
        "breadcrumbs": 5, "contexts": 5, "extra": 5, "modules": 5, "timestamp": "then", "level": {"a": 1}, "platform": {"a": 1},
        "environment": ["e"], "release": ["r"], "dist": ["d"], "logger": ["l"], "server_name": ["s"], "transaction": ["t"],
        "event_id": ["i"], "logentry": ["g"], "message": ["m"], "culprit": ["c"],
    });
    let notice = notice_of(&wrong);
    assert_eq!(unmapped(&notice), wrong);
    let mut mixed = wrong;
    mixed["exception"] =
        json!([5, {"type": "A", "value": "a", "module": ["m"], "mechanism": "x", "stacktrace": "s"}, [], null]);
    mixed["debug_meta"] = json!({"images": "i"});
    let notice = notice_of(&mixed);
    assert_eq!((classes(&notice), notice.errors[0].message.as_deref()), (vec!["A"], Some("a")));
    let kept = unmapped(&notice);
    for (path, value) in [
        ("exception[0]", json!(5)),
        ("exception[1].module", json!(["m"])),
        ("exception[1].mechanism", json!("x")),
        ("exception[1].stacktrace", json!("s")),
        ("debug_meta.images", json!("i")),
    ] {
        assert_eq!(kept[path], value, "{path}");
    }
}

#[test]
fn older_names_beside_the_plain_ones_lose_nothing() {
    let notice = notice_of(&json!({"exception": [{"type": "New"}], "sentry.interfaces.Exception": {"type": "Old"},
        "sentry.interfaces.Template": {"lineno": 1}, "breadcrumbs": [{"message": "m"}], "sentry.interfaces.Breadcrumbs": [{"message": "n"}]}));
    assert_eq!(classes(&notice), ["New"]);
    assert_eq!(
        unmapped(&notice),
        json!({"sentry.interfaces.Exception": {"type": "Old"}, "sentry.interfaces.Template": {"lineno": 1},
            "sentry.interfaces.Breadcrumbs": [{"message": "n"}]})
    );
}

#[test]
fn wrong_bytes_and_half_characters_are_replaced_and_noted() {
    let notice = parse_event(b"{\"message\":\"\\ud83d \xff\"}", &CONTEXT).unwrap().notice;
    assert_eq!(notice.errors[0].message.as_deref(), Some("\u{fffd} \u{fffd}"));
    assert_eq!(notice.notes.len(), 2, "{:?}", notice.notes);
}

#[test]
fn only_what_the_application_wrote_in_rust_is_its_own() {
    let registry = "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/sentry-panic-0.49.5/src/lib.rs";
    let std = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs";
    let frame = |function: &str, path: Option<&str>, in_app: bool| {
        let name = path.map(|path| path.rsplit('/').next().unwrap_or_default());
        json!({"function": function, "filename": name, "abs_path": path, "lineno": 7, "in_app": in_app})
    };
    let frames = json!([
        frame("__libc_start_main_impl", Some("./csu/../csu/libc-start.c"), true),
        frame("main", None, true),
        frame("shop::main", Some("/srv/shop/src/main.rs"), true),
        frame("shop::charge", None, true),
        frame("shop::cart::charge", Some("/srv/shop/src/cart.rs"), true),
        frame("core::panicking::panic_fmt", Some(std), false),
        frame("__rustc::rust_begin_unwind", Some(std), true),
        frame("sentry_panic::panic_handler", Some(registry), true),
    ]);
    let notice = notice_of(&json!({"platform": "native", "exception": {"values": [
        {"type": "panic", "value": "declined", "stacktrace": {"frames": frames}}
    ]}}));
    let own: Vec<_> = notice.errors[0].frames.iter().filter(|frame| frame.in_app == Some(true)).collect();
    let places: Vec<_> = own.iter().map(|frame| (frame.function.as_deref().unwrap(), frame.file.as_deref())).collect();
    assert_eq!(
        places,
        [
            ("shop::cart::charge", Some("/srv/shop/src/cart.rs")),
            ("shop::charge", None),
            ("shop::main", Some("/srv/shop/src/main.rs")),
        ]
    );
    assert_eq!(notice.errors[0].frames.len(), 8);
    let kept = &unmapped(&notice)["exception.values[0].stacktrace.frames"];
    assert_eq!(kept[7], json!({"filename": "lib.rs", "in_app": true}));
    assert_eq!(kept[4], json!({"filename": "cart.rs"}));
    // In another language `main` is the program's own.
    let other = notice_of(
        &json!({"exception": {"values": [{"type": "E", "stacktrace": {"frames": [{"function": "main", "in_app": true}]}}]}}),
    );
    assert_eq!(other.errors[0].frames[0].in_app, Some(true));
}

#[test]
fn compiled_code_without_symbols_is_told_by_where_it_lies() {
    let event = json!({
        "platform": "native",
        "debug_meta": {"images": [
            {"type": "elf", "code_file": "/opt/shop/libshop.so", "image_addr": "0x7f0000001000", "image_size": 65_536},
            {"type": "elf", "code_file": "/lib/x86_64-linux-gnu/libc.so.6", "image_addr": "0x7f0000100000", "image_size": "0x10000"},
            {"type": "sourcemap", "code_file": "app.js"},
        ]},
        "exception": {"values": [{"type": "SIGSEGV", "stacktrace": {"frames": [
            {"instruction_addr": "0x7f0000100010", "package": "/lib/x86_64-linux-gnu/libc.so.6"},
            {"instruction_addr": "0x1"},
            {"instruction_addr": "0x7f0000001abc"},
            {"instruction_addr": "0x104fa1a2b", "image_addr": "0x104fa0000", "package": "/private/var/App/Shop.app/Shop", "function": "<redacted>", "in_app": true},
            {"instruction_addr": "0x7f0000001abd", "function": "charge", "filename": "cart.c"},
        ]}}]},
    });
    let notice = notice_of(&event);
    let error = &notice.errors[0];
    assert_eq!(functions(error), ["charge", "Shop+0x1a2b", "libshop.so+0xabc", "", "libc.so.6+0x10"]);
    let in_app: Vec<_> = error.frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(in_app, [None, Some(true), None, None, Some(false)]);
    let rest = &unmapped(&notice)["exception.values[0].stacktrace.frames"];
    assert_eq!(rest[2]["instruction_addr"], "0x7f0000001abc");
    assert_eq!([&rest[3]["function"], &rest[3]["image_addr"]], ["<redacted>", "0x104fa0000"]);
    assert_eq!(json_of(notice.debug_images_json.as_ref()).as_array().map(Vec::len), Some(3));
}

#[test]
fn a_native_program_that_says_nothing_of_its_end_has_crashed() {
    let crashed = notice_of(&json!({"platform": "native", "level": "fatal", "release": "shop@1"}));
    assert_eq!(classes(&crashed), ["Minidump"]);
    assert_eq!(crashed.errors[0].handled, Some(false));
    for told in [
        json!({"platform": "native", "level": "error"}),
        json!({"platform": "python", "level": "fatal"}),
        json!({"platform": "native", "level": "fatal", "logentry": {"message": "m"}}),
    ] {
        assert_eq!(classes(&notice_of(&told)), [""], "{told}");
    }
}

#[test]
fn variables_of_a_fingerprint_are_written_out() {
    let event = |fingerprint: Value| {
        let event = json!({
            "fingerprint": fingerprint, "level": "fatal", "logger": "shop.pay", "transaction": "/cart", "tags": {"shop": "jp"},
            "exception": {"values": [{"type": "Declined", "value": "no", "stacktrace": {"frames": [
                {"function": "main", "in_app": true}, {"function": "charge", "module": "shop.cart", "in_app": true}, {"function": "lib", "in_app": false},
            ]}}]},
        });
        notice_of(&event).client_fingerprint
    };
    assert_eq!(
        event(json!([
            "{{ type }}",
            "{{value}}",
            "{{ function }}",
            "{{ stack.module }}",
            "{{ transaction }}",
            "{{ level }}",
            "{{ tags.shop }}"
        ])),
        ["Declined", "no", "charge", "shop.cart", "/cart", "fatal", "jp"]
    );
    assert_eq!(
        event(json!(["{{ tags.no }}", "{{ default }}", "{{ other }}", "a {{ type }}"])),
        ["<no-tags.no>", "{{ default }}", "{{ other }}", "a {{ type }}"]
    );
    // A list of nothing but long values would be many times as large as the event.
    let long = json!({"message": "m".repeat(100_000), "fingerprint": vec!["{{ message }}"; 1_000]});
    let parts = notice_of(&long).client_fingerprint;
    assert_eq!(parts.len(), 1_000);
    assert!(parts.iter().map(String::len).sum::<usize>() < 50_000);
}

#[test]
fn what_older_clients_had_for_fingerprint_and_environment_counts() {
    let notice = notice_of(&json!({"checksum": "5d5c", "fingerprint": ["f"], "tags": [["environment", "staging"]]}));
    assert_eq!(notice.client_fingerprint, ["5d5c"]);
    assert_eq!(notice.environment.as_deref(), Some("staging"));
    assert_eq!(unmapped(&notice), json!({"checksum": "5d5c"}));
    let both = notice_of(&json!({"environment": "test", "tags": {"environment": "staging"}}));
    assert_eq!(both.environment.as_deref(), Some("test"));
}

#[test]
fn chains_that_single_clients_send_the_other_way_round_are_turned() {
    let of = |sdk: &str, values: Value| {
        let notice = notice_of(&json!({"sdk": {"name": sdk}, "exception": {"values": values}}));
        classes(&notice).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let raised_first = json!([{"type": "CheckoutError"}, {"type": "PaymentDeclined"}]);
    assert_eq!(of("sentry.javascript.react-native", raised_first.clone()), ["CheckoutError", "PaymentDeclined"]);
    assert_eq!(of("sentry.javascript.browser", raised_first), ["PaymentDeclined", "CheckoutError"]);
    let numbered = |ids: [(u64, Option<u64>); 3]| {
        let classes = ["*errors.errorString", "*fmt.wrapError", "*shop.CheckoutError"];
        let exception = |(class, (id, parent)): (&str, (u64, Option<u64>))| json!({"type": class, "mechanism": {"type": "generic", "exception_id": id, "parent_id": parent}});
        Value::from(classes.into_iter().zip(ids).map(exception).collect::<Vec<_>>())
    };
    let raised_first = ["*shop.CheckoutError", "*fmt.wrapError", "*errors.errorString"];
    assert_eq!(of("sentry.go", numbered([(0, None), (1, Some(0)), (2, Some(1))])), raised_first);
    assert_eq!(of("sentry.go", numbered([(2, Some(1)), (1, Some(0)), (0, None)])), raised_first);
}

#[test]
fn a_client_that_says_what_it_is_beside_its_key_alone_is_known() {
    let of = |client: &str, event: &Value| {
        let context = EventContext { client: Some(client), ..EventContext::default() };
        parse_event(event.to_string().as_bytes(), &context).unwrap().notice
    };
    let event = json!({"exception": [{"type": "CheckoutError"}, {"type": "PaymentDeclined"}]});
    let notice = of("SharpRaven/2.2.0.0", &event);
    let notifier = notice.notifier.as_ref().unwrap();
    assert_eq!((notifier.name.as_deref(), notifier.version.as_deref()), (Some("SharpRaven"), Some("2.2.0.0")));
    assert_eq!(classes(&notice), ["CheckoutError", "PaymentDeclined"]);
    assert_eq!(of("curl", &event).notifier.unwrap().version, None);
    for nobody in ["", "/1"] {
        assert_eq!(of(nobody, &event).notifier, None);
    }
    let said = of("raven/1", &json!({"sdk": {"name": "sentry.python", "version": "2"}})).notifier.unwrap();
    assert_eq!(said.name.as_deref(), Some("sentry.python"));
}

#[test]
fn an_image_without_a_size_ends_where_the_next_one_begins() {
    // As Dart's client writes it.
    let notice = notice_of(&json!({
        "debug_meta": {"images": [
            {"type": "elf", "image_addr": "0x5000", "code_file": "libother.so"},
            {"type": "elf", "image_addr": "0x1000", "code_file": "libapp.so", "debug_id": "5d5c"},
        ]},
        "exception": {"values": [{"type": "E", "stacktrace": {"frames": [
            {"platform": "native", "instruction_addr": "0x5010"}, {"platform": "native", "instruction_addr": "0x1010"},
        ]}}]},
    }));
    assert_eq!(functions(&notice.errors[0]), ["libapp.so+0x10", "libother.so+0x10"]);
}
