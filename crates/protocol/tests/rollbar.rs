//! Rollbar's items, as all its clients write them.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod capture;

use capture::{captures_or_fixtures, fixtures};
use notice::Notice;
use protocol::Parsed;
use protocol::rollbar::{accepted, deploy_updated, deployed, parse_items, refused};
use serde_json::{Value, json};

fn item_of(body: &[u8]) -> Parsed {
    let mut items = parse_items(body, None).expect("is read");
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn notice_of(body: &str) -> Notice {
    item_of(body.as_bytes()).notice
}

fn json_of(text: Option<&String>) -> Value {
    serde_json::from_str(text.expect("is there")).expect("is JSON")
}

fn captured(name: &str) -> Notice {
    let fixtures = fixtures();
    fixtures.iter().find(|fixture| fixture.name == name).expect("it is a fixture").parse().unwrap().notice
}

#[test]
fn the_chain_is_the_raised_error_and_its_causes() {
    let mut count = 0;
    for capture in captures_or_fixtures().iter().filter(|capture| capture.client.contains("rollbar")) {
        let Some(classes) = capture.meta["expected"]["cause_classes"].as_array() else { continue };
        let causes = capture.parse().unwrap().notice.errors.into_iter().skip(1);
        let causes: Vec<Value> = causes.map(|cause| cause.class.into()).collect();
        assert_eq!(&causes, classes, "{}", capture.name);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn browsers_say_the_release_with_what_is_known_of_the_script() {
    // As rollbar 3.1.0 writes it.
    let item = |more: &str| {
        notice_of(&format!(
            r#"{{"data":{{"body":{{"message":{{"body":"shelf is nearly empty"}}}},"client":{{"javascript":{{"browser":"Chrome","code_version":"shop@2.7.1"}}}}{more}}}}}"#
        ))
    };
    let notice = item("");
    assert_eq!(notice.release.as_deref(), Some("shop@2.7.1"));
    assert_eq!(json_of(notice.contexts_json.as_ref())["client"]["javascript"]["code_version"], "shop@2.7.1");
    assert_eq!(item(r#","code_version":"8f2c1de9a7""#).release.as_deref(), Some("8f2c1de9a7"));
}

#[test]
fn what_a_client_says_has_its_place() {
    let notice = captured("node-rollbar-3.1.0/004 request_context");
    assert_eq!(notice.protocol, "rollbar");
    assert_eq!(notice.client_id.as_deref(), Some("31f3c769-264c-4dd2-e358-71e27e92d34e"));
    assert_eq!(notice.client_fingerprint, ["payment-declined"]);
    assert_eq!(notice.release.as_deref(), Some("8f2c1de9a7"));
    assert_eq!(notice.severity.as_deref(), Some("error"));
    assert_eq!(notice.language.as_deref(), Some("javascript"));
    assert_eq!(notice.occurred_at_us, Some(1_795_318_341_000_000));
    assert_eq!(notice.user.as_ref().unwrap().id.as_deref(), Some("42"));
    assert_eq!(notice.server.as_ref().unwrap().hostname.as_deref(), Some("shop-web-1"));
    assert_eq!(notice.notifier.as_ref().unwrap().name.as_deref(), Some("node_rollbar"));
    assert_eq!(json_of(notice.extra_json.as_ref())["cart"], 4711);
    let top = &notice.errors[0].frames[0];
    assert_eq!((top.line, top.function.as_deref()), (Some(10), Some("Object.charge")), "the innermost frame is first");
    let numbers: Vec<u32> = top.code.iter().map(|code| code.line).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    let line = top.code.iter().find(|code| code.line == 10).unwrap();
    assert!(line.text.contains("throw new PaymentDeclined"), "{}", line.text);
}

#[test]
fn telemetry_becomes_breadcrumbs() {
    let notice = captured("node-rollbar-3.1.0/005 breadcrumbs");
    let trail = json_of(notice.breadcrumbs_json.as_ref());
    assert_eq!(
        trail[0],
        json!({"level": "info", "category": "manual", "at": "2026-11-22T03:32:21.117000Z", "message": "login ok", "data": {"source": "client"}})
    );
    let more = notice_of(
        r#"{"data":{"body":{"message":{"body":"m"},"telemetry":[{"level":"error","type":"network","timestamp_ms":1795318341000,"body":{"method":"GET","url":"/a","status_code":500}},"text"]}}}"#,
    );
    assert_eq!(
        json_of(more.breadcrumbs_json.as_ref()),
        json!([
            {"level": "error", "category": "network", "at": "2026-11-22T03:32:21.000000Z", "data": {"method": "GET", "url": "/a", "status_code": 500}},
            {"message": "text"},
        ])
    );
}

#[test]
fn a_message_has_no_class_and_what_is_attached_to_it() {
    let notice = captured("node-rollbar-3.1.0/008 message_event");
    assert_eq!(notice.errors.len(), 1);
    assert_eq!(notice.errors[0].message.as_deref(), Some("SKU AB-1 below threshold"));
    assert_eq!(notice.errors[0].class, None);
    let notice = notice_of(
        r#"{"data":{"custom":{"a":1},"body":{"message":{"body":"slow","extra":{"b":2},"route":"home#index","time_elapsed":15.23}}}}"#,
    );
    assert_eq!(
        json_of(notice.extra_json.as_ref()),
        json!({"a": 1, "b": 2, "route": "home#index", "time_elapsed": 15.23})
    );
    assert_eq!(notice_of(r#"{"data":{"body":{"message":"slow"}}}"#).errors[0].message.as_deref(), Some("slow"));
}

#[test]
fn python_java_and_php_frames_say_more() {
    let notice = notice_of(
        r#"{"access_token":"k","data":{"language":"python 3.11.2","framework":"flask","context":"shop#checkout","body":{"trace":{
        "exception":{"class":"PaymentDeclined","message":"PaymentDeclined: no","description":"the card"},
        "frames":[{"filename":"/srv/shop/app.py","lineno":3,"method":"main"},
        {"filename":"/srv/shop/shop.py","lineno":2,"method":"charge","class_name":"shop.Cart","code":"raise","context":{"pre":["def charge"],"post":["", [5]]},
         "argspec":["card"],"locals":{"card":"4111"},"args":[1],"kwargs":{"force":true}},
        {"filename":"nowhere.py","method":"x","code":"y","context":{"pre":["a"],"post":[]}}]}},
        "request":{"url":"http://a.example/","method":"POST","headers":{"Host":"a"},"GET":{},"POST":{"card":"1"},"params":{"id":"7"},"query_string":"ref=mail",
         "body":"raw","user_ip":"203.0.113.7","session":{"s":1},"files_keys":["f"]},
        "server":{"host":"web-1","root":"/srv/shop","branch":"main","pid":5},"client":{"javascript":{"browser":"Mozilla"}},"title":"t","person":{"id":7,"username":"ann","email":null}}}"#,
    );
    let error = &notice.errors[0];
    assert_eq!(error.message.as_deref(), Some("no"));
    let functions: Vec<_> = error.frames.iter().map(|frame| frame.function.as_deref().unwrap()).collect();
    assert_eq!(functions, ["x", "charge", "main"]);
    assert_eq!(error.frames[1].module.as_deref(), Some("shop.Cart"));
    assert_eq!(
        json_of(error.frames[1].vars_json.as_ref()),
        json!({"card": "4111", "args": [1], "kwargs": {"force": true}})
    );
    let code: Vec<_> = error.frames[1].code.iter().map(|code| (code.line, code.text.as_str())).collect();
    assert_eq!(code, [(1, "def charge"), (2, "raise")]);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "data.body.trace.exception.description": "the card",
            "data.body.trace.frames[1]": {"argspec": ["card"], "context": {"post": ["", [5]]}},
            "data.body.trace.frames[2]": {"context": {"pre": ["a"], "post": []}},
            "data.request.files_keys": ["f"], "framework": "flask", "data.title": "t",
        })
    );
    let request = notice.request.as_ref().unwrap();
    assert_eq!((request.component.as_deref(), request.action.as_deref()), (Some("shop"), Some("checkout")));
    assert_eq!(
        json_of(request.params_json.as_ref()),
        json!({"POST": {"card": "1"}, "params": {"id": "7"}, "query_string": "ref=mail"})
    );
    let user = notice.user.as_ref().unwrap();
    assert_eq!(
        [&user.id, &user.username, &user.ip].map(|field| field.as_deref()),
        [Some("7"), Some("ann"), Some("203.0.113.7")]
    );
    assert_eq!(notice.server.as_ref().unwrap().root.as_deref(), Some("/srv/shop"));
    assert_eq!(json_of(notice.contexts_json.as_ref()), json!({"client": {"javascript": {"browser": "Mozilla"}}}));
}

