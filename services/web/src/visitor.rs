//! Who asks for a page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum_extra::extract::cookie::Cookie;
use sha2::{Digest as _, Sha256};
use store::Reader;
use store::reader::{Account, ReadError, Viewer};

use crate::app::App;
use crate::cookies::{self, HALF, HALF_MAX, KNOWN, Keys, SEEN, SESSION, SESSION_MAX, THEME, TOLD};
use crate::rejection::Rejection;

/// A person who is signed in.
pub(crate) struct Visitor {
    pub(crate) account: Arc<Account>,
    /// What forms carry to prove that they are this session's.
    pub(crate) form_token: String,
    /// The visitor's own last change, while it may not be everywhere yet.
    pub(crate) seen: Option<Seen>,
    /// What the last change led to, to be told once.
    pub(crate) told: Option<Told>,
    pub(crate) theme: Theme,
    /// Whether there is a worker that does what people ask for.
    pub(crate) may_change: bool,
    nonce: String,
}

impl Visitor {
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer::User(self.account.id)
    }

    /// The name by which the pages call the visitor.
    pub(crate) fn name(&self) -> &str {
        if self.account.name.is_empty() { &self.account.email } else { &self.account.name }
    }

    /// The cookie by which the visitor stays, when a change has ended their sessions. It has the same nonce: the page that is shown
    /// may be loaded again, and its forms are still this session's.
    pub(crate) fn session_again(&self, keys: &Keys, account: &Account) -> Cookie<'static> {
        Session::write(keys, account, &self.nonce)
    }

    /// By what attempts to tell the password again are counted: others' guesses must not keep the owner from changing it.
    pub(crate) fn counted(&self) -> String {
        format!("session {}", self.nonce)
    }

    /// Whether a form was made for this session.
    pub(crate) fn owns(&self, keys: &Keys, form_token: &str) -> bool {
        keys.is_form_token(&self.nonce, form_token)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visitor, Rejection> {
        let to_sign_in = || Rejection::SignedOut { wanted: wanted(parts) };
        let session = Session::read(&app.keys, &parts.headers).ok_or_else(to_sign_in)?;
        let seen = app.keys.read(&parts.headers, SEEN).and_then(|value| Seen::read(&value));
        let account = app.account(session.user_id, seen.as_ref()).await?.ok_or_else(to_sign_in)?;
        if account.session_epoch != session.epoch {
            return Err(to_sign_in());
        }
        Ok(Visitor {
            account,
            form_token: app.keys.form_token(&session.nonce),
            seen,
            told: app.keys.read(&parts.headers, TOLD).and_then(|value| Told::read(&value)),
            theme: Theme::of(&app.keys, &parts.headers),
            may_change: app.commands.are_taken().await,
            nonce: session.nonce,
        })
    }
}

/// Where a visitor wanted to go: only what a link can do again.
fn wanted(parts: &Parts) -> Option<String> {
    let is_read = parts.method == axum::http::Method::GET;
    is_read.then(|| parts.uri.path_and_query().map(|path| path.as_str().to_owned())).flatten()
}

/// The signed cookie of a session: user, epoch, nonce, time of signing in.
pub(crate) struct Session {
    pub(crate) user_id: i64,
    pub(crate) epoch: i32,
    nonce: String,
}

impl Session {
    /// The session of a request, if its cookie is ours and young enough.
    pub(crate) fn read(keys: &Keys, headers: &HeaderMap) -> Option<Session> {
        let value = keys.read(headers, SESSION)?;
        let mut parts = value.split('.');
        let session = Session {
            user_id: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            nonce: parts.next()?.to_owned(),
        };
        let since_ms: u64 = parts.next()?.parse().ok()?;
        let age = Duration::from_millis(cookies::now_ms().saturating_sub(since_ms));
        (age < SESSION_MAX && !session.nonce.is_empty()).then_some(session)
    }

    /// The cookie of a new session.
    pub(crate) fn begin(keys: &Keys, account: &Account) -> Cookie<'static> {
        Session::write(keys, account, &cookies::nonce())
    }

    fn write(keys: &Keys, account: &Account, nonce: &str) -> Cookie<'static> {
        keys.session(format!("{}.{}.{nonce}.{}", account.id, account.session_epoch, cookies::now_ms()))
    }
}

/// The signed cookie of a browser in which the owner of an address signed in before. Attempts from such browsers are counted by
/// themselves: whoever guesses elsewhere does not keep the owner out.
pub(crate) struct Known;

impl Known {
    /// By what attempts to sign in with an address are counted.
    pub(crate) fn counted(keys: &Keys, headers: &HeaderMap, email: &str) -> String {
        let is_known = keys.read(headers, KNOWN).is_some_and(|known| known == Known::mark(email));
        // Neither is what somebody could write for an address.
        format!("{} {email}", if is_known { "known" } else { "unknown" })
    }

