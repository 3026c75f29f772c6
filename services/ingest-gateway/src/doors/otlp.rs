//! OpenTelemetry's doors: `/v1/traces`, `/v1/logs`, `/v1/metrics`, in protobuf and in JSON, and the same by gRPC.
//!
//! Exporters send again what is answered 429, 502, 503 or 504, and nothing else; by gRPC what [`grpc`](super::grpc) says. What one request brings is taken whole or not at all.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use protocol::ParseError;
use protocol::otlp::{self, Encoding, Signal, Taken};
use service::http::Body;

use super::{Answered, sentry, with_body};
use crate::body::Posted;
use crate::gateway::{Gateway, Taking};
use crate::intake::Drafted;
use crate::keys;
use crate::projects::Project;
use crate::rejection::{Refusal, Rejection};

/// Most bytes of a request, before and after it is unpacked and in both forms together, by HTTP and by gRPC alike. The protocol recommends 64 MiB: that is more
/// than the bodies that are in memory at a time, and exporters send a few hundred records at once, a megabyte at most.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Headers that have nothing but the key in them.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-croak-key"),
    HeaderName::from_static("x-airbrake-key"),
    HeaderName::from_static("bugsnag-api-key"),
];

type Read = fn(&[u8], Encoding) -> Result<Taken, ParseError>;

/// How the body of a request is written, as its head says.
pub(super) fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    Encoding::of(headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

/// `POST /v1/{signal}`, or below `/api/{project}/integration/otlp/` for a project that the address names.
pub(super) async fn export(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    signal: Signal,
    named: Option<&str>,
) -> Answered {
    let encoding = encoding_of(&parts.headers).ok_or(Rejection::UnknownType)?;
    let admitted = Admitted::at(gateway, parts, named)?;
    let posted = gateway.read_up_to(parts, body, BODY_BYTES_MAX);
    let answer = admitted.keep(gateway, parts, posted, signal, encoding).await?;
    Ok(with_body(StatusCode::OK, encoding.content_type(), answer))
}

/// The same by gRPC: one message in protobuf, and one for an answer.
pub(super) async fn export_message(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Body,
    signal: Signal,
) -> Result<Vec<u8>, Refusal> {
    let admitted = Admitted::at(gateway, parts, None)?;
    let posted = gateway.read_message(parts, body, BODY_BYTES_MAX);
    admitted.keep(gateway, parts, posted, signal, Encoding::Protobuf).await
}

/// An exporter that may send.
struct Admitted {
    taking: Taking,
    project: Arc<Project>,
}

impl Admitted {
    /// By the key in the head; it must be that of the project that the address names, if it names one.
    fn at(gateway: &Gateway, parts: &Parts, named: Option<&str>) -> Result<Admitted, Refusal> {
        let taking = gateway.taking()?;
        let key = in_head(parts)?.ok_or(Rejection::MissingKey)?;
        let project = match named {
            Some(named) => keys::open_at(&taking.projects, &key, named)?,
            None => keys::open(&taking.projects, &key)?,
        };
        Ok(Admitted { taking, project })
    }

    /// Keeps all of what is posted, or nothing; gives the answer.
    async fn keep(
        self,
        gateway: &Arc<Gateway>,
        parts: &Parts,
        posted: impl Future<Output = Result<Posted, Rejection>>,
        signal: Signal,
        encoding: Encoding,
    ) -> Result<Vec<u8>, Refusal> {
        let Admitted { taking, project } = self;
        let project_id = project.id;
        let kept = async {
            let posted = posted.await?;
            let (pacing, intake) = (Arc::clone(gateway), taking.intake.clone());
            let read = move |body: &[u8]| take(&pacing, &taking, &project, body, signal, encoding);
            let (answer, drafts) = gateway.understand(posted, read).await?;
            gateway.keep_all(&intake, gateway.all_ready(parts, drafts).await?).await?;
            Ok(answer)
        };
        kept.await.map_err(|refusal: Refusal| refusal.or_of(Some(project_id)))
    }
}

/// Reads a request: its answer, and what it brings for the journal.
fn take(
    gateway: &Gateway,
    taking: &Taking,
    project: &Arc<Project>,
    body: &[u8],
    signal: Signal,
    encoding: Encoding,
) -> Result<(Vec<u8>, Vec<Drafted>), Refusal> {
    let read: Read = match signal {
        Signal::Traces => otlp::read_traces,
        Signal::Logs => otlp::read_logs,
        Signal::Metrics => otlp::read_metrics,
    };
    let taken = read(body, encoding).map_err(Rejection::from)?;
    if !taken.notices.is_empty() {
        gateway.pace(project, taken.notices.len())?;
    }
    let mut drafts = Vec::with_capacity(taken.notices.len());
    for parsed in taken.notices {
        drafts.push(taking.intake.draft_notice(project, taking.projects.dictionary, parsed.notice));
    }
    for (what, count) in
        [("span", taken.span_count), ("log_record", taken.log_count), ("data_point", taken.data_point_count)]
    {
        if count > 0 {
            gateway.count_only(project, what, count);
        }
    }
    Ok((otlp::accepted(signal, encoding, taken.refused_count, taken.refused_reason), drafts))
}

/// The key: in a header of its own, or where Sentry's clients put it, `Authorization: Bearer` among them.
fn in_head(parts: &Parts) -> Result<Option<String>, Rejection> {
    let alone = KEY_HEADERS.iter().find_map(|name| parts.headers.get(name)?.to_str().ok());
    match alone.map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => Ok(Some(key.to_owned())),
        None => sentry::key_in_head(parts),
    }
}
