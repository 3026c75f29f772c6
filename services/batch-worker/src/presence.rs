//! Signs of life: that this worker is there, and how many others are.

use std::time::Duration;

use service::Check;
use store::Writer;
use store::writer::WorkerRow;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Who is silent for five seconds is taken for dead.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Gives signs of life until told to stop, tells how many lanes are this worker's share, and says goodbye.
pub(crate) async fn keep(
    writer: Writer,
    me: WorkerRow,
    share: watch::Sender<usize>,
    database: Check,
    stop: CancellationToken,
) {
    let mut is_heard = true;
    while !stop.is_cancelled() {
        match writer.heartbeat(&me).await {
            Ok(alive) => {
                database.well();
                is_heard = true;
                let wanted = alive.lane_count.div_ceil(alive.fold_workers.max(1)) as usize;
                share.send_if_modified(|share| std::mem::replace(share, wanted) != wanted);
            }
            Err(error) => {
                let causes = service::causes(&error);
                if is_heard {
                    tracing::warn!(error = causes, "the database cannot be reached: nothing is written until it can");
                    is_heard = false;
                }
                database.troubled(causes);
            }
        }
        let _ = tokio::time::timeout(BEAT_EVERY, stop.cancelled()).await;
    }
    if let Err(error) = writer.sign_off(&me.id).await {
        tracing::warn!(error = service::causes(&error), "not signed off; the others find out in five seconds");
    }
}
