//! Notices as real clients send them, in any size.

use anyhow::{Context as _, ensure};

use super::template::Template;
use crate::send::Protocol;

/// The frames of a stack that are added one by one until a notice is as large as wanted.
const FRAMES: &str = include_str!("bodies/frames.txt");
/// More frames than this no stack has that is no recursion; what is still to be filled is text.
const FRAMES_MAX: usize = 100;
/// What the text is made of.
const WORDS: &str = "the quick brown fox jumps over the lazy dog while a customer waits for the page ";

/// What kind of notices are sent.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BodyArgs {
    /// As which kind of client
    #[arg(long, value_enum, default_value_t = Protocol::Hoptoad)]
    protocol: Protocol,
    /// Bytes of a notice, before it is packed
    #[arg(long, default_value_t = 4_096)]
    body_bytes: usize,
    /// Key of the project
    #[arg(long, env = "CROAK_PROJECT_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Number of the project
    #[arg(long, default_value_t = 1)]
    pub(crate) project: i64,
}

impl BodyArgs {
    /// The request that brings such a notice to the host `authority`.
    pub(crate) fn request(&self, authority: &str, keep_alive: KeepAlive) -> anyhow::Result<Template> {
        let (key, body) = (self.key()?, self.body()?);
        let (path, headers) = match self.protocol {
            Protocol::Hoptoad => (
                "/notifier_api/v2/notices".to_owned(),
                "Content-Type: text/xml\r\nAccept: text/xml, application/xml\r\n".to_owned(),
            ),
            Protocol::Airbrake => (
                format!("/api/v3/projects/{}/notices", self.project),
                format!("Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n"),
            ),
            Protocol::Sentry => (
                format!("/api/{}/envelope/", self.project),
                format!(
                    "Content-Type: application/x-sentry-envelope\r\nContent-Encoding: gzip\r\n\
                     X-Sentry-Auth: Sentry sentry_key={key}, sentry_version=7, sentry_client=croak-bench/1\r\n"
                ),
            ),
        };
        // As its clients do.
        let body = if matches!(self.protocol, Protocol::Sentry) { body.gzipped() } else { body };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: croak-bench/{}\r\n{headers}{}Content-Length: {}\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            keep_alive.header(),
            body.len(),
        );
        Ok(body.behind(&head))
    }

    /// Bytes of a notice.
    pub(crate) fn bytes(&self) -> usize {
        self.body_bytes
    }

    fn key(&self) -> anyhow::Result<&str> {
        self.key.as_deref().context("no project is named: give its key as --key or CROAK_PROJECT_KEY")
    }

    /// The notice alone.
    pub(crate) fn body(&self) -> anyhow::Result<Template> {
        let Shape { text, frame, padding } = Shape::of(self.protocol);
        let text = text.replace("{key}", self.key()?);
        let bare = text.replace("{frames}", "").replace("{padding}", "");
        let length = |text: &str| Template::parse(text).len();
        // The padding is there in any case: that makes every size from the smallest one possible.
        let bytes_min = length(&bare) + padding("").len();
        ensure!(
            self.body_bytes >= bytes_min,
            "--body-bytes {} is too small: this kind of notice has at least {bytes_min}",
            self.body_bytes
        );
        let mut room = self.body_bytes - bytes_min;
        let mut frames = String::new();
        for (place, line) in FRAMES.lines().cycle().take(FRAMES_MAX).enumerate() {
            let next = frame(line, place);
            if next.len() > room {
                break;
            }
            room -= next.len();
            frames += &next;
        }
        let words: String = WORDS.chars().cycle().take(room).collect();
        let text = text.replace("{frames}", &frames).replace("{padding}", &padding(&words));
        Ok(Template::parse(&text))
    }
}

/// Whether a connection takes more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    On,
    Off,
}

impl KeepAlive {
    /// What a request says of it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            KeepAlive::On => "",
            KeepAlive::Off => "Connection: close\r\n",
        }
    }
}

