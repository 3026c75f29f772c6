//! Cookies: signed, so that nobody can write one, and what forms prove with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Who is signed in.
pub(crate) const SESSION: &str = "croak_session";
/// Who knew the password, and is yet to show the second factor.
pub(crate) const HALF: &str = "croak_half";
/// A browser in which somebody signed in before.
pub(crate) const KNOWN: &str = "croak_known";
/// Binds the sign-in form to the browser that it was shown to.
pub(crate) const VISIT: &str = "croak_visit";
/// How far the database had come when the visitor last changed something.
pub(crate) const SEEN: &str = "croak_seen";
/// One sentence for the next page.
pub(crate) const TOLD: &str = "croak_told";
/// The colours that the visitor chose.
pub(crate) const THEME: &str = "croak_theme";

/// How long somebody stays signed in.
pub(crate) const SESSION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long somebody may look for the code of the second factor.
pub(crate) const HALF_MAX: Duration = Duration::from_secs(300);
/// After this long every replica shows the change.
const SEEN_MAX: Duration = Duration::from_secs(120);
const TOLD_MAX: Duration = Duration::from_secs(30);
const KNOWN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
const THEME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What signs cookies and forms. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keys {
    cookies: Key,
    forms: [u8; 32],
    /// Whether cookies travel over https only.
    is_secure: bool,
}

impl Keys {
    pub(crate) fn new(secret_key: &str, is_secure: bool) -> Keys {
        Keys {
            // Hashed first: the key must not depend on how the secret is written or how long it is.
            cookies: Key::from(&Sha512::digest(format!("croak cookies {secret_key}"))),
            forms: Sha256::digest(format!("croak forms {secret_key}")).into(),
            is_secure,
        }
    }

    /// What a cookie of a request says, if it is ours.
    pub(crate) fn read(&self, headers: &HeaderMap, name: &str) -> Option<String> {
        let cookie = self.jar(headers).get(name)?;
        // The signature is over the value alone: without its name in it, one cookie could be shown as another.
        Some(cookie.value().strip_prefix(name)?.strip_prefix('.')?.to_owned())
    }

    /// The cookies of a request, to change them.
    pub(crate) fn jar(&self, headers: &HeaderMap) -> SignedCookieJar {
        SignedCookieJar::from_headers(headers, self.cookies.clone())
    }

    pub(crate) fn session(&self, value: String) -> Cookie<'static> {
        self.cookie(SESSION, value, SESSION_MAX)
    }

    pub(crate) fn half(&self, value: String) -> Cookie<'static> {
        self.cookie(HALF, value, HALF_MAX)
    }

    pub(crate) fn known(&self, value: String) -> Cookie<'static> {
        self.cookie(KNOWN, value, KNOWN_MAX)
    }

    pub(crate) fn visit(&self, value: String) -> Cookie<'static> {
        self.cookie(VISIT, value, Duration::from_secs(3600))
    }

    pub(crate) fn seen(&self, value: String) -> Cookie<'static> {
        self.cookie(SEEN, value, SEEN_MAX)
    }

    pub(crate) fn told(&self, value: String) -> Cookie<'static> {
        self.cookie(TOLD, value, TOLD_MAX)
    }

    pub(crate) fn theme(&self, value: String) -> Cookie<'static> {
        self.cookie(THEME, value, THEME_MAX)
    }

    fn cookie(&self, name: &'static str, mut value: String, age_max: Duration) -> Cookie<'static> {
        value.insert_str(0, &format!("{name}."));
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure)
            .max_age(time::Duration::try_from(age_max).unwrap_or(time::Duration::HOUR))
            .build()
    }

    /// What a form carries to prove that it was made for the session of this nonce.
    pub(crate) fn form_token(&self, nonce: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.forms).expect("HMAC takes keys of any length");
        mac.update(nonce.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// A secret that belongs to a name: always the same, and nobody can guess it.
    pub(crate) fn secret_of(&self, name: &str) -> String {
        // A session's nonce is no name with a space in it.
        self.form_token(&format!("secret {name}"))
    }

    /// Whether a form was made for the session of this nonce.
    pub(crate) fn is_form_token(&self, nonce: &str, token: &str) -> bool {
        bool::from(self.form_token(nonce).as_bytes().ct_eq(token.as_bytes()))
    }
}

/// Something nobody can guess.
pub(crate) fn nonce() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hex digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_form_belongs_to_one_session() {
        let keys = Keys::new(SECRET, false);
        let token = keys.form_token("one");
        assert!(keys.is_form_token("one", &token));
        assert!(!keys.is_form_token("two", &token));
        assert!(!keys.is_form_token("one", ""));
        assert!(!Keys::new("another secret another secret another", false).is_form_token("one", &token));
    }

    #[test]
    fn cookies_are_out_of_reach() {
        let cookie = Keys::new(SECRET, true).session("x".into());
        assert_eq!(cookie.http_only(), Some(true));
        assert_eq!(cookie.secure(), Some(true));
        assert_eq!(cookie.same_site(), Some(SameSite::Lax));
        assert_ne!(Keys::new(SECRET, false).session("x".into()).secure(), Some(true));
    }

    #[test]
    fn a_cookie_that_was_changed_is_not_there() {
        let keys = Keys::new(SECRET, false);
        let pair = shown(&keys, keys.session("1.1.nonce".into()));
        assert_eq!(keys.read(&sent(&pair), SESSION).as_deref(), Some("1.1.nonce"));
        assert_eq!(keys.read(&sent(&pair.replace("1.1.nonce", "2.1.nonce")), SESSION), None);
    }

    #[test]
    fn a_cookie_is_not_taken_for_another() {
        let keys = Keys::new(SECRET, false);
        for (name, cookie) in [(SESSION, keys.session("1.1.0".into())), (HALF, keys.half("1.1.0".into()))] {
            let other = if name == SESSION { HALF } else { SESSION };
            let pair = shown(&keys, cookie);
            assert!(keys.read(&sent(&pair), name).is_some());
            let pair = pair.replacen(name, other, 1);
            assert!(keys.jar(&sent(&pair)).get(other).is_some(), "the signature is right");
            assert_eq!(keys.read(&sent(&pair), other), None);
        }
    }

    /// A cookie as a browser sends it back.
    fn shown(keys: &Keys, cookie: Cookie<'static>) -> String {
        let response = axum::response::IntoResponse::into_response((keys.jar(&HeaderMap::new()).add(cookie), ()));
        let set = response.headers()["set-cookie"].to_str().expect("plain text");
        set.split(';').next().expect("a cookie has a value").to_owned()
    }

    fn sent(pair: &str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::header::COOKIE, pair.parse().expect("plain text"))])
    }
}
