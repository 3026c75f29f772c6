//! Notices that are made up: each can be told from all others, and it is known what must be kept of it.

use serde_json::json;

use crate::samples::{XML_PATH, XmlNotice, json_notice};
use crate::wire;

/// Different errors of one project.
const CLASSES: u16 = 40;

/// Bytes of padding; the last ones come seldom.
const PADDINGS: [usize; 4] = [0, 1_500, 20_000, 300_000];

/// A notice of one of some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Notices of one template differ in their marker alone.
    pub template: Template,
    /// What no other notice has.
    pub marker: u128,
}

/// All that a notice is but its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    door: Door,
    class: u16,
    padding: u8,
}

/// How a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Door {
    Xml,
    Json,
    /// With an id of the client's own: the marker.
    Sentry,
}

impl Sample {
    /// One of those that come often: half of them are the same error again and again. None of them is named by its client.
    pub fn random() -> Sample {
        Sample::through(if rand::random() { Door::Json } else { Door::Xml })
    }

    /// The same, of clients of every kind.
    pub fn random_of_all() -> Sample {
        let doors = [Door::Xml, Door::Json, Door::Sentry];
        Sample::through(doors[rand::random_range(0..doors.len())])
    }

    /// Whether its client has given it an id, and so may send it again.
    pub fn is_named(&self) -> bool {
        self.template.door == Door::Sentry
    }

    fn through(door: Door) -> Sample {
        let class = if rand::random() { 0 } else { rand::random_range(0..CLASSES) };
        let padding = match rand::random_range(0..1_000) {
            0..700 => 0,
            700..980 => 1,
            980..999 => 2,
            _ => 3,
        };
        Sample { template: Template { door, class, padding }, marker: rand::random() }
    }

    /// The whole request that brings it to a project.
    pub fn request(&self, project_id: i64, key: &str) -> Vec<u8> {
        let Template { door, class, padding } = self.template;
        let (class, user) = (class_name(class), user(class));
        let padding_bytes = PADDINGS[usize::from(padding)];
        if door == Door::Sentry {
            return self.envelope(project_id, key, &class, &user, padding_bytes);
        }
        if door == Door::Xml {
            let notice = XmlNotice {
                key: key.to_owned(),
                class,
                marker: self.marker_text(),
                user,
                padding_bytes,
                ..XmlNotice::default()
            };
            return wire::post(XML_PATH, notice.document().as_bytes());
        }
        let mut notice = json_notice(&class, MESSAGE);
        notice["params"]["marker"] = json!(self.marker_text());
        notice["context"]["user"]["id"] = json!(user);
        for n in 0..padding_bytes / 100 {
            notice["environment"][format!("HTTP_X_PAD_{n}")] = json!("lorem ipsum dolor ".repeat(4));
        }
        let path = format!("/api/v3/projects/{project_id}/notices?key={key}");
        wire::request("POST", &path, &[("Content-Type", "application/json")], notice.to_string().as_bytes())
    }

    fn envelope(&self, project_id: i64, key: &str, class: &str, user: &str, padding_bytes: usize) -> Vec<u8> {
        let frame = |file: &str, line: u32, function: &str| json!({"filename": file, "abs_path": format!("/srv/shop/{file}"), "lineno": line, "function": function, "in_app": true});
        let mut event = json!({
            "event_id": format!("{:032x}", self.marker),
            "platform": "ruby", "level": "error", "environment": "production", "release": "shop@1.4.2",
            "server_name": "shop-web-1", "transaction": "orders#create",
            "sdk": {"name": "sentry.ruby", "version": "6.6.2"},
            "exception": {"values": [{"type": class, "value": MESSAGE, "stacktrace": {"frames": [
                frame("app/controllers/orders_controller.rb", 18, "create"),
                frame("app/models/payment.rb", 31, "charge!"),
            ]}}]},
            "request": {"url": "https://shop.example/orders/17", "method": "POST"},
            "user": {"id": user, "username": "A Customer"},
            "extra": {"marker": self.marker_text()},
        });
        for n in 0..padding_bytes / 100 {
            event["extra"][format!("HTTP_X_PAD_{n}")] = json!("lorem ipsum dolor ".repeat(4));
        }
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        let auth = format!("Sentry sentry_key={key}, sentry_version=7");
        wire::request("POST", &format!("/api/{project_id}/envelope/"), &[("X-Sentry-Auth", &auth)], envelope.as_bytes())
    }

    /// What is wrong with the stored body: it must have everything that was sent.
    pub fn fault(&self, body: &[u8]) -> Option<String> {
        let Template { door, class, padding } = self.template;
        let only = match door {
            Door::Xml => ONLY_IN_XML,
            Door::Json => ONLY_IN_JSON,
            Door::Sentry => ONLY_IN_SENTRY,
        };
        let mut parts = vec![self.marker_text(), class_name(class), user(class), MESSAGE.to_owned()];
        parts.extend(SAME_IN_ALL.iter().map(|part| (*part).to_owned()));
        parts.extend(only.iter().map(|part| (*part).to_owned()));
        parts.extend((0..PADDINGS[usize::from(padding)] / 100).map(|n| format!("HTTP_X_PAD_{n}\"")));
        let missing = parts.iter().find(|part| find(body, part.as_bytes()).is_none())?;
        Some(format!("{:?} has lost {missing:?}", self.template))
    }

    /// The stored body as it would be with the marker of nobody: the same for all notices of a template.
    pub fn without_marker(&self, body: &[u8]) -> Vec<u8> {
        let marker = format!("{:032x}", self.marker).into_bytes();
        let mut body = body.to_vec();
        while let Some(at) = find(&body, &marker) {
            body[at..at + marker.len()].fill(b'-');
        }
        body
    }

    fn marker_text(&self) -> String {
        format!("m{:032x}", self.marker)
    }
}

const MESSAGE: &str = "card declined by the bank";

/// What the samples have in common.
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
const ONLY_IN_JSON: &[&str] = &["raise PaymentDeclined", "airbrake-ruby", "6.2.2"];
const ONLY_IN_SENTRY: &[&str] = &["sentry.ruby", "6.6.2", "orders#create"];
const ONLY_IN_XML: &[&str] =
    &["lib/rack/runtime.rb", "dispatch", "REQUEST_METHOD", "\"cart\"", "Airbrake Notifier", "4.3.8"];

fn class_name(class: u16) -> String {
    format!("Chaos::Failure{class}")
}

fn user(class: u16) -> String {
    format!("user-{class}")
}

/// Where `part` begins in `bytes`.
pub(super) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(part) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
