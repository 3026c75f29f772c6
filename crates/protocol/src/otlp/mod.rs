//! OpenTelemetry's protocol: exceptions in requests of traces and logs become notices, everything else is counted.
//!
//! An exception is an event of a span named `exception`, or a record of a log with `exception.*` attributes. Clients can be told
//! to send both of the same one: they have the same [`client_id`](notice::Notice::client_id), and so has what is sent again.
//!
//! Requests are read record by record: only those with an exception are decoded, so that what a request takes is bounded by
//! what it says of exceptions. `prost` would make structs of all of it that are a hundred times as large, and refuse all of a request for a
//! text that is not UTF-8.

mod answer;
mod attributes;
mod context;
mod exception;
mod identity;
mod json;
mod metrics;
mod protobuf;
mod record;
mod request;
mod resource;
mod severity;
mod taken;
mod wire;

pub use answer::{Signal, StatusCode, accepted, refused, retry_info};
pub use taken::Taken;

use crate::ParseError;

/// How a request is written, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    /// The encoding of a content type.
    pub fn of(content_type: &str) -> Option<Encoding> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    /// The content type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// Reads an `ExportTraceServiceRequest`.
pub fn read_traces(body: &[u8], encoding: Encoding) -> Result<Taken, ParseError> {
    match encoding {
        Encoding::Protobuf => protobuf::traces(body),
        Encoding::Json => json::traces(body),
    }
}

/// Reads an `ExportLogsServiceRequest`.
pub fn read_logs(body: &[u8], encoding: Encoding) -> Result<Taken, ParseError> {
    match encoding {
        Encoding::Protobuf => protobuf::logs(body),
        Encoding::Json => json::logs(body),
    }
}

/// Counts the data points of an `ExportMetricsServiceRequest`.
pub fn read_metrics(body: &[u8], encoding: Encoding) -> Result<Taken, ParseError> {
    match encoding {
        Encoding::Protobuf => metrics::count_protobuf(body),
        Encoding::Json => metrics::count_json(body),
    }
}
