//! Looking around now and then: for health, metrics and operators.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use queue::Shipper;
use rustix::fs::statfs;
use serde_json::{Value, json};
use service::Check;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::measures;

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until stopped.
pub(crate) async fn look_around(gateway: Arc<Gateway>, journal: Journal, check: Check, stop: CancellationToken) {
    loop {
        let status = journal.status();
        if status.is_full {
            check.troubled("full, or no room on its disk (CROAK_JOURNAL_DIR): notices are refused until there is");
        } else {
            check.well();
        }
        let known = gateway.known.now();
        let (count, version) = known.map_or((0, 0), |projects| (projects.count(), projects.version));
        measures::looked_around(gateway.admission.bytes(), count, version);
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

/// The gateway's own figures for operators.
pub(crate) fn figures(gateway: &Gateway, shipper: Option<&Shipper>) -> Value {
    let known = gateway.known.now();
    let journal = gateway.intake.get().map(|intake| intake.journal.status());
    let shipper = shipper.map(Shipper::status);
    json!({
        "lane_count": gateway.intake.get().map(crate::intake::Intake::lane_count),
        "projects": known.as_ref().map(|projects| projects.count()),
        "snapshot_version": known.as_ref().map(|projects| projects.version),
        "install_id": known.as_ref().map(|projects| projects.install_id.to_string()),
        "in_flight_bytes": gateway.admission.bytes(),
        "health": gateway.health.ready(),
        "journal": journal.map(|status| json!({
            "id": status.journal.to_string(),
            "journal_count": status.journal_count,
            "segment_count": status.segment_count,
            "disk_bytes": status.disk_bytes,
            "unacked_bytes": status.unacked_bytes,
            "bytes_max": status.bytes_max,
            "oldest_unacked_at_us": status.oldest_unacked_at_us,
            "appended_records": status.appended_records,
            "corrupt_records": status.corrupt_records,
            "is_full": status.is_full,
        })),
        "shipper": shipper.map(|status| json!({
            "is_connected": status.is_connected,
            "outstanding_bytes": status.outstanding_bytes,
            "sent_entries": status.sent_entries,
            "resent_entries": status.resent_entries,
            "probes_found": status.probes_found,
            "probes_missing": status.probes_missing,
        })),
    })
}

/// Says so when the journal lies where it does not outlive the machine or the container.
pub(crate) fn check_volume(dir: &Path, check: &Check) {
    const TMPFS: i64 = 0x0102_1994;
    const OVERLAYFS: i64 = 0x794c_7630;
    let fleeting = match statfs(dir).map(|volume| volume.f_type) {
        Ok(TMPFS) => "in memory (tmpfs)",
        Ok(OVERLAYFS) => "in the container's own layer (overlayfs)",
        _ => return,
    };
    let why =
        format!("{} lies {fleeting}: what is accepted and not yet in the database is lost with it", dir.display());
    tracing::warn!(why, "the journal is not on a lasting disk");
    check.troubled(why);
}
