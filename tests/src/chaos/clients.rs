//! The same error as clients of different makers send it.

use serde_json::{Value, json};

use crate::samples::{XML_PATH, XmlNotice, json_notice};
use crate::wire;

/// How a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    Xml,
    Json,
    Sentry,
    Otlp,
    Honeybadger,
    Rollbar,
    Bugsnag,
}

/// What is said, whoever says it.
pub(super) struct Said<'a> {
    pub(super) class: &'a str,
    /// Text that no other notice has.
    pub(super) marker_text: &'a str,
    /// What clients that name their notices make the name of: 32 hexadecimal digits.
    pub(super) name: &'a str,
    pub(super) user: &'a str,
    /// Whether the frames stand in the other order: another culprit, and so perhaps another lane.
    pub(super) is_turned: bool,
    pub(super) pads: usize,
}

/// The message of all of them.
pub(super) const MESSAGE: &str = "card declined by the bank";

/// What all have in common.
const SAME_IN_ALL: &[&str] = &[
    "app/models/payment.rb",
    "charge!",
    "app/controllers/orders_controller.rb",
    "https://shop.example/orders/17",
    "shop-web-1",
    "/srv/shop",
    "production",
    "shop@1.4.2",
    "A Customer",
    "orders",
    "create",
];

const FRAMES: [(&str, u32, &str); 2] =
    [("app/models/payment.rb", 31, "charge!"), ("app/controllers/orders_controller.rb", 18, "create")];

impl Client {
    pub(super) const ALL: [Client; 7] = [
        Client::Xml,
        Client::Json,
        Client::Sentry,
        Client::Otlp,
        Client::Honeybadger,
        Client::Rollbar,
        Client::Bugsnag,
    ];

    /// Whether it names its notices, so that one which is sent again is known.
    pub(super) fn names_its_notices(self) -> bool {
        matches!(self, Client::Sentry | Client::Otlp | Client::Honeybadger | Client::Rollbar)
    }

    /// What must be stored of everything that it says.
    pub(super) fn parts(self) -> Vec<&'static str> {
        let only: &[&str] = match self {
            Client::Xml => {
                &["lib/rack/runtime.rb", "dispatch", "REQUEST_METHOD", "\"cart\"", "Airbrake Notifier", "4.3.8"]
            }
            Client::Json => &["raise PaymentDeclined", "airbrake-ruby", "6.2.2"],
            Client::Sentry => &["sentry.ruby", "6.6.2", "orders#create"],
            Client::Otlp => &["POST /orders", "shop-checkout", "00f067aa0ba902b7"],
            Client::Honeybadger => &["honeybadger-ruby", "5.4.1", "orders#create", "REQUEST_METHOD"],
            Client::Rollbar => &["rollbar-gem", "3.4.0"],
            Client::Bugsnag => &["Ruby Bugsnag Notifier", "6.27.1"],
        };
        [SAME_IN_ALL, only, &[MESSAGE]].concat()
    }

    /// The whole request that brings it to a project.
    pub(super) fn request(self, said: &Said<'_>, project_id: i64, key: &str) -> Vec<u8> {
        let post = |path: &str, header: (&str, &str), body: &Value| {
            let headers = [("Content-Type", "application/json"), header];
            wire::request("POST", path, &headers, body.to_string().as_bytes())
        };
        match self {
            Client::Xml => {
                let notice = XmlNotice {
                    key: key.to_owned(),
                    class: said.class.to_owned(),
                    marker: said.marker_text.to_owned(),
                    user: said.user.to_owned(),
                    padding_bytes: said.pads * 100,
                    ..XmlNotice::default()
                };
                wire::post(XML_PATH, notice.document().as_bytes())
            }
            Client::Json => {
                let mut notice = json_notice(said.class, MESSAGE);
                notice["params"]["marker"] = json!(said.marker_text);
                notice["context"]["user"]["id"] = json!(said.user);
                said.pad(&mut notice["environment"]);
                let bearer = format!("Bearer {key}");
                post(&format!("/api/v3/projects/{project_id}/notices"), ("Authorization", &bearer), &notice)
            }
            Client::Sentry => {
                let auth = format!("Sentry sentry_key={key}, sentry_version=7");
                let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{}\n", said.sentry_event());
                let path = format!("/api/{project_id}/envelope/");
                wire::request("POST", &path, &[("X-Sentry-Auth", &auth)], envelope.as_bytes())
            }
            Client::Otlp => post("/v1/traces", ("X-Croak-Key", key), &said.otlp_traces()),
            Client::Honeybadger => post("/v1/notices", ("X-API-Key", key), &said.honeybadger_notice()),
            Client::Rollbar => post("/api/1/item/", ("X-Rollbar-Access-Token", key), &said.rollbar_item()),
            Client::Bugsnag => post("/", ("Bugsnag-Api-Key", key), &said.bugsnag_events()),
        }
    }
}

