//! Which installation this worker works for, and that Redis belongs to it, too.

use std::time::Duration;

use queue::Queue;
use service::{BadConfig, Check};
use store::Writer;
use store::writer::Installation;
use tokio_util::sync::CancellationToken;

/// Pause between tries to reach the database at the start.
const AGAIN: Duration = Duration::from_millis(500);

/// Redis may have been emptied, and then claimed by somebody else.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Waits until the database can be asked; `None` when told to stop before.
pub(crate) async fn wait_for(writer: &Writer, check: &Check, shutdown: &CancellationToken) -> Option<Installation> {
    let mut is_told = false;
    while !shutdown.is_cancelled() {
        match writer.installation().await {
            // Well it is with the first sign of life: who is ready can be found by the web.
            Ok(installation) => return Some(installation),
            Err(error) => {
                let causes = service::causes(&error);
                if !is_told {
                    tracing::warn!(error = causes, "waiting for the database; `croak migrate` makes its tables");
                    is_told = true;
                }
                check.troubled(causes);
            }
        }
        let _ = tokio::time::timeout(AGAIN, shutdown.cancelled()).await;
    }
    None
}

/// Sees to it that the keys in Redis belong to this installation, now and later. When they do not, everything is
/// stopped: two installations on the same keys would drain each other.
pub(crate) async fn guard(
    queue: Queue,
    installation: Installation,
    redis: Check,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut was_well = true;
    while !stop.is_cancelled() {
        match queue.claim_install(&installation.id).await {
            Ok(true) => {
                redis.well();
                was_well = true;
            }
            Ok(false) => {
                stop.cancel();
                return Err(BadConfig(format!(
                    "the keys in Redis belong to another installation than this database ({}): \
                     give each installation its own CROAK_QUEUE_PREFIX",
                    installation.id
                ))
                .into());
            }
            Err(error) => {
                let causes = service::causes(&error);
                if was_well {
                    tracing::warn!(error = causes, "Redis cannot be reached");
                }
                was_well = false;
                redis.troubled(causes);
            }
        }
        let _ = tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await;
    }
    Ok(())
}
