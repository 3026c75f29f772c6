//! Requests that real clients sent, as files: `NNN.http` as it came over the socket and `NNN.json` with what it was.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part of it")]
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Read;
use std::path::{Path, PathBuf};

use notice::{Notice, NoticeId, Stored};
use protocol::otlp::{self, Encoding, Taken};
use protocol::sentry::{self, Envelope, EventContext, Item};
use protocol::{ParseError, Parsed};
use serde_json::Value;

/// Where the requests come from.
pub const PEER_IP: &str = "203.0.113.7";

/// Reads the body of a request that has one notice.
type Parser = fn(&[u8]) -> Result<Parsed, ParseError>;

/// Where requests are sent to that have one notice, and what reads it.
const PARSERS: &[(&str, Parser)] = &[
    ("/notifier_api/v2/notices", protocol::hoptoad::parse),
    ("/api/v3/", protocol::airbrake::parse_notice),
    ("/v1/notices", protocol::honeybadger::parse_notice),
    ("/api/1/item", first_of_rollbar),
];

/// The first event of a request, which has one unless a client was offline.
fn first_of_bugsnag(body: &[u8]) -> Result<Parsed, ParseError> {
    protocol::bugsnag::parse_notify(body).map(|mut events| events.swap_remove(0))
}

/// The first item of a request, which has one.
fn first_of_rollbar(body: &[u8]) -> Result<Parsed, ParseError> {
    protocol::rollbar::parse_items(body, None).map(|mut items| items.swap_remove(0))
}

/// One request of one client.
#[derive(Clone)]
pub struct Capture {
    /// `client/NNN scenario`
    pub name: String,
    /// The folder, which is named after the client and its version.
    pub client: String,
    /// What the driver and an independent parser know of it.
    pub meta: Value,
    /// The body, unpacked.
    pub body: Vec<u8>,
    /// What came on the connection behind the body: the rest of it, when the client counted characters instead of bytes.
    pub trailing: Vec<u8>,
}

impl Capture {
    fn read(path: &Path) -> Capture {
        let raw = std::fs::read(path).expect("a capture is readable");
        let meta: Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).expect("it has its metadata")).unwrap();
        // A message of gRPC has no head.
        let head_bytes = match path.extension().is_some_and(|extension| extension == "bin") {
            true => 0,
            false => raw.windows(4).position(|window| window == b"\r\n\r\n").expect("it has a head") + 4,
        };
        let client = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let stem = path.file_stem().unwrap().to_string_lossy();
        let scenario = meta["scenario"].as_str().unwrap_or_default();
        let trailing = std::fs::read(path.with_extension("trailing")).unwrap_or_default();
        Capture {
            name: format!("{client}/{stem} {scenario}"),
            client,
            body: unpacked(&raw[head_bytes..], meta["content_encoding"].as_str().unwrap_or_default()),
            trailing,
            meta,
        }
    }

    /// Whether it is a notice that this crate reads.
    pub fn is_notice(&self) -> bool {
        let is_event = || self.is_sentry() && self.event().is_some();
        self.meta["carries_error"] == true && (self.parser().is_some() || self.is_otlp() || is_event())
    }

    /// Whether it is a request of OpenTelemetry, by HTTP or gRPC.
    pub fn is_otlp(&self) -> bool {
        self.meta["expected"]["protocol"].as_str().is_some_and(|protocol| protocol.starts_with("otlp-"))
    }

    /// What a request of OpenTelemetry brings.
    pub fn taken(&self) -> Taken {
        let path = self.meta["path"].as_str().unwrap_or_default();
        let kind = self.meta["content_type"].as_str().unwrap_or("application/x-protobuf");
        let encoding = Encoding::of(kind).unwrap_or(Encoding::Protobuf);
        let taken = match path {
            _ if path.contains("traces") || path.contains("TraceService") => otlp::read_traces(&self.body, encoding),
            _ if path.contains("logs") || path.contains("LogsService") => otlp::read_logs(&self.body, encoding),
            _ => otlp::read_metrics(&self.body, encoding),
        };
        taken.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    pub fn is_xml(&self) -> bool {
        self.is_sent_to("/notifier_api/v2/notices")
    }

    pub fn is_json(&self) -> bool {
        self.is_sent_to("/api/v3/")
    }

    pub fn is_envelope(&self) -> bool {
        self.meta["path"].as_str().is_some_and(|path| path.starts_with("/api/1/envelope/"))
    }

    pub fn is_sentry(&self) -> bool {
        self.is_envelope() || self.meta["path"].as_str().is_some_and(|path| path.starts_with("/api/1/store/"))
    }

    /// The head of the envelope, and its items.
    pub fn envelope(&self) -> (Envelope<&[u8]>, Vec<Item>) {
        let mut envelope = Envelope::begin(self.body.as_slice()).expect("captures are envelopes");
        let mut items = Vec::new();
        while let Some(item) = envelope.next_item(|_| usize::MAX).expect("captures have only sound items") {
            items.push(item);
        }
        (envelope, items)
    }

    /// The JSON of the event, and what the envelope says of its id.
    pub fn event(&self) -> Option<(Vec<u8>, Option<String>)> {
        if !self.is_envelope() {
            let body = sentry::decode_store_body(&self.body, usize::MAX).expect("captures are sound");
            return Some((body.into_owned(), None));
        }
        let (envelope, items) = self.envelope();
        let event = items.into_iter().find(|item| item.head.kind == "event")?;
        Some((event.payload, envelope.event_id))
    }

    pub fn parse(&self) -> Result<Parsed, ParseError> {
        if let Some(parser) = self.parser() {
            return parser(&self.body);
        }
        if self.is_otlp() {
            return Ok(self.taken().notices.into_iter().next().expect("it has an exception"));
        }
        let (event, id) = self.event().expect("it has an event");
        sentry::parse_event(&event, &EventContext { event_id: id.as_deref(), peer_ip: Some(PEER_IP), client: None })
    }

    fn parser(&self) -> Option<Parser> {
        // Its clients send to the root.
        if self.meta["expected"]["protocol"] == "bugsnag" {
            return Some(first_of_bugsnag);
        }
        PARSERS.iter().find(|(path, _)| self.is_sent_to(path)).map(|(_, parser)| *parser)
    }

    fn is_sent_to(&self, path: &str) -> bool {
        self.meta["path"].as_str().is_some_and(|there| there.starts_with(path))
    }

    /// The body and what came behind it.
    pub fn whole_body(&self) -> Vec<u8> {
        [self.body.as_slice(), self.trailing.as_slice()].concat()
    }

    /// The notice as the gateway journals it when it has nothing but the body.
    pub fn notice(&self) -> Notice {
        self.ready(self.parse())
    }

    /// The notice as the gateway journals it when it has read on behind the body.
    pub fn whole_notice(&self) -> Notice {
        match self.trailing.as_slice() {
            [] => self.notice(),
            _ => self.ready(protocol::hoptoad::parse(&self.whole_body())),
        }
    }

    fn ready(&self, parsed: Result<Parsed, ParseError>) -> Notice {
        let mut notice = parsed.unwrap_or_else(|error| panic!("{}: {error}", self.name)).notice;
        notice::normalise(&mut notice);
        notice::scrub(&mut notice);
        notice
    }
}

