//! When the shipper may run: not into another installation's Redis, and not while an operator has paused it.

use queue::Shipper;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::feed::Owner;

/// Ships whenever it may, until stopped.
pub(crate) async fn ship(
    shipper: Shipper,
    mut owner: watch::Receiver<Owner>,
    mut paused: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let may = *owner.borrow_and_update() == Owner::Us && !*paused.borrow_and_update();
        let run = stop.child_token();
        let changed = async {
            tokio::select! {
                _ = owner.changed() => {}
                _ = paused.changed() => {}
                () = stop.cancelled() => {}
            }
            run.cancel();
        };
        if may {
            tokio::join!(shipper.run(run.clone()), changed);
        } else {
            changed.await;
        }
    }
}
