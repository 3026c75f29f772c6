//! What is left to people who have gone: groups that were assigned to them are nobody's.
//!
//! There are many ways to see a project no longer; all of them are asked about here, and none has to think of it.

use std::time::Duration;

use store::Writer;
use tokio_util::sync::CancellationToken;

/// Pause between looks.
const EVERY: Duration = Duration::from_secs(60);

/// Looks until told to stop.
pub(crate) async fn run(writer: Writer, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match writer.unassign_absent().await {
            Ok(0) => {}
            Ok(groups) => tracing::info!(groups, "groups of people who have gone are assigned to nobody"),
            Err(error) => tracing::warn!(error = service::causes(&error), "people who have gone keep groups"),
        }
        let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
    }
}
