//! Alerts as mails, each with the link that ends them.

use std::fmt::Write as _;

use store::writer::{Mail, MailReader, PendingRule};

use super::{Sender, Told, wording};
use crate::html::escaped;
use crate::unsubscribe::{Ends, Link};

/// The mail of an alert, or of many, to one reader.
pub(super) fn compose(sender: &Sender, rule: &PendingRule, told: &Told<'_>, reader: &MailReader) -> Mail {
    let link = Link { ends: Ends::Alerts, user_id: reader.id, project_id: rule.project_id };
    let unsubscribe_url = sender.public_url.as_ref().map(|base| link.address(base, &sender.unsubscribe_key));
    let (subject, mut text, mut html, thread) = match told {
        Told::Single(alert) => {
            let (happened, title) = (wording::happened(alert), wording::title(alert));
            let mut text = format!("{happened} in {}\n\n{title}\n", rule.project_name);
            let mut html = format!("<p>{} in {}</p>", escaped(&happened), escaped(&rule.project_name));
            let url = sender.group_url(rule.project_id, alert.group_id);
            let _ = match &url {
                Some(url) => write!(html, "<h2><a href=\"{}\">{}</a></h2>", escaped(url), escaped(&title)),
                None => write!(html, "<h2>{}</h2>", escaped(&title)),
            };
            let message = wording::message(alert);
            if !title.contains(&message) {
                let _ = writeln!(text, "{message}");
                let _ = write!(html, "<pre>{}</pre>", escaped(&message));
            }
            if !alert.culprit.is_empty() {
                let _ = writeln!(text, "in {}", alert.culprit);
                let _ = write!(html, "<p>in <code>{}</code></p>", escaped(&alert.culprit));
            }
            let figures = format!("Notices so far: {}. Users: {}.", alert.notice_count, alert.user_count);
            let _ = writeln!(text, "\n{figures}");
            let _ = write!(html, "<p>{figures}</p>");
            if let Some(url) = &url {
                let _ = write!(text, "\n{url}\n");
            }
            let thread = format!("group-{}-{}", rule.project_id, alert.group_id);
            (format!("[{}] {happened}: {title}", rule.project_name), text, html, thread)
        }
        Told::Together(together) => {
            let title = wording::together_title(rule, together);
            let mut text = format!("{title} in {}\n\n", rule.project_name);
            let mut html = format!("<p>{} in {}</p><ul>", escaped(&title), escaped(&rule.project_name));
            for alert in together.named {
                let line = format!("{}: {}", wording::happened(alert), wording::title(alert));
                let _ = writeln!(text, "- {line}");
                let _ = match sender.group_url(rule.project_id, alert.group_id) {
                    Some(url) => {
                        let _ = writeln!(text, "  {url}");
                        write!(html, "<li><a href=\"{}\">{}</a></li>", escaped(&url), escaped(&line))
                    }
                    None => write!(html, "<li>{}</li>", escaped(&line)),
                };
            }
            html.push_str("</ul>");
            if together.unnamed() > 0 {
                let _ = writeln!(text, "… and {} more", together.unnamed());
                let _ = write!(html, "<p>… and {} more</p>", together.unnamed());
            }
            if let Some(url) = sender.list_url(rule.project_id) {
                let _ = writeln!(text, "\nAll of them: {url}");
                let _ = write!(html, "<p><a href=\"{}\">All of them</a></p>", escaped(&url));
            }
            let thread = format!("rule-{}-{}", rule.project_id, rule.id);
            (format!("[{}] {title}", rule.project_name), text, html, thread)
        }
    };
    let why = format!("You are told because you are a member of {}, by the rule “{}”.", rule.project_name, rule.name);
    let _ = writeln!(text, "\n-- \n{why}");
    let _ = write!(html, "<hr><p><small>{}", escaped(&why));
    if let Some(url) = &unsubscribe_url {
        let _ = writeln!(text, "To end these mails: {url}");
        let _ = write!(html, " <a href=\"{}\">End these mails</a>", escaped(url));
    }
    html.push_str("</small></p>");
    Mail { to: reader.email.clone(), subject, text, html: Some(html), thread: Some(thread), unsubscribe_url }
}
