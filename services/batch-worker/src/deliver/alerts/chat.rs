//! What chats are sent: one card, in the form that each of them takes.

use serde_json::{Value, json};
use store::writer::PendingRule;

use super::{Sender, Told, wording};

/// What a card shows, whichever chat it is for.
pub(super) struct Card {
    /// What happened and where, in one line.
    pub(super) head: String,
    /// The error.
    pub(super) title: String,
    /// Where it can be looked at.
    pub(super) url: Option<String>,
    /// Some lines about it.
    pub(super) lines: Vec<String>,
    /// Figures, by name.
    pub(super) facts: Vec<(&'static str, String)>,
}

/// The bar beside a card: red is for what is broken now.
const RED: u32 = 0x00c0_392b;

/// Discord's limits of a title and a description, in characters.
const DISCORD_TITLE_MAX: usize = 256;
const DISCORD_TEXT_MAX: usize = 4_000;

pub(super) fn card(sender: &Sender, rule: &PendingRule, told: &Told<'_>) -> Card {
    match told {
        Told::Single(alert) => {
            let mut lines = vec![wording::message(alert)];
            if !alert.culprit.is_empty() {
                lines.push(format!("in {}", alert.culprit));
            }
            Card {
                head: format!("{} in {}", wording::happened(alert), rule.project_name),
                title: wording::title(alert),
                url: sender.group_url(rule.project_id, alert.group_id),
                lines,
                facts: vec![
                    ("Notices", alert.notice_count.to_string()),
                    ("Users", alert.user_count.to_string()),
                    ("Rule", rule.name.clone()),
                ],
            }
        }
        Told::Together(together) => {
            let mut lines: Vec<String> = together
                .named
                .iter()
                .map(|alert| format!("{}: {}", wording::happened(alert), wording::title(alert)))
                .collect();
            if together.unnamed() > 0 {
                lines.push(format!("… and {} more", together.unnamed()));
            }
            Card {
                head: format!("{} alerts in {}", together.count, rule.project_name),
                title: wording::together_title(rule, together),
                url: sender.list_url(rule.project_id),
                lines,
                facts: Vec::new(),
            }
        }
    }
}

/// The card of a test.
pub(super) fn test_card() -> Card {
    Card {
        head: "Croak".to_owned(),
        title: "Test".to_owned(),
        url: None,
        lines: vec![super::call::TEST.to_owned()],
        facts: Vec::new(),
    }
}

/// For Slack, and for Mattermost and others that take the same: attachments are what both show.
pub(super) fn slack(card: &Card) -> Value {
    let fields: Vec<Value> = card
        .facts
        .iter()
        .map(|(name, value)| json!({ "title": name, "value": mrkdwn(value), "short": true }))
        .collect();
    json!({
        "text": mrkdwn(&card.head),
        "attachments": [{
            "fallback": mrkdwn(&card.title),
            "color": format!("#{RED:06x}"),
            "title": mrkdwn(&card.title),
            "title_link": card.url,
            "text": mrkdwn(&card.lines.join("\n")),
            "fields": fields,
        }],
    })
}

/// Slack's markup begins with the first three; without them nobody is called and no link is made. Mattermost takes the same, but reads
/// Markdown: there `](` makes a link, and these names call everybody.
fn mrkdwn(text: &str) -> String {
    let mut text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("](", "]\u{200b}(");
    for all in ["channel", "here", "all", "everyone"] {
        text = text.replace(&format!("@{all}"), &format!("@\u{200b}{all}"));
    }
    text
}

/// For Discord.
pub(super) fn discord(card: &Card) -> Value {
    let fields: Vec<Value> = card
        .facts
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": cut(&plain(value), 1_000), "inline": true }))
        .collect();
    json!({
        "content": cut(&plain(&card.head), 1_000),
        "embeds": [{
            "title": cut(&plain(&card.title), DISCORD_TITLE_MAX),
            "url": card.url,
            "description": cut(&plain(&card.lines.join("\n")), DISCORD_TEXT_MAX),
            "color": RED,
            "fields": fields,
        }],
        // Nobody is called by what an error says.
        "allowed_mentions": { "parse": [] },
    })
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// For Teams: an adaptive card, as a workflow "when a webhook request is received" posts it.
pub(super) fn teams(card: &Card) -> Value {
    let text = |text: &str, more: Value| {
        let mut block = json!({ "type": "TextBlock", "text": plain(text), "wrap": true });
        if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
            block.extend(more);
        }
        block
    };
    let mut body =
        vec![text(&card.head, json!({ "isSubtle": true })), text(&card.title, json!({ "weight": "bolder" }))];
    body.extend(card.lines.iter().map(|line| text(line, json!({}))));
    if !card.facts.is_empty() {
        let facts: Vec<Value> =
            card.facts.iter().map(|(name, value)| json!({ "title": name, "value": plain(value) })).collect();
        body.push(json!({ "type": "FactSet", "facts": facts }));
    }
    let actions: Vec<Value> =
        card.url.iter().map(|url| json!({ "type": "Action.OpenUrl", "title": "Open in Croak", "url": url })).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
            },
        }],
    })
}

/// Cards and Discord read Markdown: what an error says is to be read as it is.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '*' | '_' | '[' | ']' | '`' | '~' | '#') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Card {
        Card {
            head: "New group in Shop".to_owned(),
            title: "<!channel> & @everyone".to_owned(),
            url: Some("https://croak.test/projects/1/groups/17".to_owned()),
            lines: vec!["[click](https://evil.test) <https://evil.test|here>".to_owned()],
            facts: vec![("Notices", "12".to_owned())],
        }
    }

    #[test]
    fn nothing_in_an_error_is_markup_in_a_chat() {
        let slack = slack(&hostile());
        assert_eq!(slack["attachments"][0]["title"], "&lt;!channel&gt; &amp; @\u{200b}everyone");
        let text = slack["attachments"][0]["text"].to_string();
        assert!(!text.contains('<') && !text.contains("]("), "{text}");
        let discord = discord(&hostile());
        assert_eq!(discord["allowed_mentions"]["parse"], json!([]));
        assert_eq!(discord["embeds"][0]["description"], r"\[click\](https://evil.test) <https://evil.test|here>");
        let teams = teams(&hostile()).to_string();
        assert!(teams.contains(r"\\[click\\](https://evil.test)"), "{teams}");
    }
}