/// How one kind of client writes a notice.
struct Shape {
    text: &'static str,
    frame: fn(&str, usize) -> String,
    padding: fn(&str) -> String,
}

impl Shape {
    fn of(protocol: Protocol) -> Shape {
        match protocol {
            Protocol::Hoptoad => Shape {
                text: include_str!("bodies/hoptoad.xml"),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(r#"<line number="{number}" file="[GEM_ROOT]/{file}" method="{method}"/>"#)
                },
                padding: |words| format!(r#"<var key="HTTP_X_NOTE">{words}</var>"#),
            },
            Protocol::Airbrake => Shape {
                text: include_str!("bodies/airbrake.json"),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(r#",{{"file":"/GEM_ROOT/{file}","line":{number},"function":"{method}"}}"#)
                },
                padding: |words| format!(r#","HTTP_X_NOTE":"{words}""#),
            },
            Protocol::Sentry => Shape {
                text: include_str!("bodies/sentry.envelope"),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(
                        r#"{{"filename":"{file}","abs_path":"/usr/lib/{file}","function":"{method}","lineno":{number},"in_app":false,"context_line":"    return {method}(self, *args, **kwargs)","vars":{{"self":"<Application at 0x7f2c>"}}}},"#
                    )
                },
                padding: |words| format!(r#","X-Note":"{words}""#),
            },
        }
    }
}

/// File, line and method of a frame; the same frame met again is another line of its file.
fn parts(line: &str, place: usize) -> (&str, usize, &str) {
    let mut parts = line.splitn(3, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (file, number, method) = (next(), next(), next());
    (file, number.parse::<usize>().unwrap_or(1) + place / FRAMES.lines().count(), method)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::template::Fresh;
    use super::*;

    fn args(protocol: Protocol, body_bytes: usize) -> BodyArgs {
        BodyArgs { protocol, body_bytes, key: Some("a1b2c3d4e5f60718293a4b5c6d7e8f90".to_owned()), project: 1 }
    }

    fn text(template: &Template, fresh: &Fresh) -> String {
        let mut bytes = template.to_bytes();
        template.fill(&mut bytes, fresh);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_notice_has_exactly_the_bytes_that_were_asked_for() {
        for (protocol, bytes_min) in
            [(Protocol::Hoptoad, 2_500), (Protocol::Airbrake, 2_500), (Protocol::Sentry, 3_600)]
        {
            for bytes in [bytes_min, 4_096, 4_097, 4_200, 11_000, 60_000] {
                assert_eq!(args(protocol, bytes).body().unwrap().len(), bytes, "{protocol:?}");
            }
            assert!(args(protocol, 500).body().is_err());
        }
    }

    #[test]
    fn a_request_announces_its_length_and_is_well_formed() {
        let fresh = Fresh { group: 7, ..Fresh::default() };
        let template = args(Protocol::Airbrake, 4_096).request("127.0.0.1:8080", KeepAlive::Off).unwrap();
        let request = text(&template, &fresh);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Length: 4096") && head.contains("Connection: close"), "{head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["errors"][0]["type"], "Checkout::Error0000000000000007");
        assert!(json["errors"][0]["backtrace"].as_array().unwrap().len() > 10);

        let xml = text(&args(Protocol::Hoptoad, 4_096).body().unwrap(), &fresh);
        assert!(xml.starts_with("<?xml") && xml.ends_with("</notice>"), "{xml}");
        assert!(!xml.contains(['{', '}']), "a mark is left: {xml}");
    }

    #[test]
    fn duplicates_differ_in_what_is_fresh_alone() {
        let template = args(Protocol::Hoptoad, 4_096).body().unwrap();
        let one = text(&template, &Fresh { user: 1_234_567, ..Fresh::default() });
        let other = text(&template, &Fresh { user: 7_654_321, ..Fresh::default() });
        assert_ne!(one, other);
        assert_eq!(one.replace("1234567", "7654321"), other);
    }
}