impl Said<'_> {
    /// The frames, the innermost first: as full path, line and function.
    fn frames(&self) -> Vec<(String, u32, &'static str)> {
        let mut frames = FRAMES.to_vec();
        if self.is_turned {
            frames.reverse();
        }
        frames.into_iter().map(|(file, line, function)| (format!("/srv/shop/{file}"), line, function)).collect()
    }

    fn extra(&self) -> Value {
        let mut extra = json!({"marker": self.marker_text});
        self.pad(&mut extra);
        extra
    }

    fn pad(&self, into: &mut Value) {
        for n in 0..self.pads {
            into[pad_name(n)] = json!("lorem ipsum dolor ".repeat(4));
        }
    }

    /// The name as most write it: with dashes.
    fn dashed(&self) -> String {
        uuid::Uuid::parse_str(self.name).expect("32 digits").to_string()
    }

    fn sentry_event(&self) -> Value {
        let frame = |(path, line, function): (String, u32, &str)| json!({"filename": path.trim_start_matches("/srv/shop/"), "abs_path": path, "lineno": line, "function": function, "in_app": true});
        let frames: Vec<Value> = self.frames().into_iter().rev().map(frame).collect();
        json!({
            "event_id": self.name,
            "platform": "ruby", "level": "error", "environment": "production", "release": "shop@1.4.2",
            "server_name": "shop-web-1", "transaction": "orders#create",
            "sdk": {"name": "sentry.ruby", "version": "6.6.2"},
            "exception": {"values": [{"type": self.class, "value": MESSAGE, "stacktrace": {"frames": frames}}]},
            "request": {"url": "https://shop.example/orders/17", "method": "POST"},
            "user": {"id": self.user, "username": "A Customer"},
            "extra": self.extra(),
        })
    }

    fn otlp_traces(&self) -> Value {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let lines: Vec<String> =
            self.frames().iter().map(|(path, line, function)| format!("{path}:{line}:in `{function}'")).collect();
        let mut attributes = vec![
            text("url.full", "https://shop.example/orders/17"),
            text("http.request.method", "POST"),
            text("user.id", self.user),
            text("user.full_name", "A Customer"),
            text("marker", self.marker_text),
        ];
        attributes.extend((0..self.pads).map(|n| text(&pad_name(n), &"lorem ipsum dolor ".repeat(4))));
        json!({"resourceSpans": [{
            "resource": {"attributes": [
                text("service.name", "shop-checkout"), text("service.version", "shop@1.4.2"),
                text("deployment.environment.name", "production"), text("host.name", "shop-web-1"),
                text("telemetry.sdk.language", "ruby"),
            ]},
            "scopeSpans": [{"scope": {"name": "orders"}, "spans": [{
                "traceId": self.name, "spanId": "00f067aa0ba902b7", "name": "POST /orders", "kind": 2,
                "startTimeUnixNano": "1795318461000000000", "endTimeUnixNano": "1795318462000000000",
                "attributes": attributes,
                "events": [{"name": "exception", "timeUnixNano": "1795318461500000000", "attributes": [
                    text("exception.type", self.class), text("exception.message", MESSAGE),
                    text("exception.stacktrace", &format!("{}: {MESSAGE} ({})\n\tfrom {}", lines[0], self.class, lines[1])),
                ]}],
            }]}],
        }]})
    }

    fn honeybadger_notice(&self) -> Value {
        let frame = |(path, line, function): (String, u32, &str)| json!({"number": line.to_string(), "file": path.replace("/srv/shop", "[PROJECT_ROOT]"), "method": function});
        let frames: Vec<Value> = self.frames().into_iter().map(frame).collect();
        json!({
            "notifier": {"name": "honeybadger-ruby", "version": "5.4.1"},
            "error": {"token": self.dashed(), "class": self.class, "message": MESSAGE, "backtrace": frames},
            "request": {
                "url": "https://shop.example/orders/17", "component": "orders", "action": "orders#create",
                "context": {"user_id": self.user, "user_name": "A Customer", "extra": self.extra()},
                "cgi_data": {"REQUEST_METHOD": "POST"},
            },
            "server": {"project_root": "/srv/shop", "environment_name": "production", "hostname": "shop-web-1", "revision": "shop@1.4.2"},
        })
    }

    fn rollbar_item(&self) -> Value {
        let frame =
            |(path, line, function): (String, u32, &str)| json!({"filename": path, "lineno": line, "method": function});
        let frames: Vec<Value> = self.frames().into_iter().rev().map(frame).collect();
        json!({"data": {
            "uuid": self.dashed(), "timestamp": 1_795_318_461, "environment": "production", "level": "error", "language": "ruby",
            "code_version": "shop@1.4.2", "context": "orders#create",
            "notifier": {"name": "rollbar-gem", "version": "3.4.0"},
            "server": {"host": "shop-web-1", "root": "/srv/shop"},
            "person": {"id": self.user, "username": "A Customer"},
            "request": {"url": "https://shop.example/orders/17", "method": "POST"},
            "custom": self.extra(),
            "body": {"trace": {"exception": {"class": self.class, "message": MESSAGE}, "frames": frames}},
        }})
    }

    fn bugsnag_events(&self) -> Value {
        let frame = |(path, line, function): (String, u32, &str)| json!({"file": path, "lineNumber": line, "method": function, "inProject": true});
        let frames: Vec<Value> = self.frames().into_iter().map(frame).collect();
        json!({
            "notifier": {"name": "Ruby Bugsnag Notifier", "version": "6.27.1", "url": "https://www.bugsnag.com"},
            "events": [{
                "app": {"version": "shop@1.4.2", "releaseStage": "production"},
                "context": "orders#create", "device": {"hostname": "shop-web-1"}, "severity": "error", "unhandled": true,
                "exceptions": [{"errorClass": self.class, "message": MESSAGE, "type": "ruby", "stacktrace": frames}],
                "user": {"id": self.user, "name": "A Customer"},
                "metaData": {"request": {"url": "https://shop.example/orders/17", "httpMethod": "POST"}, "custom": self.extra()},
            }],
        })
    }
}

/// The name of a padding; the last ones come seldom.
pub(super) fn pad_name(n: usize) -> String {
    format!("HTTP_X_PAD_{n}")
}