#[test]
fn an_address_that_only_the_receiver_knows_is_not_invented() {
    let notice = notice_of(r#"{"data":{"body":{"message":{"body":"m"}},"request":{"user_ip":"$remote_ip"}}}"#);
    assert_eq!(notice.user, None);
    assert_eq!(json_of(notice.unmapped_json.as_ref()), json!({"data.request.user_ip": "$remote_ip"}));
}

#[test]
fn the_address_that_a_browser_asks_for_is_filled_in() {
    let ip = |asked: &str, peer_ip: &str| {
        let body = format!(r#"{{"data":{{"body":{{"message":{{"body":"m"}}}},"request":{{"user_ip":"{asked}"}}}}}}"#);
        let notice = parse_items(body.as_bytes(), Some(peer_ip)).unwrap().remove(0).notice;
        assert_eq!(notice.unmapped_json, None);
        notice.user.and_then(|user| user.ip).unwrap()
    };
    assert_eq!(ip("$remote_ip", "203.0.113.7"), "203.0.113.7");
    assert_eq!(ip("$remote_ip_anonymize", "203.0.113.7"), "203.0.113.0");
    assert_eq!(ip("$remote_ip_anonymize", "2001:db8:1:2::7"), "2001:db8:1::");
    assert_eq!(ip("198.51.100.9", "203.0.113.7"), "198.51.100.9");
}

#[test]
fn a_list_of_items_is_a_notice_each() {
    let item = |text: &str| format!(r#"{{"body":{{"message":{{"body":"{text}"}}}}}}"#);
    let body = format!(r#"{{"access_token":"k","more":1,"data":[{},{{"title":"none"}},7,{}]}}"#, item("a"), item("b"));
    let items = parse_items(body.as_bytes(), None).unwrap();
    let told: Vec<_> =
        items.iter().map(|item| (item.api_key.as_deref(), item.notice.errors[0].message.as_deref())).collect();
    assert_eq!(told, [(Some("k"), Some("a")), (Some("k"), Some("b"))]);
    let rest = json!({"more": 1, "data[1]": {"title": "none"}, "data[2]": 7});
    assert_eq!(json_of(items[0].notice.unmapped_json.as_ref()), rest);
    assert_eq!(items[1].notice.unmapped_json, None);
    for body in [r#"{"data":[]}"#, r#"{"data":[{}]}"#, r#"{"data":[7]}"#] {
        assert!(parse_items(body.as_bytes(), None).is_err(), "{body}");
    }
    let many = format!(r#"{{"data":[{}]}}"#, vec![item("a"); 501].join(","));
    assert!(parse_items(many.as_bytes(), None).is_err());
}

#[test]
fn deploys_are_answered_with_a_number() {
    let id = notice::NoticeId::new(1_795_316_388_564_789, 5, 42);
    let told: Value = serde_json::from_str(&deployed(&id)).unwrap();
    let number = told["data"]["deploy_id"].as_u64().unwrap();
    assert!(number > 0 && number < 1 << 53, "a double holds it");
    assert_eq!(deploy_updated("17"), r#"{"err":0,"result":{"id":17}}"#);
    assert_eq!(deploy_updated("x"), r#"{"err":0,"result":{"id":"x"}}"#);
}

#[test]
fn the_text_of_a_crash_is_its_message() {
    let notice = notice_of(r#"{"data":{"body":{"crash_report":{"raw":"Incident 1\nThread 0","x":1}}}}"#);
    assert_eq!(notice.errors[0].message.as_deref(), Some("Incident 1\nThread 0"));
    assert_eq!(json_of(notice.unmapped_json.as_ref()), json!({"data.body.crash_report.x": 1}));
}

#[test]
fn an_item_in_a_form_is_read() {
    let parsed = item_of(
        b"payload=%7B%22access_token%22%3A%22k%22%2C%22data%22%3A%7B%22body%22%3A%7B%22message%22%3A%22a+b%22%7D%7D%7D",
    );
    assert_eq!(parsed.api_key.as_deref(), Some("k"));
    assert_eq!(parsed.notice.errors[0].message.as_deref(), Some("a b"));
}

#[test]
fn lines_of_code_are_numbered_within_what_a_number_can_be() {
    let notice = notice_of(
        r#"{"data":{"body":{"trace":{"frames":[{"lineno":4294967295,"code":"x","context":{"pre":["a"],"post":["b","c"]}},{"lineno":1,"code":"x","context":{"pre":["a","b"]}}]}}}}"#,
    );
    let lines = |at: usize| notice.errors[0].frames[at].code.iter().map(|code| code.line).collect::<Vec<_>>();
    assert_eq!(lines(1), [u32::MAX - 1, u32::MAX, u32::MAX, u32::MAX]);
    assert_eq!(lines(0), [0, 1, 2]);
}

#[test]
fn values_of_the_wrong_kind_are_kept_beside() {
    let notice = notice_of(
        r#"{"x":1,"data":{"body":{"trace_chain":[{"exception":"e","frames":"f"},7],"trace":5,"telemetry":"t"},"request":"r","person":[1],"server":2,
        "custom":"c","fingerprint":["f"],"timestamp":"soon","context":"GET /carts","free":true}}"#,
    );
    assert_eq!(notice.errors.len(), 2);
    assert_eq!(
        json_of(notice.unmapped_json.as_ref()),
        json!({
            "data.body.trace_chain[0].exception": "e", "data.body.trace_chain[0].frames": "f", "data.body.trace_chain[1]": 7,
            "data.body.trace": 5, "data.body.telemetry": "t", "data.request": "r", "data.person": [1], "data.server": 2,
            "data.fingerprint": ["f"], "data.timestamp": "soon", "data.context": "GET /carts", "data.free": true, "x": 1,
        })
    );
    assert_eq!(json_of(notice.extra_json.as_ref()), json!({"custom": "c"}));
}

#[test]
fn answers_are_what_the_clients_read() {
    assert_eq!(accepted("31f3"), r#"{"err":0,"id":"31f3","result":{"id":null,"uuid":"31f3"}}"#);
    assert_eq!(refused("no"), r#"{"err":1,"message":"no"}"#);
}

#[test]
fn clients_for_go_and_net_begin_with_the_innermost_call() {
    // As rollbar-go 1.4 and Rollbar.NET 5 write them.
    let functions = |language: &str, notifier: &str| {
        let notice = notice_of(&format!(
            r#"{{"data":{{"language":"{language}","notifier":{{"name":"{notifier}"}},"body":{{"trace":{{"frames":[
            {{"filename":"shop/cart.go","method":"shop.Charge","lineno":9}},{{"filename":"shop/main.go","method":"main.main","lineno":3}}],
            "exception":{{"class":"*errors.errorString","message":"declined"}}}}}}}}}}"#
        ));
        notice.errors[0].frames.iter().map(|frame| frame.function.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(functions("go", "rollbar-go"), ["shop.Charge", "main.main"]);
    assert_eq!(functions("csharp", "Rollbar.NET"), ["shop.Charge", "main.main"]);
    assert_eq!(functions("ruby", "rollbar-gem"), ["main.main", "shop.Charge"]);
}

#[test]
fn places_of_php_have_the_functions_that_they_lie_in() {
    // As rollbar-php 4 writes it: with each place the function that is called there, and none with the place of the error.
    let item = |frames: &str| {
        notice_of(&format!(
            r#"{{"data":{{"language":"php","notifier":{{"name":"rollbar-php","version":"4.1.0"}},"body":{{"trace":{{"exception":{{"class":"Declined","message":"no"}},"frames":{frames}}}}}}}}}"#
        ))
    };
    let functions = |notice: &Notice| -> Vec<(String, Option<String>)> {
        let frames = notice.errors[0].frames.iter();
        frames.map(|frame| (frame.file.clone().unwrap(), frame.function.clone())).collect()
    };
    let notice = item(
        r#"[{"filename":"index.php","lineno":3,"method":"run","args":["/pay"]},{"filename":"drive.php","lineno":22,"method":"Cart::charge"},{"filename":"cart.php","lineno":8}]"#,
    );
    let place = |file: &str, function: Option<&str>| (file.to_owned(), function.map(str::to_owned));
    let expected = [place("cart.php", Some("Cart::charge")), place("drive.php", Some("run")), place("index.php", None)];
    assert_eq!(functions(&notice), expected);
    assert_eq!(json_of(notice.errors[0].frames[1].vars_json.as_ref()), json!({"args": ["/pay"]}));
    // Older ones did it themselves.
    let moved = item(
        r#"[{"filename":"drive.php","lineno":22,"method":"<main>"},{"filename":"cart.php","lineno":8,"method":"Cart::charge"}]"#,
    );
    assert_eq!(functions(&moved), [place("cart.php", Some("Cart::charge")), place("drive.php", Some("<main>"))]);
}

#[test]
fn some_clients_begin_with_the_innermost_call() {
    let top = |item: &str| {
        let notice = notice_of(&format!(
            r#"{{"data":{{{item},"body":{{"trace":{{"exception":{{"class":"D","message":"no"}},"frames":[{{"filename":"cart","method":"charge"}},{{"filename":"main","method":"main"}}]}}}}}}}}"#
        ));
        notice.errors[0].frames[0].function.clone().unwrap()
    };
    for item in [
        r#""notifier":{"name":"Rollbax"},"language":"Elixir v1.15""#,
        r#""notifier":{"name":"rollbar-dart"},"language":"dart""#,
        r#""notifier":{"name":"RollbarSharp"},"language":"csharp""#,
        r#""language":"rust""#,
        r#""notifier":{"name":"rollbar-go"},"language":"go""#,
    ] {
        assert_eq!(top(item), "charge", "{item}");
    }
    for item in [r#""notifier":{"name":"tower_rollbar"},"language":"elixir""#, r#""language":"ruby""#] {
        assert_eq!(top(item), "main", "{item}");
    }
}

#[test]
fn a_class_and_a_release_are_read_where_clojures_client_has_them() {
    let notice = notice_of(
        r#"{"data":{"language":"clojure","server":{"host":"web-1","code_version":"shop@1.4.2"},
            "body":{"trace":{"exception":{"class":"class java.lang.ArithmeticException","message":"no"},"frames":[]}}}}"#,
    );
    assert_eq!(notice.release.as_deref(), Some("shop@1.4.2"));
    assert_eq!(notice.errors[0].class.as_deref(), Some("java.lang.ArithmeticException"));
}
