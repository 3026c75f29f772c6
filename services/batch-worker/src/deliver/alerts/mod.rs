//! From alerts to messages: what is told singly, what together, and in which form.
//!
//! Nothing of this is needed for a message to be sent once only: whoever tells of an alert marks it in the same transaction.

mod call;
mod chat;
mod mail;
mod wording;

use std::time::Duration;

use serde_json::Value;
use store::alert::DestinationKind;
use store::writer::{AlertDestination, Content, LooksBack, Message, PendingAlert, PendingRule, Tells};
use store::{Reader, StoreError, Writer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::wording::Together;

/// Pause between looks for alerts that nobody was told of.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Pause between looks for groups that meet rules which count over time.
const EVALUATE_EVERY: Duration = Duration::from_secs(5);

/// Pause between looks for those that became visible late.
const EVALUATE_FAR_EVERY: Duration = Duration::from_secs(300);

/// Messages of a rule count as of late for so long.
const OF_LATE: Duration = Duration::from_secs(300);

/// Alerts of a rule that are told singly of late; the others are told together.
const SINGLY_MAX: i64 = 5;

/// For how long those are gathered.
const GATHER: Duration = Duration::from_secs(60);

/// What the messages need of the installation.
#[derive(Clone)]
pub(super) struct Sender {
    /// How people reach the pages, without a slash at the end.
    pub(super) public_url: Option<String>,
    /// What links that end mails are signed with.
    pub(super) unsubscribe_key: Vec<u8>,
}

/// Tells until told to stop. What is counted over time is looked for beside that: new groups do not wait for it.
pub(super) async fn run(writer: Writer, reader: Reader, public_url: Option<String>, shutdown: CancellationToken) {
    tokio::join!(evaluate(&writer, &shutdown), tell_all(&writer, &reader, public_url, &shutdown));
}

/// Looks for groups that meet rules which count over time, until told to stop.
async fn evaluate(writer: &Writer, shutdown: &CancellationToken) {
    let mut next_far = Instant::now();
    while !shutdown.is_cancelled() {
        let looks = if Instant::now() >= next_far { LooksBack::Far } else { LooksBack::Shortly };
        let evaluated = writer.evaluate_alert_rules(looks).await;
        if looks == LooksBack::Far {
            next_far = Instant::now() + EVALUATE_FAR_EVERY;
        }
        match evaluated {
            Ok(0) => {}
            Ok(met) => tracing::info!(met, "groups met rules that count"),
            Err(error) => tracing::warn!(error = service::causes(&error), "rules that count wait"),
        }
        let _ = tokio::time::timeout(EVALUATE_EVERY, shutdown.cancelled()).await;
    }
}

async fn tell_all(writer: &Writer, reader: &Reader, public_url: Option<String>, shutdown: &CancellationToken) {
    let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
    let mut sender = None;
    while !shutdown.is_cancelled() {
        if let Err(error) = look(writer, reader, public_url.as_deref(), &mut sender).await {
            tracing::warn!(error = service::causes(&error), "alerts wait");
        }
        let _ = tokio::time::timeout(LOOK_EVERY, shutdown.cancelled()).await;
    }
}

/// Tells what there is to tell. A rule that fails holds up no other.
async fn look(
    writer: &Writer,
    reader: &Reader,
    public_url: Option<&str>,
    sender: &mut Option<Sender>,
) -> Result<(), StoreError> {
    for rule in writer.unchecked_rules().await? {
        if let Err(error) = writer.check_alerts(reader, &rule).await {
            tracing::warn!(
                rule = rule.rule_id,
                error = service::causes(&error),
                "alerts of a rule wait for its search"
            );
        }
    }
    let rules = writer.pending_rules(OF_LATE).await?;
    if rules.is_empty() {
        return Ok(());
    }
    let sender = match sender {
        Some(sender) => sender,
        None => {
            let unsubscribe_key = writer.unsubscribe_key().await?;
            sender.insert(Sender { public_url: public_url.map(str::to_owned), unsubscribe_key })
        }
    };
    for rule in rules {
        if let Err(error) = tell(writer, sender, &rule).await {
            tracing::warn!(rule = rule.id, error = service::causes(&error), "alerts of a rule wait");
        }
    }
    Ok(())
}

/// The body of a test of a destination of this kind; `asked` is what the row holds of who asked.
pub(super) fn test(kind: Option<DestinationKind>, asked: &str) -> Value {
    match kind {
        Some(DestinationKind::Slack) => chat::slack(&chat::test_card()),
        Some(DestinationKind::Discord) => chat::discord(&chat::test_card()),
        Some(DestinationKind::Teams) => chat::teams(&chat::test_card()),
        _ => call::test(&serde_json::from_str(asked).unwrap_or_default()),
    }
}

/// What is done now about what a rule has to tell.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Wait,
    /// So many, each with a message of its own.
    Singly(i64),
    /// All that there is, with one message.
    Together,
}

