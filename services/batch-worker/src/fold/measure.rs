//! Metrics of role fold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::batch::{Batch, Written};

use super::accounts::Sifted;

/// Says what each metric tells.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        "worker_records_total",
        "Records by how they ended: stored, repeated (the same record again), named_before (another with the id that its client gave), dead, gone."
    );
    describe_counter!("worker_groups_total", "Groups that are new or came back.");
    describe_counter!("worker_dead_total", "Records that could not become what they were sent as, by reason.");
    describe_counter!("worker_batches_total", "Batches committed.");
    describe_counter!("worker_fenced_total", "Batches that were not committed because the lane had a new owner.");
    describe_counter!(
        "worker_out_of_date_total",
        "Batches that were prepared again because other workers had stored notices with the same ids, or the database was another one."
    );
    describe_histogram!("worker_batch_records", "Entries of a batch.");
    describe_histogram!("worker_batch_fingerprints", "Fingerprints of a batch: entries by this is the fold ratio.");
    describe_histogram!("worker_commit_seconds", "From the beginning of a transaction to its end.");
    describe_histogram!("worker_visible_after_seconds", "From intake to visible, for the oldest notice of a batch.");
    describe_gauge!("worker_lanes", "Lanes that this worker holds.");
}

pub(super) fn committed(
    lane: u16,
    batch: &Batch,
    written: &Written,
    sifted: &Sifted<'_>,
    entry_count: usize,
    took: Duration,
) {
    let gone: u64 = batch.gone.iter().map(|gone| gone.record_count).sum();
    let others = (batch.deploys.len() + batch.stats.len() + batch.attachments.len()) as u64 + batch.ledger_records;
    let ended = |ended: &'static str, count: u64| {
        if count > 0 {
            metrics::counter!("worker_records_total", "ended" => ended).increment(count);
        }
    };
    ended("stored", written.notice_count + others);
    ended("repeated", sifted.repeated as u64);
    ended("named_before", batch.repeat_records);
    ended("dead", batch.dead.len() as u64);
    ended("gone", gone);
    for dead in &batch.dead {
        metrics::counter!("worker_dead_total", "reason" => dead.reason).increment(1);
    }
    metrics::counter!("worker_groups_total", "became" => "new").increment(written.fresh_group_count);
    metrics::counter!("worker_groups_total", "became" => "reopened").increment(written.reopened_group_count);
    metrics::counter!("worker_batches_total").increment(1);
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
    {
        metrics::histogram!("worker_batch_records").record(entry_count as f64);
        metrics::histogram!("worker_batch_fingerprints").record(batch.groups.len() as f64);
    }
    metrics::histogram!("worker_commit_seconds").record(took);
    if let Some(first_at_us) = batch.groups.iter().map(|group| group.first_at_us).min() {
        metrics::histogram!("worker_visible_after_seconds").record(age(first_at_us));
    }
    tracing::info!(
        lane,
        entries = entry_count,
        notices = written.notice_count,
        groups = batch.groups.len(),
        new_groups = written.fresh_group_count,
        reopened = written.reopened_group_count,
        repeated = sifted.repeated,
        named_before = batch.repeat_records,
        dead = batch.dead.len(),
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "batch written"
    );
    if gone > 0 {
        tracing::error!(lane, records = gone, "a gateway no longer has records that never arrived");
    }
}

pub(super) fn fenced() {
    metrics::counter!("worker_fenced_total").increment(1);
}

pub(super) fn out_of_date() {
    metrics::counter!("worker_out_of_date_total").increment(1);
}

pub(super) fn lanes(count: usize) {
    #[expect(clippy::cast_precision_loss, reason = "there are few lanes")]
    metrics::gauge!("worker_lanes").set(count as f64);
}

fn age(at_us: i64) -> Duration {
    let at = UNIX_EPOCH + Duration::from_micros(at_us.unsigned_abs());
    SystemTime::now().duration_since(at).unwrap_or_default()
}
