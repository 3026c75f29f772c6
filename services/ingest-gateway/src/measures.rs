//! Every metric of the gateway, each with what it tells.

use std::time::Duration;

use journal::Status;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use queue::ShipperStatus;

use crate::rejection::Client;

/// Says what each metric tells; to be called once.
pub(crate) fn describe() {
    describe_counter!("gateway_accepted_total", "Records on the disk and answered with 2xx, by kind.");
    describe_counter!("gateway_refused_total", "Requests refused, by kind of client and reason.");
    describe_histogram!("gateway_append_seconds", "Time that an accepted record waited for the disk.");
    describe_histogram!("gateway_answer_seconds", "Time from a request's head to its answer, by door.");
    describe_gauge!("gateway_in_flight_bytes", "Bytes of request bodies in memory.");
    describe_gauge!("gateway_projects", "Projects that this gateway knows.");
    describe_gauge!("gateway_snapshot_version", "Version of the snapshot of projects.");
    describe_gauge!("gateway_journal_unacked_bytes", "Bytes accepted and not yet in the database.");
    describe_gauge!("gateway_journal_bytes_max", "Un-acknowledged bytes at which notices are refused.");
    describe_gauge!("gateway_journal_disk_bytes", "Bytes that the journal's files take.");
    describe_gauge!("gateway_journal_segments", "Files of the journal.");
    describe_gauge!("gateway_journal_waiting_bytes", "Bytes that wait for the disk.");
    describe_gauge!(
        "gateway_journal_oldest_unacked_seconds",
        "Age of the oldest record that is not yet in the database."
    );
    describe_counter!("gateway_journal_corrupt_records_total", "Damaged places found in the journal.");
    describe_counter!("gateway_journal_synced_groups_total", "Groups of records made durable, each by one fdatasync.");
    describe_gauge!("gateway_ship_connected", "1 while Redis answers the shipper.");
    describe_gauge!("gateway_ship_outstanding_bytes", "Bytes in Redis and not yet in the database.");
    describe_counter!("gateway_ship_sent_total", "Entries that Redis took.");
    describe_counter!("gateway_ship_resent_total", "Entries sent again.");
    describe_counter!("gateway_ship_probes_found_total", "Probes that found everything in Redis: workers are slow.");
    describe_counter!("gateway_ship_probes_missing_total", "Probes that found entries missing: Redis lost them.");
    describe_counter!("gateway_ship_out_of_memory_total", "Pauses because Redis had no memory left.");
    describe_counter!("gateway_ship_errors_total", "Times that Redis could not be reached or did not answer.");
    describe_counter!("gateway_ship_watermarks_lowered_total", "Watermarks that went down: the database lost commits.");
}

/// A record is on the disk, and its client will be told so.
pub(crate) fn accepted(kind: &'static str) {
    counter!("gateway_accepted_total", "kind" => kind).increment(1);
}

/// A request was refused.
pub(crate) fn refused(client: Client, reason: &'static str) {
    let client = match client {
        Client::Hoptoad => "hoptoad",
        Client::Airbrake => "airbrake",
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

/// How the journal stands.
pub(crate) fn journal(status: &Status, now_us: i64) {
    let oldest_us = status.oldest_unacked_at_us.map_or(0, |at_us| (now_us - at_us).max(0));
    gauge!("gateway_journal_unacked_bytes").set(status.unacked_bytes as f64);
    gauge!("gateway_journal_bytes_max").set(status.bytes_max as f64);
    gauge!("gateway_journal_disk_bytes").set(status.disk_bytes as f64);
    gauge!("gateway_journal_segments").set(status.segment_count as f64);
    gauge!("gateway_journal_waiting_bytes").set(status.waiting_bytes as f64);
    gauge!("gateway_journal_oldest_unacked_seconds").set(oldest_us as f64 / 1e6);
    counter!("gateway_journal_corrupt_records_total").absolute(status.corrupt_records);
    counter!("gateway_journal_synced_groups_total").absolute(status.synced_groups);
}

/// How shipping stands.
pub(crate) fn shipper(status: &ShipperStatus) {
    gauge!("gateway_ship_connected").set(if status.is_connected { 1.0 } else { 0.0 });
    gauge!("gateway_ship_outstanding_bytes").set(status.outstanding_bytes as f64);
    counter!("gateway_ship_sent_total").absolute(status.sent_entries);
    counter!("gateway_ship_resent_total").absolute(status.resent_entries);
    counter!("gateway_ship_probes_found_total").absolute(status.probes_found);
    counter!("gateway_ship_probes_missing_total").absolute(status.probes_missing);
    counter!("gateway_ship_out_of_memory_total").absolute(status.oom_pauses);
    counter!("gateway_ship_errors_total").absolute(status.connection_errors);
    counter!("gateway_ship_watermarks_lowered_total").absolute(status.watermarks_lowered);
}
