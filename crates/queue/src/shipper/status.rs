//! What the shipper tells of itself, in the process and as metrics.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// What the shipper has done since it started, and what is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipperStatus {
    /// Whether the last exchange with Redis succeeded.
    pub is_connected: bool,
    /// Bytes on Redis that no watermark covers yet.
    pub outstanding_bytes: u64,
    /// Entries that Redis took.
    pub sent_entries: u64,
    /// Entries that Redis took although it had taken them before.
    pub resent_entries: u64,
    /// Probes that found everything still there.
    pub probes_found: u64,
    /// Probes that found entries missing.
    pub probes_missing: u64,
    /// Times that a lane was paused because Redis had no memory left.
    pub oom_pauses: u64,
    /// Times that Redis refused an entry for another reason.
    pub refusals: u64,
    /// Times that Redis could not be reached or did not answer.
    pub connection_errors: u64,
    /// Watermarks that went down: the database lost commits, or was set back.
    pub watermarks_lowered: u64,
}

/// Says what each metric tells.
pub(super) fn describe() {
    describe_gauge!(
        "gateway_journal_oldest_unacked_seconds",
        "age of the oldest record that the database has not committed"
    );
    describe_gauge!("gateway_journal_unacked_bytes", "bytes of records that the database has not committed");
    describe_gauge!("gateway_journal_max_bytes", "un-acknowledged bytes at which the journal is full");
    describe_gauge!("gateway_journal_disk_bytes", "bytes that the journal's files take, with those kept for a while");
    describe_gauge!("gateway_journal_segments", "files of the journal directory");
    describe_gauge!(
        "gateway_journal_journals",
        "journals in the directory: this process's own and those of earlier ones"
    );
    describe_gauge!("gateway_journal_waiting_bytes", "bytes that wait for the disk");
    describe_counter!("gateway_journal_records_total", "records made durable");
    describe_counter!("gateway_journal_syncs_total", "groups of records made durable with one fdatasync");
    describe_counter!("gateway_journal_corrupt_records_total", "damaged places found in the journal's files");
    describe_gauge!("gateway_ship_connected", "1 while redis answers");
    describe_gauge!("gateway_ship_outstanding_bytes", "bytes on redis that the database has not committed");
    describe_counter!("gateway_ship_entries_total", "entries that redis took");
    describe_counter!("gateway_ship_resent_entries_total", "entries that redis took again");
    describe_counter!("gateway_ship_probes_total", "looks whether redis still has what it took, by what was found");
    describe_counter!("gateway_ship_oom_pauses_total", "pauses of a lane because redis had no memory left");
    describe_counter!("gateway_ship_refusals_total", "entries that redis refused for another reason than memory");
    describe_counter!(
        "gateway_ship_connection_errors_total",
        "times that redis could not be reached or did not answer"
    );
    describe_counter!("gateway_ship_watermarks_lowered_total", "watermarks that went down: the database lost commits");
}

/// Sets all metrics.
pub(super) fn publish(journal: &journal::Status, shipper: &ShipperStatus) {
    gauge!("gateway_journal_oldest_unacked_seconds").set(journal.oldest_unacked_at_us.map_or(0.0, age_seconds));
    gauge!("gateway_journal_unacked_bytes").set(journal.unacked_bytes as f64);
    gauge!("gateway_journal_max_bytes").set(journal.bytes_max as f64);
    gauge!("gateway_journal_disk_bytes").set(journal.disk_bytes as f64);
    gauge!("gateway_journal_segments").set(journal.segment_count as f64);
    gauge!("gateway_journal_journals").set(journal.journal_count as f64);
    gauge!("gateway_journal_waiting_bytes").set(journal.waiting_bytes as f64);
    counter!("gateway_journal_records_total").absolute(journal.appended_records);
    counter!("gateway_journal_syncs_total").absolute(journal.synced_groups);
    counter!("gateway_journal_corrupt_records_total").absolute(journal.corrupt_records);
    gauge!("gateway_ship_connected").set(f64::from(u8::from(shipper.is_connected)));
    gauge!("gateway_ship_outstanding_bytes").set(shipper.outstanding_bytes as f64);
    counter!("gateway_ship_entries_total").absolute(shipper.sent_entries);
    counter!("gateway_ship_resent_entries_total").absolute(shipper.resent_entries);
    counter!("gateway_ship_probes_total", "found" => "all").absolute(shipper.probes_found);
    counter!("gateway_ship_probes_total", "found" => "missing").absolute(shipper.probes_missing);
    counter!("gateway_ship_oom_pauses_total").absolute(shipper.oom_pauses);
    counter!("gateway_ship_refusals_total").absolute(shipper.refusals);
    counter!("gateway_ship_connection_errors_total").absolute(shipper.connection_errors);
    counter!("gateway_ship_watermarks_lowered_total").absolute(shipper.watermarks_lowered);
}

fn age_seconds(at_us: i64) -> f64 {
    let now_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
    (now_us.saturating_sub(at_us)).max(0) as f64 / 1e6
}
