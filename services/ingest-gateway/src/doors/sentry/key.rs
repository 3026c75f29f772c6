//! The project's key, in each place where Sentry's clients put it.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;

use crate::keys;
use crate::projects::{Project, Projects};
use crate::rejection::{Refusal, Rejection};

const SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// The newest version of the protocol that there is.
const VERSION_MAX: u32 = 7;

/// The key in a request's head: where only Sentry's clients write, else where others may have written, too.
pub(in crate::doors) fn in_head(parts: &Parts) -> Result<Option<String>, Rejection> {
    match of_sentry(parts)? {
        Some(key) => Ok(Some(key)),
        None => of_anybody(parts),
    }
}

/// The key in `X-Sentry-Auth`, `Authorization: Sentry …` or `?sentry_key=`. Clients name one; several are refused, unless they are the
/// same.
pub(super) fn of_sentry(parts: &Parts) -> Result<Option<String>, Rejection> {
    let mut keys = Vec::new();
    keys.extend(
        header(parts, &SENTRY_AUTH).map(|value| of_pairs(scheme(value, "sentry").unwrap_or(value))).transpose()?,
    );
    keys.extend(header(parts, &AUTHORIZATION).and_then(|value| scheme(value, "sentry")).map(of_pairs).transpose()?);
    keys.extend(parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "sentry_key")));
    keys.retain(|key| !key.is_empty());
    keys.dedup();
    match keys.len() {
        0 | 1 => Ok(keys.pop()),
        _ => Err(Rejection::SeveralKeys),
    }
}

/// The key in `Authorization: Basic` or `Bearer`: there it may also be a site's password that a browser adds, or the token of a proxy.
pub(super) fn of_anybody(parts: &Parts) -> Result<Option<String>, Rejection> {
    let Some(value) = header(parts, &AUTHORIZATION) else { return Ok(None) };
    let key = match (scheme(value, "basic"), scheme(value, "bearer")) {
        (Some(basic), _) => of_basic(basic)?,
        (None, Some(token)) => token.trim().to_owned(),
        (None, None) => return Ok(None),
    };
    Ok(Some(key).filter(|key| !key.is_empty()))
}

/// The client as it calls itself beside its key, `raven-python/6.10.0`; empty if it does not.
pub(super) fn client(parts: &Parts) -> String {
    let of_pairs = |pairs: &str| {
        let mut pairs = pairs.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(name, _)| name.trim() == "sentry_client")
            .map(|(_, client)| client.trim().trim_matches('"').to_owned())
    };
    let of_sentry = header(parts, &AUTHORIZATION).and_then(|value| scheme(value, "sentry"));
    let head = header(parts, &SENTRY_AUTH).map(|value| scheme(value, "sentry").unwrap_or(value)).or(of_sentry);
    head.and_then(of_pairs)
        .or_else(|| parts.uri.query().and_then(|query| keys::in_form(query.as_bytes(), "sentry_client")))
        .unwrap_or_default()
}

fn header<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// The project that a key opens, at the address that names it.
pub(super) fn open(projects: &Projects, key: &str, named: &str) -> Result<Arc<Project>, Refusal> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Rejection::UnreadableKey.into());
    }
    keys::open_at(projects, key, named)
}

/// `sentry_key=…, sentry_version=7, …` in any order.
fn of_pairs(pairs: &str) -> Result<String, Rejection> {
    let mut key = None;
    for pair in pairs.split(',') {
        let Some((name, value)) = pair.trim().split_once('=') else { continue };
        let value: Cow<'_, str> = Cow::Borrowed(value.trim().trim_matches('"'));
        match name.trim() {
            "sentry_key" => key = Some(value.into_owned()),
            // Some write "2.0".
            "sentry_version" => {
                let major = value.split('.').next().and_then(|major| major.parse::<u32>().ok());
                if major.is_none_or(|major| major > VERSION_MAX) {
                    return Err(Rejection::UnsupportedProtocol);
                }
            }
            _ => {}
        }
    }
    key.filter(|key| !key.is_empty()).ok_or(Rejection::UnreadableKey)
}

