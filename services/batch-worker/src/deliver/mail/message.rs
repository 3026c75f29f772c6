//! A mail as it goes over the wire.

use std::time::SystemTime;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use store::writer::{Mail, MailDelivery};

/// Why a mail cannot be written as one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
    #[error("the address is none")]
    Address(#[source] lettre::address::AddressError),
    #[error("the mail is incomplete")]
    Incomplete(#[source] lettre::error::Error),
}

/// Writes a mail. Its id is made of the row's, and its date is that of the row: each attempt is the same mail, and a server or reader
/// that gets it twice can tell.
pub(super) fn compose(from: &Mailbox, delivery: &MailDelivery, mail: &Mail) -> Result<Message, ComposeError> {
    let to = Mailbox::new(None, mail.to.parse().map_err(ComposeError::Address)?);
    let domain = from.email.domain();
    let mut message = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(mail.subject.split_whitespace().collect::<Vec<_>>().join(" "))
        .date(SystemTime::from(delivery.created_at))
        .message_id(Some(format!("<{}@{domain}>", delivery.id)))
        // Nobody's holiday needs an answer to us.
        .raw_header(header("Auto-Submitted", "auto-generated"));
    if let Some(thread) = &mail.thread {
        // No mail has this id: readers join those that answer the same, also when the first is not there.
        let parent = format!("<{thread}@{domain}>");
        message = message.in_reply_to(parent.clone()).references(parent);
    }
    if let Some(url) = &mail.unsubscribe_url {
        message = message
            .raw_header(header("List-Unsubscribe", &format!("<{url}>")))
            .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
    }
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(mail.text.clone());
    let composed = match &mail.html {
        Some(html) => message.multipart(
            MultiPart::alternative()
                .singlepart(text)
                .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone())),
        ),
        None => message.singlepart(text),
    };
    composed.map_err(ComposeError::Incomplete)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
