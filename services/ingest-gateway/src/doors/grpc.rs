//! OpenTelemetry's doors by gRPC: `Export` of `TraceService`, `LogsService` and `MetricsService`, one message each way.
//!
//! The framing is read here, and not by a server of `tonic`: so a message counts against what may be in memory while it
//! arrives, is unpacked within the same limits as every other body, and is read by the same parser from the same bytes.
//!
//! Exporters send again what is answered UNAVAILABLE, and RESOURCE_EXHAUSTED if it says when; nothing else that is answered here.

use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut as _, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use protocol::otlp::{Encoding, Signal};
use service::http::Body;
use tonic::Status;

use super::otlp;
use crate::encoding::GRPC_ENCODINGS;
use crate::gateway::Gateway;
use crate::measures;
use crate::rejection::{Client, Refusal, Rejection};

/// What goes back.
pub(crate) type Answer = Response<tonic::body::Body>;

const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const CLIENT: Client = Client::Otlp(Encoding::Protobuf);

/// Answers one call.
pub(crate) async fn answer(gateway: &Arc<Gateway>, request: Request<Body>) -> Answer {
    let began = Instant::now();
    let (parts, mut body) = request.into_parts();
    let mut answer = match call(gateway, &parts, &mut body).await {
        Ok(message) => with_message(&message),
        Err(refusal) => {
            gateway.account(&refusal, CLIENT);
            refusal.rejection.answer_call()
        }
    };
    answer.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(GRPC_ENCODINGS));
    measures::answered("otlp_grpc", began.elapsed());
    answer
}

async fn call(gateway: &Arc<Gateway>, parts: &Parts, body: &mut Body) -> Result<Vec<u8>, Refusal> {
    if !is_grpc(&parts.headers) {
        return Err(Rejection::UnknownType.into());
    }
    let signal = called(parts.uri.path()).ok_or(Rejection::NoSuchPath)?;
    if parts.method != Method::POST {
        return Err(Rejection::WrongMethod { allow: "POST" }.into());
    }
    otlp::export_message(gateway, parts, body, signal).await
}

/// Whether the messages are those of protobuf.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    matches!(kind.split(';').next().unwrap_or_default().trim(), "application/grpc" | "application/grpc+proto")
}

/// What a path exports.
fn called(path: &str) -> Option<Signal> {
    match path.strip_prefix("/opentelemetry.proto.collector.")? {
        "trace.v1.TraceService/Export" => Some(Signal::Traces),
        "logs.v1.LogsService/Export" => Some(Signal::Logs),
        "metrics.v1.MetricsService/Export" => Some(Signal::Metrics),
        _ => None,
    }
}

/// The one message of an answer, never packed: it is empty, or a sentence.
fn with_message(message: &[u8]) -> Answer {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("an answer is a sentence"));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut answer = Response::new(tonic::body::Body::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_methods_are_there() {
        for (path, signal) in [
            ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Some(Signal::Traces)),
            ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Some(Signal::Logs)),
            ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Some(Signal::Metrics)),
            ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Import", None),
            ("/grpc.health.v1.Health/Check", None),
            ("/v1/traces", None),
        ] {
            assert_eq!(called(path), signal, "{path}");
        }
    }
}