/// The user of basic authentication.
fn of_basic(basic: &str) -> Result<String, Rejection> {
    let decoded = STANDARD.decode(basic.trim()).map_err(|_| Rejection::UnreadableKey)?;
    let text = String::from_utf8(decoded).map_err(|_| Rejection::UnreadableKey)?;
    Ok(text.split(':').next().unwrap_or_default().to_owned())
}

fn scheme<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then_some(rest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use http::Request;

    use super::*;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn key(target: &str, headers: &[(&str, &str)]) -> Result<Option<String>, String> {
        in_head(&parts(target, headers)).map_err(|rejection| rejection.reason().to_owned())
    }

    #[test]
    fn the_client_says_beside_the_key_what_it_is() {
        for name in ["x-sentry-auth", "authorization"] {
            let value = "Sentry sentry_version=4, sentry_client=raven-go/1.0, sentry_key=abc";
            assert_eq!(client(&parts("/x", &[(name, value)])), "raven-go/1.0", "{name}");
        }
        assert_eq!(client(&parts("/x?sentry_key=abc&sentry_client=raven-js%2F3.27", &[])), "raven-js/3.27");
        assert_eq!(client(&parts("/x", &[("x-sentry-auth", "Sentry sentry_key=abc")])), "");
    }

    #[test]
    fn every_form_of_a_key_is_found() {
        let abc = Ok(Some("abc".to_owned()));
        assert_eq!(key("/x?sentry_version=7&sentry_key=abc&sentry_client=x", &[]), abc);
        for (name, value) in [
            ("x-sentry-auth", "Sentry sentry_key=abc, sentry_version=7, sentry_client=raven/1"),
            ("x-sentry-auth", "sentry sentry_version=6,sentry_secret=def,sentry_key=abc"),
            ("x-sentry-auth", "sentry_key=abc"),
            ("x-sentry-auth", "Sentry sentry_version=2.0, sentry_key=\"abc\""),
            ("authorization", "Sentry sentry_key=abc"),
            ("authorization", "Basic YWJjOmRlZg=="),
            ("authorization", "Bearer abc"),
        ] {
            assert_eq!(key("/x", &[(name, value)]), abc, "{name}: {value}");
        }
        assert_eq!(key("/x", &[]), Ok(None));
        assert_eq!(key("/x?sentry_key=abc", &[("x-sentry-auth", "Sentry sentry_key=abc")]), abc);
    }

    #[test]
    fn what_others_write_into_a_head_does_not_hide_the_key() {
        let abc = Ok(Some("abc".to_owned()));
        for foreign in ["Basic c2l0ZTpwYXNzd29yZA==", "Bearer eyJhbGciOi.x.y", "Basic !", "Digest username=\"a\""] {
            assert_eq!(key("/x?sentry_key=abc", &[("authorization", foreign)]), abc, "{foreign}");
            let both = [("authorization", foreign), ("x-sentry-auth", "Sentry sentry_key=abc")];
            assert_eq!(key("/x", &both), abc, "{foreign}");
        }
    }

    #[test]
    fn several_keys_and_what_cannot_be_read_are_refused() {
        let refused = |reason: &str| Err(reason.to_owned());
        assert_eq!(key("/x?sentry_key=abc", &[("x-sentry-auth", "Sentry sentry_key=b")]), refused("several_keys"));
        assert_eq!(key("/x", &[("x-sentry-auth", "Sentry sentry_version=7")]), refused("unreadable_key"));
        assert_eq!(key("/x", &[("authorization", "Basic !")]), refused("unreadable_key"));
        let newer = [("x-sentry-auth", "Sentry sentry_version=8, sentry_key=a")];
        assert_eq!(key("/x", &newer), refused("unsupported_protocol"));
    }
}
