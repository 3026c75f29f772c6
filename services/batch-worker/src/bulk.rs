//! Changes of many groups, on their way: slice by slice, by whichever worker of role command comes to it.

use std::time::Duration;

use store::{Reader, Writer};
use tokio_util::sync::CancellationToken;

/// Pause between looks when there is nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// Pause after an error.
const TROUBLE: Duration = Duration::from_secs(2);

/// Goes through what people have changed by a search until told to stop.
pub(crate) async fn run(writer: Writer, reader: Reader, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match writer.next_bulk_slice(&reader).await {
            Ok(true) => continue,
            Ok(false) => IDLE,
            Err(error) => {
                tracing::warn!(error = service::causes(&error), "changes of many groups wait");
                TROUBLE
            }
        };
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}
