//! What OpenTelemetry's exporters want to hear, in the encoding that they asked in.

use serde_json::json;

use super::Encoding;
use super::wire::{write_bytes, write_varint};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Records of logs.
    Logs,
    /// Data points.
    Metrics,
}

/// Why a request was not taken, as `google.rpc.Code` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// The body is not what it should be. Not sent again.
    InvalidArgument = 3,
    /// The key may not do that.
    PermissionDenied = 7,
    /// Too much, or too often. Sent again only with a time to wait.
    ResourceExhausted = 8,
    /// There is nothing at this path.
    Unimplemented = 12,
    /// Our fault, and nothing that goes away. Not sent again.
    Internal = 13,
    /// Not now. Sent again.
    Unavailable = 14,
    /// No key, or none that we know.
    Unauthenticated = 16,
}

/// The `Export…ServiceResponse` to what was taken; `refused_count` of its records were not, for this reason.
pub fn accepted(signal: Signal, encoding: Encoding, refused_count: u64, reason: &str) -> Vec<u8> {
    match (encoding, refused_count) {
        (Encoding::Protobuf, 0) => Vec::new(),
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Protobuf, count) => {
            let mut partial = Vec::new();
            write_varint(1, count, &mut partial);
            write_bytes(2, reason.as_bytes(), &mut partial);
            let mut out = Vec::new();
            write_bytes(1, &partial, &mut out);
            out
        }
        (Encoding::Json, count) => {
            let name = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // 64-bit integers are strings in the JSON of protobuf.
            json!({"partialSuccess": {name: count.to_string(), "errorMessage": reason}}).to_string().into_bytes()
        }
    }
}

/// The `google.rpc.Status` to what was refused. With seconds to wait it says so in a `RetryInfo`, for gRPC's clients.
pub fn refused(encoding: Encoding, code: StatusCode, message: &str, retry_after_s: Option<u32>) -> Vec<u8> {
    const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
    match encoding {
        Encoding::Protobuf => {
            let mut out = Vec::new();
            write_varint(1, code as u64, &mut out);
            write_bytes(2, message.as_bytes(), &mut out);
            if let Some(seconds) = retry_after_s {
                let mut any = Vec::new();
                write_bytes(1, RETRY_INFO.as_bytes(), &mut any);
                write_bytes(2, &retry_info(seconds), &mut any);
                write_bytes(3, &any, &mut out);
            }
            out
        }
        Encoding::Json => {
            let details: Vec<_> = retry_after_s
                .map(|seconds| json!({"@type": RETRY_INFO, "retryDelay": format!("{seconds}s")}))
                .into_iter()
                .collect();
            json!({"code": code as u32, "message": message, "details": details}).to_string().into_bytes()
        }
    }
}

/// The `google.rpc.RetryInfo` that says how many seconds to wait.
pub fn retry_info(seconds: u32) -> Vec<u8> {
    let (mut duration, mut out) = (Vec::new(), Vec::new());
    write_varint(1, seconds.into(), &mut duration);
    write_bytes(1, &duration, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_taken_is_an_empty_answer() {
        assert_eq!(accepted(Signal::Traces, Encoding::Protobuf, 0, ""), b"");
        assert_eq!(accepted(Signal::Logs, Encoding::Json, 0, ""), b"{}");
    }

    #[test]
    fn what_was_refused_is_counted() {
        assert_eq!(accepted(Signal::Logs, Encoding::Protobuf, 300, "no"), b"\x0a\x07\x08\xac\x02\x12\x02no");
        let json = accepted(Signal::Traces, Encoding::Json, 300, "no");
        assert_eq!(json, br#"{"partialSuccess":{"rejectedSpans":"300","errorMessage":"no"}}"#);
    }

    #[test]
    fn a_status_says_why_and_how_long() {
        assert_eq!(refused(Encoding::Protobuf, StatusCode::InvalidArgument, "no", None), b"\x08\x03\x12\x02no");
        let wait = refused(Encoding::Protobuf, StatusCode::Unavailable, "", Some(5));
        assert!(wait.ends_with(b"type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x05"), "{wait:?}");
        let json = refused(Encoding::Json, StatusCode::Unavailable, "later", Some(5));
        assert_eq!(
            String::from_utf8_lossy(&json),
            r#"{"code":14,"message":"later","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"5s"}]}"#
        );
    }
}
