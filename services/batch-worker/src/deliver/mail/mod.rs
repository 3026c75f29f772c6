//! Mails, all of them through one server.
//!
//! What the server says of one mail is that mail's affair: refused for good (5xx) it is given up, refused for now (4xx) it is tried
//! again, with growing pauses. A server that is not there, or does not let us in, is nobody's affair but the server's: it rests, longer
//! each time, and no mail loses an attempt.

mod mailer;
mod message;

use std::time::{Duration, Instant};

use service::Check;
use store::Writer;
use store::writer::{AttemptReport, Attempted, MailDelivery};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::mailer::Mailer;
use self::mailer::Trouble;
use super::{CLAIM, IDLE, REHEARSED, Reality, label, next};

/// Mails that are sent at the same time, each on a connection of its own.
const CONCURRENT_MAX: usize = 8;

/// Longest time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// Rest of the server after its first failure; doubles with each further one.
const REST: Duration = Duration::from_secs(1);

/// Longest rest of the server.
const REST_MAX: Duration = Duration::from_secs(120);

/// A mail that waited for the server for so long is news to nobody.
const KEPT: time::Duration = time::Duration::days(3);

/// Sends until told to stop; then finishes what is under way.
pub(super) async fn run(writer: Writer, mailer: Mailer, reality: Reality, server: Check, shutdown: CancellationToken) {
    let mut failures = 0;
    let mut under_way = JoinSet::new();
    while !shutdown.is_cancelled() {
        // One is enough to find out whether the server is back.
        let most = if failures == 0 { CONCURRENT_MAX } else { 1 };
        let free = i64::try_from(most.saturating_sub(under_way.len())).unwrap_or(0);
        let due = match writer.claim_mails(free, CLAIM).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = service::causes(&error), "outbox cannot be read");
                Vec::new()
            }
        };
        let is_idle = due.is_empty();
        for delivery in due {
            under_way.spawn(deliver(writer.clone(), mailer.clone(), reality, delivery, rest(failures)));
        }
        let mut ended = under_way.try_join_next();
        if ended.is_none() && is_idle {
            tokio::select! {
                one = under_way.join_next(), if !under_way.is_empty() => ended = one,
                () = tokio::time::sleep(IDLE) => {}
                () = shutdown.cancelled() => {}
            }
        }
        match ended {
            None | Some(Err(_)) => {}
            Some(Ok(None)) => {
                failures = 0;
                server.well();
            }
            Some(Ok(Some(trouble))) => {
                tracing::warn!(error = trouble, "mails wait for their server");
                server.troubled(trouble);
                // Those that are under way have the same trouble, or were taken before it.
                while under_way.join_next().await.is_some() {}
                let _ = tokio::time::timeout(rest(failures), shutdown.cancelled()).await;
                failures += 1;
            }
        }
    }
    under_way.join_all().await;
}

/// How long the server rests after so many failures in a row.
fn rest(failures: u32) -> Duration {
    REST_MAX.min(REST * 2_u32.pow(failures.min(16)))
}

/// One attempt, and what is written down of it. Answers what is wrong with the server, if it is the server.
async fn deliver(
    writer: Writer,
    mailer: Mailer,
    reality: Reality,
    delivery: MailDelivery,
    rest: Duration,
) -> Option<String> {
    let started = Instant::now();
    let sent = tokio::time::timeout(ATTEMPT_TIMEOUT, mailer.send(reality, &delivery)).await;
    // A server that lets nobody in was handed nothing.
    let is_unknown = sent.is_err() && mailer.lets_us_in().await;
    let (ended, status, told, trouble) = match sent.unwrap_or_else(|_| Err(Trouble::Server("no answer in time".into())))
    {
        Ok(_) if reality == Reality::Rehearsal => (Attempted::Delivered, None, REHEARSED.to_owned(), None),
        Ok(status) => (Attempted::Delivered, status, "taken".to_owned(), None),
        Err(Trouble::Refused { status, told }) => (Attempted::GaveUp, status, told, None),
        Err(Trouble::NotNow { status, told }) => (next(delivery.attempt), Some(status), told, None),
        Err(Trouble::Server(told)) if OffsetDateTime::now_utc() - delivery.created_at > KEPT => {
            (Attempted::GaveUp, None, told.clone(), Some(told))
        }
        // It may have been taken: each further attempt may be one more mail to somebody, so these are counted.
        Err(Trouble::Server(told)) if is_unknown => (next(delivery.attempt), None, told.clone(), Some(told)),
        Err(Trouble::Server(told)) => (Attempted::Uncounted(rest), None, told.clone(), Some(told)),
    };
    metrics::counter!("worker_deliveries_total", "way" => "mail", "ended" => label(ended)).increment(1);
    // What a server says may have somebody's address in it: it is for the delivery log alone.
    let (kind, attempt) = (delivery.kind.as_str(), delivery.attempt);
    tracing::info!(delivery = %delivery.id, kind, attempt, status, ended = label(ended), "mail attempted");
    let report = AttemptReport { ended, status, told, took: started.elapsed() };
    if let Err(error) = writer.finish_mail(&delivery, &report).await {
        tracing::warn!(delivery = %delivery.id, error = service::causes(&error), "mail cannot be finished; it will be sent again");
    }
    trouble
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_rests_longer_each_time_and_not_for_ever() {
        assert_eq!(rest(0), Duration::from_secs(1));
        assert_eq!(rest(3), Duration::from_secs(8));
        assert_eq!(rest(1_000), REST_MAX);
    }

    #[test]
    fn a_claim_outlasts_an_attempt() {
        assert!(CLAIM > ATTEMPT_TIMEOUT * 2);
    }
}
