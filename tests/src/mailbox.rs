//! A real SMTP server (`tests/smtp/receiver.py`), and the mails that it took.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::programs::workspace;
use crate::servers::certificates::{Identity, text};
use crate::wait_until;

/// A mail is there within this.
const MAIL_LIMIT: Duration = Duration::from_secs(20);

/// A mail as it was received.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Mail {
    /// The addresses that it was given to.
    pub to: Vec<String>,
    /// Headers by their names in lower case.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The part for readers without HTML.
    pub text: Option<String>,
    /// The part for readers with it.
    pub html: Option<String>,
    /// Whether it came over TLS.
    pub is_encrypted: bool,
}

impl Mail {
    /// What it is about.
    pub fn subject(&self) -> &str {
        self.headers.get("subject").map_or("", String::as_str)
    }

    /// The first address in its text that has `part` in it.
    pub fn link(&self, part: &str) -> Option<String> {
        let text = self.text.as_deref().unwrap_or_default();
        text.split_whitespace().find(|word| word.starts_with("http") && word.contains(part)).map(str::to_owned)
    }
}

/// A server that takes mails until it is dropped.
#[derive(Debug)]
pub struct Mailbox {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Mailbox {
    /// Starts one on a free port, that lets everybody in.
    pub fn start() -> Mailbox {
        Mailbox::start_with(&[])
    }

    /// One that wants this password.
    pub fn with_password(password: &str) -> Mailbox {
        Mailbox::start_with(&[password])
    }

    /// One that wants this password, and TLS before it.
    pub fn with_tls(password: &str, server: &Identity) -> Mailbox {
        Mailbox::start_with(&[password, &text(&server.certificate), &text(&server.key)])
    }

    fn start_with(arguments: &[&str]) -> Mailbox {
        let folder = tempfile::Builder::new().prefix("croak-mail-").tempdir().expect("a temporary folder");
        // Debian's own: another Python that comes first in the path does not have the package.
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(workspace().join("tests/smtp/receiver.py"))
            .arg("0")
            .arg(folder.path().join("mails"))
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python starts");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut said).expect("it says its port");
        let port = said.trim().parse().expect("a port: python3-aiosmtpd is there (script/setup test)");
        Mailbox { port, folder, child }
    }

    /// Where workers deliver to.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The same for who has a password, and wants TLS by the name `localhost`.
    pub fn url_with_tls(&self, password: &str) -> String {
        format!("smtp://croak:{password}@localhost:{}?tls=required", self.port)
    }

    /// What it took, in order.
    pub fn mails(&self) -> Vec<Mail> {
        let kept = std::fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        let whole = kept.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("a mail")).collect()
    }

    /// The first mail to this address that is about this, as soon as it is there.
    pub async fn mail(&self, to: &str, about: &str) -> Mail {
        let is_wanted = |mail: &Mail| mail.to.iter().any(|one| one == to) && mail.subject().contains(about);
        wait_until(&format!("a mail to {to} about {about}"), MAIL_LIMIT, async || {
            self.mails().into_iter().find(is_wanted)
        })
        .await
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