    /// The cookie of a browser in which the owner of an address is signing in.
    pub(crate) fn write(keys: &Keys, email: &str) -> Cookie<'static> {
        keys.known(Known::mark(email))
    }

    fn mark(email: &str) -> String {
        cookies::hex(&Sha256::digest(email))
    }
}

/// Somebody who knew the password of an account with a second factor: user, epoch, time.
pub(crate) struct Half {
    pub(crate) user_id: i64,
    pub(crate) epoch: i32,
}

impl Half {
    /// Who that is, if the cookie is ours and young enough.
    pub(crate) fn read(keys: &Keys, headers: &HeaderMap) -> Option<Half> {
        let value = keys.read(headers, HALF)?;
        let mut parts = value.split('.');
        let half = Half { user_id: parts.next()?.parse().ok()?, epoch: parts.next()?.parse().ok()? };
        let since_ms: u64 = parts.next()?.parse().ok()?;
        (Duration::from_millis(cookies::now_ms().saturating_sub(since_ms)) < HALF_MAX).then_some(half)
    }

    /// The cookie of who knew the password just now.
    pub(crate) fn begin(keys: &Keys, account: &Account) -> Cookie<'static> {
        keys.half(format!("{}.{}.{}", account.id, account.session_epoch, cookies::now_ms()))
    }
}

/// The visitor's last change: what is read has to be as young.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Where the database stood after it.
    pub(crate) lsn: String,
    at_ms: u64,
}

impl Seen {
    /// Longest wait for a replica to get there.
    pub(crate) const WAIT_MAX: Duration = Duration::from_secs(1);

    /// What the cookie says about a change that was made just now.
    pub(crate) fn write(lsn: &str) -> String {
        format!("{}~{lsn}", cookies::now_ms())
    }

    fn read(value: &str) -> Option<Seen> {
        let (at_ms, lsn) = value.split_once('~')?;
        Some(Seen { lsn: lsn.to_owned(), at_ms: at_ms.parse().ok()? })
    }

    /// Waits until what `reader` reads shows the visitor's own last change, if there was one.
    pub(crate) async fn shown_by(seen: Option<Seen>, reader: &Reader) -> Result<(), ReadError> {
        if let Some(seen) = seen {
            reader.wait_for(&seen.lsn, Seen::WAIT_MAX).await?;
        }
        Ok(())
    }

    /// When the change was made, by this process's clock.
    pub(crate) fn at(&self) -> Instant {
        let age = Duration::from_millis(cookies::now_ms().saturating_sub(self.at_ms));
        Instant::now().checked_sub(age).unwrap_or_else(Instant::now)
    }
}

/// Browsers drop cookies of more than 4,096 bytes, and with them what was to be told.
const TOLD_BYTES_MAX: usize = 3_000;

/// What is told once, on the page after a change.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Whether it went well.
    pub(crate) is_good: bool,
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn write(&self) -> String {
        // Cookie values must be plain: everything else travels as percent-encoding.
        let mut kept = String::new();
        for letter in self.text.chars() {
            let encoded = percent_encoding::utf8_percent_encode(
                letter.encode_utf8(&mut [0; 4]),
                percent_encoding::NON_ALPHANUMERIC,
            )
            .to_string();
            if kept.len() + encoded.len() > TOLD_BYTES_MAX {
                kept.push_str("%E2%80%A6"); // …
                break;
            }
            kept.push_str(&encoded);
        }
        format!("{}~{kept}", if self.is_good { "good" } else { "bad" })
    }

    fn read(value: &str) -> Option<Told> {
        let (kind, text) = value.split_once('~')?;
        let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned();
        Some(Told { is_good: kind == "good", text })
    }
}

/// The colours of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the visitor's system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub(crate) fn parse(name: &str) -> Theme {
        Theme::ALL.into_iter().find(|theme| theme.as_str() == name).unwrap_or_default()
    }

    pub(crate) fn of(keys: &Keys, headers: &HeaderMap) -> Theme {
        keys.read(headers, THEME).map(|value| Theme::parse(&value)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_told_however_long_it_is() {
        for text in ["short", &"ä".repeat(5_000), &"💥".repeat(5_000)] {
            let written = Told { is_good: false, text: text.to_owned() }.write();
            assert!(written.len() < 3_100, "{}", written.len());
            let read = Told::read(&written).map(|told| told.text).unwrap_or_default();
            assert!(text.starts_with(read.trim_end_matches('…')) && read.len() > 4, "{read}");
        }
    }
}
