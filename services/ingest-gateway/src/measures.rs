//! Every metric of the gateway's doors, each with what it tells. The shipper tells of the journal and of itself.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::rejection::Client;

/// Says what each metric tells; to be called once.
pub(crate) fn describe() {
    describe_counter!("gateway_accepted_total", "Records on the disk and answered with 2xx, by kind.");
    describe_counter!("gateway_counted_total", "Items that were taken and only counted, by what they are.");
    describe_counter!("gateway_refused_total", "Requests refused, by kind of client and reason.");
    describe_histogram!("gateway_append_seconds", "Time that an accepted record waited for the disk.");
    describe_histogram!("gateway_answer_seconds", "Time from a request's head to its answer, by door.");
    describe_gauge!("gateway_in_flight_bytes", "Bytes of request bodies in memory.");
    describe_gauge!("gateway_projects", "Projects that this gateway knows.");
    describe_gauge!("gateway_snapshot_version", "Version of the snapshot of projects.");
}

/// A record is on the disk, and its client will be told so.
pub(crate) fn accepted(kind: &'static str) {
    counter!("gateway_accepted_total", "kind" => kind).increment(1);
}

/// So many of something were taken of which nothing is kept.
pub(crate) fn counted(what: &'static str, count: u64) {
    counter!("gateway_counted_total", "what" => what).increment(count);
}

/// A request was refused.
pub(crate) fn refused(client: Client, reason: &'static str) {
    let client = match client {
        Client::Hoptoad => "hoptoad",
        Client::Airbrake => "airbrake",
        Client::Sentry => "sentry",
        Client::Honeybadger => "honeybadger",
        Client::Rollbar => "rollbar",
        Client::Bugsnag => "bugsnag",
        Client::Otlp(_) => "otlp",
        Client::Plain => "plain",
    };
    counter!("gateway_refused_total", "client" => client, "reason" => reason).increment(1);
}

/// How long the journal took.
pub(crate) fn appended(took: Duration) {
    histogram!("gateway_append_seconds").record(took);
}

/// How long a request took.
pub(crate) fn answered(door: &'static str, took: Duration) {
    histogram!("gateway_answer_seconds", "door" => door).record(took);
}

/// What is in memory, and known.
pub(crate) fn looked_around(in_flight_bytes: usize, project_count: usize, snapshot_version: u64) {
    gauge!("gateway_in_flight_bytes").set(in_flight_bytes as f64);
    gauge!("gateway_projects").set(project_count as f64);
    gauge!("gateway_snapshot_version").set(snapshot_version as f64);
}