fn unpacked(body: &[u8], encoding: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut out).map(|_| out),
        "deflate" => flate2::read::ZlibDecoder::new(body).read_to_end(&mut out).map(|_| out),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut out).map(|_| out),
        "zstd" => zstd::decode_all(body),
        _ => Ok(body.to_vec()),
    }
    .expect("captures are packed as they say")
}

/// A notice as the JSON API shows it.
pub fn json_of(notice: &Notice) -> Value {
    let id = NoticeId::new(1_795_316_388_564_789, 5, 42);
    notice::to_json(&Stored {
        id,
        project_id: 1,
        group_id: 17,
        accepted_at_us: 1_795_316_388_564_789,
        notice,
        why: None,
    })
}

/// The requests that lie in the repository.
pub fn fixtures() -> Vec<Capture> {
    all_in(&repository().join("tests/fixtures"))
}

/// All requests that were captured, if they are on this machine: they are too many for the repository.
pub fn captures() -> Option<Vec<Capture>> {
    let folder = match std::env::var_os("CROAK_CAPTURES") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared/captures"),
    };
    if !folder.is_dir() {
        eprintln!("no captures in {}: only the fixtures of the repository are tested", folder.display());
        return None;
    }
    Some(all_in(&folder))
}

/// The captures, or the fixtures when there are none.
pub fn captures_or_fixtures() -> Vec<Capture> {
    captures().unwrap_or_else(fixtures)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn all_in(folder: &Path) -> Vec<Capture> {
    let mut paths = Vec::new();
    for client in std::fs::read_dir(folder).expect("the folder is readable") {
        let client = client.unwrap().path();
        if client.is_dir() {
            for file in std::fs::read_dir(client).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "http" || extension == "bin") {
                    paths.push(path);
                }
            }
        }
    }
    paths.sort();
    let captures: Vec<Capture> = paths.iter().map(|path| Capture::read(path)).collect();
    assert!(!captures.is_empty(), "{} has no captures", folder.display());
    captures
}
