//! Notices to send, as old and newer clients write them.

use serde_json::{Value, json};

/// The key of project 1.
pub const KEY: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";

/// The token that captured requests of sentry-cli show.
pub const BUILD_TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Where XML notices go.
pub const XML_PATH: &str = "/notifier_api/v2/notices";

/// Where JSON notices of project 1 go.
pub const JSON_PATH: &str = "/api/v3/projects/1/notices";

/// An XML notice. Samples vary one thing: `XmlNotice { class: "…".into(), ..XmlNotice::default() }`.
#[derive(Clone, Debug)]
pub struct XmlNotice {
    /// Key of the project.
    pub key: String,
    /// Class of the error; grouping goes by it.
    pub class: String,
    /// Message of the error.
    pub message: String,
    /// A parameter that no other notice has, by which a body is known again.
    pub marker: String,
    /// Id of the user who met it.
    pub user: String,
    /// `environment-name`.
    pub environment: String,
    /// `app-version`.
    pub release: String,
    /// Bytes of cgi-data that make it as large as real ones.
    pub padding_bytes: usize,
}

impl Default for XmlNotice {
    fn default() -> Self {
        XmlNotice {
            key: KEY.to_owned(),
            class: "Shop::PaymentDeclined".to_owned(),
            message: "card declined by the bank".to_owned(),
            marker: marker(),
            user: "42".to_owned(),
            environment: "production".to_owned(),
            release: "shop@1.4.2".to_owned(),
            padding_bytes: 0,
        }
    }
}

impl XmlNotice {
    /// The document.
    pub fn document(&self) -> String {
        let XmlNotice { key, class, message, marker, user, environment, release, .. } = self;
        let frames: String = FRAMES
            .iter()
            .map(|(file, line, method)| format!(r#"<line file="{file}" number="{line}" method="{method}"/>"#))
            .collect();
        let padding: String = (0..self.padding_bytes / 100)
            .map(|n| format!("<var key=\"HTTP_X_PAD_{n}\">{}</var>", "lorem ipsum dolor ".repeat(4)))
            .collect();
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<notice version="2.4"><api-key>{key}</api-key>
<notifier><name>Airbrake Notifier</name><version>4.3.8</version><url>https://github.com/airbrake/airbrake</url></notifier>
<error><class>{class}</class><message>{class}: {message}</message><backtrace>{frames}</backtrace></error>
<request><url>https://shop.example/orders/17</url><component>orders</component><action>create</action>
<params><var key="marker">{marker}</var><var key="order"><var key="id">17</var></var></params>
<session><var key="cart">3</var></session>
<cgi-data><var key="REQUEST_METHOD">POST</var>{padding}</cgi-data></request>
<server-environment><project-root>/srv/shop</project-root><environment-name>{environment}</environment-name>
<app-version>{release}</app-version><hostname>shop-web-1</hostname></server-environment>
<current-user><id>{user}</id><name>A Customer</name></current-user></notice>"#
        )
    }

    /// The whole request that brings it.
    pub fn request(&self) -> Vec<u8> {
        crate::wire::post(XML_PATH, self.document().as_bytes())
    }
}

const FRAMES: &[(&str, u32, &str)] = &[
    ("[PROJECT_ROOT]/app/models/payment.rb", 31, "charge!"),
    ("[PROJECT_ROOT]/app/controllers/orders_controller.rb", 18, "create"),
    ("[GEM_ROOT]/gems/actionpack-3.2.11/lib/action_controller/metal.rb", 203, "dispatch"),
    ("[GEM_ROOT]/gems/rack-1.4.5/lib/rack/runtime.rb", 17, "call"),
];

/// A JSON v3 notice of the same error.
pub fn json_notice(class: &str, message: &str) -> Value {
    json!({
        "errors": [{
            "type": class,
            "message": message,
            "backtrace": [
                {"file": "/PROJECT_ROOT/app/models/payment.rb", "line": 31, "function": "charge!", "code": {"30": "  def charge!", "31": "    raise PaymentDeclined"}},
                {"file": "/PROJECT_ROOT/app/controllers/orders_controller.rb", "line": 18, "function": "create"},
            ],
        }],
        "context": {
            "notifier": {"name": "airbrake-ruby", "version": "6.2.2", "url": "https://github.com/airbrake/airbrake-ruby"},
            "environment": "production", "severity": "error", "component": "orders", "action": "create",
            "version": "shop@1.4.2", "hostname": "shop-web-1", "rootDirectory": "/srv/shop", "url": "https://shop.example/orders/17",
            "user": {"id": 42, "name": "A Customer"},
        },
        "params": {"marker": marker()},
    })
}

/// The whole request that brings a JSON notice, with the key in the query.
pub fn json_request(notice: &Value) -> Vec<u8> {
    crate::wire::request(
        "POST",
        &format!("{JSON_PATH}?key={KEY}"),
        &[("Content-Type", "application/json")],
        notice.to_string().as_bytes(),
    )
}

/// A word that was never used before.
pub fn marker() -> String {
    format!("m{}", uuid::Uuid::new_v4().simple())
}
