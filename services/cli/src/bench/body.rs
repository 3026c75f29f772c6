//! Notices as real clients send them, in any size.

use anyhow::{Context as _, ensure};

use super::otlp;
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
            Protocol::Otlp => (
                "/v1/traces".to_owned(),
                format!("Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\nX-Croak-Key: {key}\r\n"),
            ),
        };
        // As their clients do.
        let body = if matches!(self.protocol, Protocol::Sentry | Protocol::Otlp) { body.gzipped() } else { body };
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
        let Shape { whole, frame, padding } = Shape::of(self.protocol);
        let key = self.key()?;
        // The padding is there in any case: that makes every size from the smallest one possible.
        let bytes_min = Template::parse(whole(key, "", &padding(""))).len();
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
        Ok(Template::parse(whole(key, &frames, &padding(&words))))
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
    /// With this key, these frames and this padding.
    whole: fn(&str, &str, &str) -> Vec<u8>,
    frame: fn(&str, usize) -> String,
    padding: fn(&str) -> String,
}

impl Shape {
    fn of(protocol: Protocol) -> Shape {
        match protocol {
            Protocol::Hoptoad => Shape {
                whole: |key, frames, padding| filled(include_str!("bodies/hoptoad.xml"), key, frames, padding),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(r#"<line number="{number}" file="[GEM_ROOT]/{file}" method="{method}"/>"#)
                },
                padding: |words| format!(r#"<var key="HTTP_X_NOTE">{words}</var>"#),
            },
            Protocol::Airbrake => Shape {
                whole: |key, frames, padding| filled(include_str!("bodies/airbrake.json"), key, frames, padding),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(r#",{{"file":"/GEM_ROOT/{file}","line":{number},"function":"{method}"}}"#)
                },
                padding: |words| format!(r#","HTTP_X_NOTE":"{words}""#),
            },
            Protocol::Sentry => Shape {
                whole: |key, frames, padding| filled(include_str!("bodies/sentry.envelope"), key, frames, padding),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(
                        r#"{{"filename":"{file}","abs_path":"/usr/lib/{file}","function":"{method}","lineno":{number},"in_app":false,"context_line":"    return {method}(self, *args, **kwargs)","vars":{{"self":"<Application at 0x7f2c>"}}}},"#
                    )
                },
                padding: |words| format!(r#","X-Note":"{words}""#),
            },
            Protocol::Otlp => Shape {
                whole: |_, frames, padding| otlp::request(frames, padding),
                frame: |line, place| {
                    let (file, number, method) = parts(line, place);
                    format!(
                        "  File \"/usr/lib/{file}\", line {number}, in {method}\n    return {method}(self, *args, **kwargs)\n"
                    )
                },
                padding: str::to_owned,
            },
        }
    }
}

/// A text with its places filled.
fn filled(text: &str, key: &str, frames: &str, padding: &str) -> Vec<u8> {
    text.replace("{key}", key).replace("{frames}", frames).replace("{padding}", padding).into_bytes()
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
        for (protocol, bytes_min) in [
            (Protocol::Hoptoad, 2_500),
            (Protocol::Airbrake, 2_500),
            (Protocol::Sentry, 3_600),
            (Protocol::Otlp, 2_500),
        ] {
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
    fn a_span_in_protobuf_is_read_as_one_with_its_own_ids() {
        let read = |fresh: &Fresh| {
            let template = args(Protocol::Otlp, 4_096).body().unwrap();
            let mut bytes = template.to_bytes();
            template.fill(&mut bytes, fresh);
            let taken = protocol::otlp::read_traces(&bytes, protocol::otlp::Encoding::Protobuf).unwrap();
            assert_eq!((taken.span_count, taken.refused_count, taken.notices.len()), (1, 0, 1));
            taken.notices[0].notice.clone()
        };
        let fresh = Fresh { group: 7, request_id: 1 << 100 | 5, time_ms: 1_795_318_273_866, ..Fresh::default() };
        let notice = read(&fresh);
        assert_eq!(
            notice.errors[0].class.as_deref(),
            Some("Checkout0000000000000007"),
            "without its module, as of all of Python"
        );
        assert!(notice.errors[0].frames.len() > 10, "{:?}", notice.errors[0].frames);
        assert_eq!(notice.occurred_at_us, Some(1_795_318_273_866_000));
        assert_eq!(notice.trace.unwrap().trace_id.as_deref(), Some("00000010000000000000000000000005"));
        let other = read(&Fresh { request_id: 6, ..fresh });
        assert_ne!(notice.client_id, other.client_id, "each is an occurrence of its own");
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
