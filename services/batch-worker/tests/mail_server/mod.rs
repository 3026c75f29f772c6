//! A real SMTP server of the machine's Python (`tests/smtp/receiver.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot have its server has failed")]
#![allow(dead_code, reason = "not every test uses everything")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A server that takes mails until it is dropped.
pub(crate) struct MailServer {
    /// Where it listens.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl MailServer {
    /// One that takes mail from everybody.
    pub(crate) fn start() -> Self {
        Self::start_at(0, &[])
    }

    /// One that lets in who has the password.
    pub(crate) fn start_with_password(password: &str) -> Self {
        Self::start_at(0, &[password])
    }

    /// One at a port that is known already.
    pub(crate) fn start_at(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Debian's own: another Python that may come first in the path does not have the package.
        let mut child = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/smtp/receiver.py"))
            .arg(port.to_string())
            .arg(folder.path().join("mails"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim().parse().expect("it says its port: python3-aiosmtpd is there (script/setup test)");
        Self { port, folder, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it took, in order.
    pub(crate) fn mails(&self) -> Vec<serde_json::Value> {
        let kept = std::fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The mails to this address.
    pub(crate) fn mails_to(&self, address: &str) -> Vec<serde_json::Value> {
        self.mails().into_iter().filter(|mail| mail["to"][0] == address).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
