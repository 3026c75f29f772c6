//! What mails leave by: a server, or a folder.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use service::BadConfig;
use store::writer::MailDelivery;
use url::Url;

use super::message;
use crate::deliver::Reality;

/// Longest wait for one answer of the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Most characters that are kept of what a server says.
const TOLD_CHARS_MAX: usize = 500;

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailer {
    from: Mailbox,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Server(AsyncSmtpTransport<Tokio1Executor>),
    /// For who tries Croak out: each mail is a file that mail readers open.
    Folder(PathBuf),
}

/// Why a mail was not sent.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This mail will never be taken.
    Refused { status: Option<u16>, told: String },
    /// This mail may be taken later.
    NotNow { status: u16, told: String },
    /// No mail is taken at present.
    Server(String),
}

impl Mailer {
    /// `url` says where mails go, `from` whom they are from, and `machine` how we call ourselves before the server.
    pub(crate) fn new(url: &str, from: &str, machine: &str) -> Result<Self, BadConfig> {
        let from = from.parse().map_err(|_| {
            BadConfig("CROAK_MAIL_FROM is no address: it is written as `Croak <croak@example.org>`".into())
        })?;
        let way = if url.starts_with("file:") { folder(url)? } else { server(url, machine)? };
        Ok(Self { from, way })
    }

    /// Sends once. The status of the server's answer.
    pub(super) async fn send(&self, reality: Reality, delivery: &MailDelivery) -> Result<Option<u16>, Trouble> {
        let refused = |told: String| Trouble::Refused { status: None, told };
        let mail = delivery.mail().map_err(|_| refused("the mail cannot be read".into()))?;
        let message =
            message::compose(&self.from, delivery, &mail).map_err(|error| refused(service::causes(&error)))?;
        if reality == Reality::Rehearsal {
            return Ok(None);
        }
        match &self.way {
            Way::Server(server) => hand_over(server, message, &mail.to).await.map(Some),
            Way::Folder(folder) => {
                let file = folder.join(format!("{}.eml", delivery.id));
                let written = async {
                    tokio::fs::create_dir_all(folder).await?;
                    tokio::fs::write(file, message.formatted()).await
                };
                written.await.map_err(|error| Trouble::Server(format!("the folder cannot be written: {error}")))?;
                Ok(None)
            }
        }
    }

    /// Whether the server takes mails of ours at present, as far as it says within [`ANSWER_TIMEOUT`].
    pub(super) async fn lets_us_in(&self) -> bool {
        match &self.way {
            Way::Server(server) => {
                matches!(tokio::time::timeout(ANSWER_TIMEOUT, server.test_connection()).await, Ok(Ok(true)))
            }
            Way::Folder(_) => true,
        }
    }
}

fn folder(url: &str) -> Result<Way, BadConfig> {
    // Without a host, or what is no path from the root on would be taken for one.
    let parsed = url.starts_with("file:///").then(|| url.parse::<Url>().ok()).flatten();
    let path = parsed.and_then(|url| url.to_file_path().ok());
    path.map(Way::Folder).ok_or_else(|| {
        BadConfig("CROAK_SMTP_URL is no folder: it is written as `file:///var/lib/croak/mail`, from the root on".into())
    })
}

fn server(url: &str, machine: &str) -> Result<Way, BadConfig> {
    let bad = |why: String| {
        BadConfig(format!("CROAK_SMTP_URL: {why}: it is written as `smtp://user:password@host:587?tls=required`"))
    };
    let mut builder =
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|error| bad(service::causes(&error)))?;
    // A path of the address is how we call ourselves.
    if url.parse::<Url>().is_ok_and(|url| url.path().trim_matches('/').is_empty()) {
        builder = builder.hello_name(ClientId::Domain(machine.to_owned()));
    }
    Ok(Way::Server(builder.timeout(Some(ANSWER_TIMEOUT)).build()))
}

async fn hand_over(
    server: &AsyncSmtpTransport<Tokio1Executor>,
    message: Message,
    recipient: &str,
) -> Result<u16, Trouble> {
    let error = match server.send(message).await {
        Ok(answer) => return Ok(answer.code().into()),
        Err(error) => error,
    };
    let told = told(&error, recipient);
    let Some(status) = error.status().map(u16::from) else {
        return Err(Trouble::Server(told));
    };
    // A server may also refuse everybody, as with a wrong password. Who is let in now was refused for the mail's sake.
    let lets_us_in = server.test_connection().await.unwrap_or(false);
    match status {
        _ if !lets_us_in => Err(Trouble::Server(told)),
        400..500 => Err(Trouble::NotNow { status, told }),
        _ => Err(Trouble::Refused { status: Some(status), told }),
    }
}

/// What went wrong, without the address that servers like to repeat.
fn told(error: &Error, recipient: &str) -> String {
    let text = error.to_string(); // its own text has those of its causes
    text.replace(recipient, "the address").chars().take(TOLD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Connections that are kept have a task that ends them.
    #[tokio::test]
    async fn addresses_of_servers_and_folders_are_taken() {
        for url in [
            "smtp://127.0.0.1:2525",
            "smtp://user:p%23ss@mail.example.org:587?tls=required",
            "smtps://user:password@mail.example.org",
            "file:///var/lib/croak/mail",
        ] {
            assert!(Mailer::new(url, "Croak <croak@example.org>", "here").is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused_without_the_password() {
        for url in
            ["http://user:secret@mail.example.org", "smtp://user:secret@h?tls=maybe", "mail.example.org", "file:mail"]
        {
            let refused = Mailer::new(url, "croak@example.org", "here").err().expect("a refusal");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
        assert!(Mailer::new("smtp://127.0.0.1", "somebody", "here").is_err());
    }
}
