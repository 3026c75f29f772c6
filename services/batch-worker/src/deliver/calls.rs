//! Calls to webhooks and chats. A destination is called one call at a time and rests after a failure, longer each time; and a project has a
//! few calls under way at most. So a receiver that is dead or slow holds up itself, and many of a project that project.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use store::Writer;
use store::alert::DestinationKind;
use store::writer::{AttemptReport, Attempted, Delivery};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{CLAIM, IDLE, Reach, Reality, alerts, label, next, signature};

/// Longest time for one attempt, from resolving the name to the end of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Destinations that are sent to at the same time.
const CONCURRENT_MAX: usize = 64;

/// Of these, destinations of one project.
const OF_PROJECT_MAX: i64 = 4;

/// Rest of a destination after its first failure; doubles with each further one, to five minutes.
const REST: Duration = Duration::from_secs(1);

/// Calls until told to stop; then finishes what is under way.
pub(super) async fn run(
    writer: Writer,
    reach: Reach,
    reality: Reality,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let client = client(reach)?;
    let mut under_way = JoinSet::new();
    while !shutdown.is_cancelled() {
        while under_way.try_join_next().is_some() {}
        let free = i64::try_from(CONCURRENT_MAX - under_way.len()).unwrap_or(0);
        let due = match writer.claim_deliveries(free, OF_PROJECT_MAX, CLAIM).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = service::causes(&error), "outbox cannot be read");
                Vec::new()
            }
        };
        let is_idle = due.is_empty();
        for delivery in due {
            under_way.spawn(deliver(client.clone(), writer.clone(), reach, reality, delivery));
        }
        if is_idle {
            // Whoever has been called may be called again.
            tokio::select! {
                Some(_) = under_way.join_next() => {}
                () = tokio::time::sleep(IDLE) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
    under_way.join_all().await;
    Ok(())
}

fn client(reach: Reach) -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("Croak/", env!("CARGO_PKG_VERSION")))
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none()) // a redirect could lead inside
        .no_proxy()
        .dns_resolver(reach.resolver())
        .build()
        .context("building the HTTP client of deliveries")
}

/// One attempt, and what is written down of it. A failure to write it down leaves the claim to run out: it is sent again.
async fn deliver(client: reqwest::Client, writer: Writer, reach: Reach, reality: Reality, delivery: Delivery) {
    let started = Instant::now();
    let body = body(&delivery);
    let (status, told) = match reality {
        Reality::Rehearsal => (None, super::REHEARSED.to_owned()),
        Reality::Sent => match attempt(&client, reach, &delivery, &body).await {
            Ok(status) => (Some(status), format!("answered {status}")),
            Err(error) => (None, error),
        },
    };
    let delivered = reality == Reality::Rehearsal || status.is_some_and(|status| (200..300).contains(&status));
    let ended = if delivered { Attempted::Delivered } else { next(delivery.attempt) };
    metrics::counter!("worker_deliveries_total", "way" => way(&delivery), "ended" => label(ended)).increment(1);
    tracing::info!(delivery = %delivery.id, kind = delivery.kind, attempt = delivery.attempt, status, told, "delivery attempted");
    let report = AttemptReport { ended, status, told, took: started.elapsed() };
    if let Err(error) = writer.finish_delivery(&delivery, &report, REST).await {
        tracing::warn!(delivery = %delivery.id, error = service::causes(&error), "delivery cannot be finished; it will be sent again");
    }
}

/// What is sent: what the row holds, or for a test what shows that the destination can be reached.
fn body(delivery: &Delivery) -> String {
    if delivery.kind != "test" {
        return delivery.body.clone();
    }
    alerts::test(DestinationKind::parse(&delivery.destination_kind), &delivery.body).to_string()
}

/// The label of the metric, from a fixed set.
fn way(delivery: &Delivery) -> &'static str {
    DestinationKind::parse(&delivery.destination_kind).map_or("unknown", DestinationKind::as_str)
}

/// Sends once. The status of the answer, or why there was none, in words that hold no address.
async fn attempt(client: &reqwest::Client, reach: Reach, delivery: &Delivery, body: &str) -> Result<u16, String> {
    let url: Url = delivery.url.parse().map_err(|_| "the address cannot be read".to_owned())?;
    reach.check(&url).map_err(|refused| refused.to_string())?;
    let mut request = client.post(url).header("content-type", "application/json");
    if let Some(secret) = &delivery.secret {
        let id = delivery.id.to_string();
        let timestamp_s = OffsetDateTime::now_utc().unix_timestamp();
        let signature = signature::signature(secret, &id, timestamp_s, body);
        request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature);
    }
    let answer = request.body(body.to_owned()).send().await.map_err(|error| told(&error.without_url()))?;
    Ok(answer.status().as_u16()) // the answer's body is not read: nothing of it is needed
}

/// What went wrong, with its causes, for the delivery log.
fn told(error: &reqwest::Error) -> String {
    let text = service::causes(error);
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_outlasts_an_attempt() {
        assert!(CLAIM > ATTEMPT_TIMEOUT * 2);
    }
}
