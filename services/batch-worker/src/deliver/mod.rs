//! Role deliver: sends what the outbox holds.
//!
//! At least once, with an id that stays the same over all attempts. Calls and mails are sent beside each other: neither waits for the
//! other's receivers. What alerts become is decided here as well ([`alerts`]).

mod address;
mod alerts;
mod calls;
mod mail;
mod signature;

use std::time::Duration;

use service::Check;
use store::writer::Attempted;
use store::{Reader, Writer};
use tokio_util::sync::CancellationToken;

pub(crate) use address::Reach;
pub(crate) use mail::Mailer;

/// How long a claim holds: longer than an attempt, or a slow receiver would be sent the same twice.
const CLAIM: Duration = Duration::from_secs(60);

/// Pause between looks at an outbox that had nothing due.
const IDLE: Duration = Duration::from_millis(250);

/// Pause before the next attempt at one delivery, by how many have failed. After the last it is given up.
const PAUSES_S: [u64; 11] = [2, 10, 60, 300, 1_800, 3_600, 7_200, 18_000, 36_000, 50_400, 86_400];

/// What a rehearsal writes down instead of an answer.
const REHEARSED: &str = "rehearsal: not sent";

/// Whether anything leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reality {
    /// What is due is sent.
    Sent,
    /// Everything is composed and written down as if it had been sent.
    Rehearsal,
}

/// What role deliver is told to do.
pub(crate) struct Delivering {
    /// Looks what searches find.
    pub(crate) reader: Reader,
    pub(crate) reach: Reach,
    pub(crate) reality: Reality,
    /// What mails leave by, and the check that says whether it is there.
    pub(crate) mail: Option<(Mailer, Check)>,
    /// How people reach the pages.
    pub(crate) public_url: Option<String>,
}

/// Sends until told to stop; then finishes what is under way.
pub(crate) async fn run(writer: Writer, told: Delivering, shutdown: CancellationToken) -> anyhow::Result<()> {
    describe();
    let Delivering { reader, reach, reality, mail, public_url } = told;
    if reality == Reality::Rehearsal {
        tracing::warn!("rehearsal: everything is composed and nothing is sent");
    }
    let mails = async {
        match mail {
            Some((mailer, server)) => mail::run(writer.clone(), mailer, reality, server, shutdown.clone()).await,
            None => tracing::warn!("mails wait: CROAK_SMTP_URL says no server that takes them"),
        }
    };
    let (called, (), ()) = tokio::join!(
        calls::run(writer.clone(), reach, reality, shutdown.clone()),
        mails,
        alerts::run(writer.clone(), reader, public_url, shutdown.clone()),
    );
    called
}

fn describe() {
    metrics::describe_counter!("worker_deliveries_total", "Attempts at calls and mails, by how they ended");
}

/// What follows a failed attempt.
fn next(attempt: i32) -> Attempted {
    let failed = usize::try_from(attempt).unwrap_or(usize::MAX);
    PAUSES_S
        .get(failed.saturating_sub(1))
        .map_or(Attempted::GaveUp, |pause_s| Attempted::Again(Duration::from_secs(*pause_s)))
}

fn label(ended: Attempted) -> &'static str {
    match ended {
        Attempted::Delivered => "delivered",
        Attempted::Again(_) => "again",
        Attempted::Uncounted(_) => "uncounted",
        Attempted::GaveUp => "gave_up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(next(1), Attempted::Again(Duration::from_secs(2)));
        assert_eq!(next(11), Attempted::Again(Duration::from_secs(86_400)));
        assert_eq!(next(12), Attempted::GaveUp);
        assert!(PAUSES_S.is_sorted());
    }
}