fn plan(rule: &PendingRule) -> Plan {
    if rule.is_quiet {
        return Plan::Wait;
    }
    if rule.digest_minutes > 0 {
        let is_over = rule.oldest_s >= f64::from(rule.digest_minutes) * 60.0;
        return match rule.alert_count {
            _ if !is_over => Plan::Wait,
            1 => Plan::Singly(1),
            _ => Plan::Together,
        };
    }
    let singly = SINGLY_MAX - rule.singly_count;
    if rule.together_s.is_some() {
        Plan::Wait
    } else if singly > 0 {
        Plan::Singly(singly.min(rule.alert_count))
    } else if rule.oldest_s >= GATHER.as_secs_f64() {
        Plan::Together
    } else {
        Plan::Wait
    }
}

async fn tell(writer: &Writer, sender: &Sender, rule: &PendingRule) -> Result<(), StoreError> {
    let limit = match plan(rule) {
        Plan::Wait => return Ok(()),
        Plan::Singly(count) => count,
        Plan::Together => wording::NAMED_MAX,
    };
    if writer.pass_over_dealt_with(rule).await? > 0 {
        return Ok(()); // the next look counts anew
    }
    let alerts = writer.pending_alerts(rule.id, limit).await?;
    let destinations = writer.destinations_of(rule).await?;
    if plan(rule) == Plan::Together {
        let together = Told::Together(Together { count: rule.alert_count, named: &alerts });
        let messages = messages(writer, sender, rule, &destinations, &together).await?;
        writer.tell(rule, Tells::Together, &messages).await?;
    } else {
        for alert in &alerts {
            let messages = messages(writer, sender, rule, &destinations, &Told::Single(alert)).await?;
            writer.tell(rule, Tells::Single(alert.id), &messages).await?;
        }
    }
    tracing::info!(rule = rule.id, waited = rule.alert_count, "alerts told");
    Ok(())
}

/// What one message tells.
enum Told<'a> {
    Single(&'a PendingAlert),
    Together(Together<'a>),
}

impl Told<'_> {
    fn kind(&self) -> &str {
        match self {
            Told::Single(alert) => &alert.kind,
            Told::Together(_) => "alerts.collected",
        }
    }

    fn group_id(&self) -> Option<i64> {
        match self {
            Told::Single(alert) => Some(alert.group_id),
            Told::Together(_) => None,
        }
    }
}

async fn messages(
    writer: &Writer,
    sender: &Sender,
    rule: &PendingRule,
    destinations: &[AlertDestination],
    told: &Told<'_>,
) -> Result<Vec<Message>, StoreError> {
    let mut messages = Vec::new();
    for destination in destinations {
        let message = |content| Message {
            destination_id: destination.id,
            group_id: told.group_id(),
            kind: told.kind().to_owned(),
            content,
        };
        let call = |body: Value| message(Content::Call(body));
        match destination.kind {
            DestinationKind::Mail => {
                let readers = writer.mail_readers(rule.project_id, destination.member_ids.as_deref()).await?;
                let mails = readers.iter().map(|reader| mail::compose(sender, rule, told, reader));
                messages.extend(mails.map(|mail| message(Content::Mail(mail))));
            }
            DestinationKind::Webhook => messages.push(call(call::compose(sender, rule, told))),
            DestinationKind::Slack => messages.push(call(chat::slack(&chat::card(sender, rule, told)))),
            DestinationKind::Discord => messages.push(call(chat::discord(&chat::card(sender, rule, told)))),
            DestinationKind::Teams => messages.push(call(chat::teams(&chat::card(sender, rule, told)))),
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> PendingRule {
        PendingRule {
            id: 1,
            project_id: 1,
            name: "New groups".to_owned(),
            project_name: "Shop".to_owned(),
            digest_minutes: 0,
            destination_ids: None,
            alert_count: 1_000,
            newest_id: 1_000,
            oldest_s: 0.0,
            singly_count: 0,
            together_s: None,
            is_quiet: false,
        }
    }

    #[test]
    fn the_first_are_told_singly_and_the_rest_together() {
        assert_eq!(plan(&PendingRule { alert_count: 2, ..rule() }), Plan::Singly(2));
        assert_eq!(plan(&rule()), Plan::Singly(5));
        let told = PendingRule { singly_count: 5, alert_count: 995, ..rule() };
        assert_eq!(plan(&told), Plan::Wait);
        assert_eq!(plan(&PendingRule { oldest_s: 60.0, ..told.clone() }), Plan::Together);
        assert_eq!(plan(&PendingRule { oldest_s: 60.0, together_s: Some(1.0), ..told }), Plan::Wait);
    }

    #[test]
    fn a_digest_waits_until_its_time_is_over() {
        let digest = PendingRule { digest_minutes: 30, oldest_s: 1_799.0, ..rule() };
        assert_eq!(plan(&digest), Plan::Wait);
        assert_eq!(plan(&PendingRule { oldest_s: 1_800.0, ..digest.clone() }), Plan::Together);
        assert_eq!(plan(&PendingRule { oldest_s: 1_800.0, alert_count: 1, ..digest }), Plan::Singly(1));
    }

    #[test]
    fn quiet_hours_are_quiet() {
        assert_eq!(plan(&PendingRule { is_quiet: true, ..rule() }), Plan::Wait);
    }
}
