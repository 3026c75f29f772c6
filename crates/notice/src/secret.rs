//! Names that secrets have, and secrets in text.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::json_tree::Tree;
use crate::scrub::FILTERED;

/// Longest key that is looked at; longer ones are judged by their end.
const KEY_BYTES_MAX: usize = 96;

/// Shortest value of a cookie that can be a session.
const SESSION_CHARS_MIN: usize = 16;

/// What a key says about the value under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The value is a secret by its nature.
    Secret,
    /// The value is of cookies: a text of them, or a map.
    Cookies,
    /// Neither.
    Plain,
}

/// Where in a key, without all that is no letter or digit, a word stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Anywhere,
    AtTheEnd,
    Alone,
}

/// Words of keys, and what they make of them.
const WORDS: &[(&str, Stands, Key)] = &[
    ("passw", Stands::Anywhere, Key::Secret),
    ("passphrase", Stands::Anywhere, Key::Secret),
    ("secret", Stands::Anywhere, Key::Secret),
    ("authorization", Stands::Anywhere, Key::Secret),
    ("credential", Stands::Anywhere, Key::Secret),
    ("sessid", Stands::Anywhere, Key::Secret),
    ("apikey", Stands::Anywhere, Key::Secret),
    ("token", Stands::AtTheEnd, Key::Secret),
    ("tokens", Stands::AtTheEnd, Key::Secret),
    ("sessionid", Stands::AtTheEnd, Key::Secret),
    ("privatekey", Stands::AtTheEnd, Key::Secret),
    ("accesskey", Stands::AtTheEnd, Key::Secret),
    ("cardnumber", Stands::AtTheEnd, Key::Secret),
    ("pwd", Stands::AtTheEnd, Key::Secret),
    ("pass", Stands::Alone, Key::Secret),
    ("cvv", Stands::Alone, Key::Secret),
    ("cvv2", Stands::Alone, Key::Secret),
    ("cvc", Stands::Alone, Key::Secret),
    ("ssn", Stands::Alone, Key::Secret),
    ("jwt", Stands::Alone, Key::Secret),
    ("otp", Stands::Alone, Key::Secret),
    ("sid", Stands::Alone, Key::Secret),
    ("cookie", Stands::Anywhere, Key::Cookies),
];

/// Finds all words in one pass: every notice has dozens of keys.
static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = WORDS.iter().map(|(word, ..)| word);
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("some short words fit into any automaton")
});

/// What values under this key are.
pub(crate) fn key(key: &str) -> Key {
    let mut squeezed = [0; KEY_BYTES_MAX];
    let key = squeeze(key, &mut squeezed);
    let mut kind = Key::Plain;
    for found in FINDER.find_overlapping_iter(key) {
        let (word, stands, of) = WORDS[found.pattern().as_usize()];
        let is_there = match stands {
            Stands::Anywhere => true,
            Stands::AtTheEnd => found.end() == key.len(),
            Stands::Alone => found.start() == 0 && found.end() == key.len(),
        };
        // Working directories, and people.
        let is_other = match word {
            "pwd" => matches!(key, b"pwd") || key.ends_with(b"oldpwd"),
            "secret" => key[found.end()..].starts_with(b"ar"),
            _ => false,
        };
        match of {
            _ if !is_there || is_other => {}
            Key::Secret => return Key::Secret,
            of => kind = of,
        }
    }
    kind
}

/// Whether the JSON value is something to hide: not nothing, no yes or no, and not hidden already.
pub(crate) fn is_worth_masking(json: &str) -> bool {
    !matches!(json, "null" | "true" | "false" | "\"\"" | "{}" | "[]") && !is_masked(json.trim_matches('"'))
}

fn is_masked(value: &str) -> bool {
    let inner = value.strip_prefix(['[', '<', '(']).unwrap_or(value);
    let starts = |word: &str| inner.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    value.bytes().all(|byte| byte == b'*') || (inner.len() < value.len() && (starts("filtered") || starts("redacted")))
}

/// The letters and digits of the key in lower case, or of its end.
fn squeeze<'b>(key: &str, squeezed: &'b mut [u8; KEY_BYTES_MAX]) -> &'b [u8] {
    let bytes = key.as_bytes();
    let mut length = 0;
    for byte in &bytes[bytes.len().saturating_sub(KEY_BYTES_MAX)..] {
        if byte.is_ascii_alphanumeric() {
            squeezed[length] = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    &squeezed[..length]
}

/// A `Cookie` header with `[FILTERED]` for every value that can be a session; borrowed if there is none.
pub(crate) fn mask_cookies(cookies: &str) -> Cow<'_, str> {
    let mut changed = false;
    let parts: Vec<Cow<'_, str>> = cookies
        .split(';')
        .map(|part| match part.split_once('=') {
            Some((name, value)) if is_session(name.trim(), value.trim()) => {
                changed = true;
                Cow::Owned(format!("{name}={FILTERED}"))
            }
            _ => Cow::Borrowed(part),
        })
        .collect();
    if changed { Cow::Owned(parts.join(";")) } else { Cow::Borrowed(cookies) }
}

/// Masks what can be a session in a map of cookies; says whether there was any.
pub(crate) fn mask_cookie_map(tree: &mut Tree<'_>) -> bool {
    let Tree::Map(entries) = tree else { return false };
    let mut changed = false;
    for (name, value) in entries {
        if let Tree::Text(text) = value
            && is_session(name, text)
        {
            *text = Cow::Borrowed(FILTERED);
            changed = true;
        }
    }
    changed
}

/// Whether a cookie is a session by its name, or by a long value that mixes letters and digits.
fn is_session(name: &str, value: &str) -> bool {
    if value.is_empty() || is_masked(value) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let is_named =
        ["sess", "sid", "token", "auth", "remember", "csrf", "xsrf", "jwt"].iter().any(|part| name.contains(part));
    let is_random = value.len() >= SESSION_CHARS_MIN
        && !value.contains(' ')
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_named || is_random
}

/// Text with `[FILTERED]` in the place of every secret; borrowed if there is none.
///
/// Secrets are told by what stands before them: `password=…`, `"token": "…"`, `:secret=>"…"`, `://user:…@`, `Bearer …`.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    mask_by(text, Values::Any)
}

/// Like [`mask`] for lines of code, where only what is quoted is a value.
pub(crate) fn mask_code(line: &str) -> Cow<'_, str> {
    mask_by(line, Values::Quoted)
}

#[derive(Clone, Copy, PartialEq)]
enum Values {
    Any,
    Quoted,
}

/// The characters that a secret can begin behind, or with.
const BEFORE_SECRETS: [bool; 256] = {
    let mut table = [false; 256];
    table[b':' as usize] = true;
    table[b'=' as usize] = true;
    table[b' ' as usize] = true;
    table[b'e' as usize] = true;
    table
};

fn mask_by(text: &str, values: Values) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    // The password of the address that is being read: before it may stand a key with a value.
    let mut of_url = None;
    while let Some(offset) = bytes[at..].iter().position(|byte| BEFORE_SECRETS[usize::from(*byte)]) {
        at += offset;
        let secret = match bytes[at] {
            b':' if bytes[at..].starts_with(b"://") => {
                of_url = password_of_url(text, at);
                None
            }
            b':' if of_url.is_some_and(|(start, _)| start == at + 1) => of_url.take(),
            b'=' | b':' => value_after_key(text, at, values),
            b' ' => bearer(text, at),
            b'e' if bytes[at..].starts_with(b"eyJ") => web_token(text, at),
            _ => None,
        };
        match secret {
            Some((start, end)) if start >= copied && start < end => {
                let with_password = of_url.filter(|(password_at, _)| *password_at <= end);
                let end = with_password.map_or(end, |(_, password_end)| end.max(password_end));
                out.push_str(&text[copied..start]);
                out.push_str(FILTERED);
                copied = end;
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// `scheme://user:PASSWORD@host`
fn password_of_url(text: &str, at: usize) -> Option<(usize, usize)> {
    let start = at + 3;
    let rest = &text[start..];
    let end = rest.find(['/', '?', '#', ' ', '"', '\'', '\n', '<', '>']).unwrap_or(rest.len()).min(512);
    let authority = rest.get(..end)?;
    let (user, _) = authority.rsplit_once('@')?;
    let (name, password) = user.split_once(':')?;
    let password_at = start + name.len() + 1;
    (!password.is_empty() && !is_masked(password)).then_some((password_at, password_at + password.len()))
}

/// The value behind `key=`, `key:`, `"key":`, `:key=>` if the key is one of secrets.
fn value_after_key(text: &str, at: usize, values: Values) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    if bytes[at] == b':' && (bytes.get(at + 1) == Some(&b':') || (at > 0 && bytes[at - 1] == b':')) {
        return None;
    }
    let key = key_before(text, at)?;
    let is_code = bytes[at] == b'=' && matches!(bytes.get(at + 1), Some(b'=' | b'~'));
    if is_code || self::key(key.trim_end_matches("%5D").trim_end_matches("%5d")) != Key::Secret {
        return None;
    }
    let mut start = at + 1;
    if bytes[at] == b'=' && bytes.get(start) == Some(&b'>') {
        start += 1;
    }
    let spaces = bytes[start..].iter().take_while(|byte| **byte == b' ').count();
    let has_space = spaces > 0 || (at > 0 && bytes[at - 1] == b' ');
    start += spaces;
    if let Some(quoted) = quoted(text, start) {
        // "Unexpected token: '<'" is about grammar.
        let is_grammar =
            key.eq_ignore_ascii_case("token") && text[..at].ends_with(key) && has_space && quoted.1 - quoted.0 < 8;
        return (!is_grammar && !is_masked(&text[quoted.0..quoted.1])).then_some(quoted);
    }
    if values == Values::Quoted {
        return None;
    }
    let rest = &text[start..];
    let mut end = rest.find(|end: char| end.is_whitespace() || "&;,\"'<>(){}]".contains(end)).unwrap_or(rest.len());
    let mut is_scheme = false;
    for scheme in ["Bearer ", "Basic ", "Token ", "Digest "] {
        if rest.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            let value = &rest[scheme.len()..];
            end = scheme.len()
                + value.find(|end: char| end.is_whitespace() || "&;,\"'".contains(end)).unwrap_or(value.len());
            is_scheme = true;
        }
    }
    let value = &rest[..end];
    // What somebody has filtered a part of was judged by them.
    if value.is_empty() || is_masked(value) || value.contains(FILTERED.trim_end_matches(']')) {
        return None;
    }
    // In prose what follows is a word: "password: must be longer". A secret stands alone or looks like one.
    let ends_there = rest[end..].trim_start().is_empty() || !rest[end..].starts_with(' ');
    let looks_secret = value.bytes().any(|byte| byte.is_ascii_digit() || b"!@#$%^*_+/".contains(&byte));
    (!has_space || is_scheme || ends_there || looks_secret).then_some((start, start + end))
}

/// The key that ends before this place, without its quotation marks.
fn key_before(text: &str, at: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut end = at;
    while end > 0 && at - end < 2 && bytes[end - 1] == b' ' {
        end -= 1;
    }
    if end > 0 && matches!(bytes[end - 1], b'"' | b'\'' | b'`') {
        end -= 1;
        if end > 0 && bytes[end - 1] == b'\\' {
            end -= 1;
        }
    }
    let is_of_key =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | b'$');
    let mut start = end;
    while start > 0 && end - start < KEY_BYTES_MAX && is_of_key(bytes[start - 1]) {
        start -= 1;
    }
    (start < end).then(|| &text[start..end])
}

/// What is between quotation marks that begin here.
fn quoted(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_escaped = bytes.get(at) == Some(&b'\\');
    let mark_at = if is_escaped { at + 1 } else { at };
    let mark = *bytes.get(mark_at).filter(|mark| matches!(mark, b'"' | b'\'' | b'`'))?;
    let start = mark_at + 1;
    let mut end = start;
    while let Some(byte) = bytes.get(end) {
        match *byte {
            b'\\' if is_escaped && bytes.get(end + 1) == Some(&mark) => break,
            b'\\' => end += 2,
            byte if byte == mark => break,
            _ => end += 1,
        }
    }
    let end = end.min(bytes.len());
    (start < end && text.is_char_boundary(end)).then_some((start, end))
}

/// `Bearer abc123…`: a token has a digit and is long; "bearer of bad news" is not.
fn bearer(text: &str, at: usize) -> Option<(usize, usize)> {
    let before = text.get(at.checked_sub(6)?..at)?;
    if !before.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let rest = &text[at + 1..];
    let end = rest.find(|end: char| !(end.is_ascii_alphanumeric() || "._~+/=-".contains(end))).unwrap_or(rest.len());
    let token = &rest[..end];
    (token.len() >= 8 && token.bytes().any(|byte| byte.is_ascii_digit())).then_some((at + 1, at + 1 + end))
}

/// A JSON Web Token: three parts of base64, the first of which begins with `{"`.
fn web_token(text: &str, at: usize) -> Option<(usize, usize)> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // Only at the start of a word, or a text of many starts would be read as many times.
    if at > 0 && is_of_token(text.as_bytes()[at - 1]) {
        return None;
    }
    let rest = &text[at..];
    let end = rest.bytes().position(|byte| !is_of_token(byte)).unwrap_or(rest.len());
    let token = &rest[..end];
    let is_token = token.len() > 30 && token.matches('.').count() == 2 && token.split('.').all(|part| part.len() >= 5);
    is_token.then_some((at, at + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_secrets_are_known() {
        for key in [
            "password",
            "user[password]",
            "PASSWORD_CONFIRMATION",
            "DB_PASSWD",
            "access_token",
            "X-CSRF-Token",
            "authenticity_token",
            "HTTP_AUTHORIZATION",
            "Proxy-Authorization",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "apiKey",
            "HTTP_X_API_KEY",
            "session_id",
            "PHPSESSID",
            "sessionid",
            "user_pwd",
            "cvv",
            "private-key",
            "credentials",
        ] {
            assert_eq!(super::key(key), Key::Secret, "{key}");
        }
        for key in [
            "PWD",
            "OLDPWD",
            "user_id",
            "tokens_used_total",
            "compass",
            "secretary",
            "session",
            "key",
            "path",
            "author",
            "id",
            "",
            "passenger",
        ] {
            assert_eq!(super::key(key), Key::Plain, "{key}");
        }
    }

    #[test]
    fn keys_of_cookies_are_known() {
        for key in ["Cookie", "HTTP_COOKIE", "cookies", "rack.request.cookie_hash"] {
            assert_eq!(super::key(key), Key::Cookies, "{key}");
        }
        assert_eq!(super::key("cookie_secret"), Key::Secret);
    }

    #[test]
    fn secrets_in_text_are_masked() {
        for (text, expected) in [
            ("/login?user=ann&password=hunter2&x=1", "/login?user=ann&password=[FILTERED]&x=1"),
            ("user%5Btoken%5D=abc", "user%5Btoken%5D=[FILTERED]"),
            ("postgres://shop:s3cret@db/shop", "postgres://shop:[FILTERED]@db/shop"),
            ("redis://:s3cret@cache:6379", "redis://:[FILTERED]@cache:6379"),
            ("https://password=abc:s3cret@db/", "https://password=[FILTERED]"),
            ("https://token=x&:s3cret@db/", "https://token=[FILTERED]&:[FILTERED]@db/"),
            (r#"{"password":"hunter2","a":1}"#, r#"{"password":"[FILTERED]","a":1}"#),
            (r#"{:password=>"hunter2", "token" => "a b"}"#, r#"{:password=>"[FILTERED]", "token" => "[FILTERED]"}"#),
            ("{'api_key': 'k'}", "{'api_key': '[FILTERED]'}"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [FILTERED]"),
            ("sent Bearer abc123def456 to it", "sent Bearer [FILTERED] to it"),
            ("password: hunter2 was wrong", "password: [FILTERED] was wrong"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP_mB92K27uhbUJU1p", "jwt [FILTERED]"),
        ] {
            let masked = mask(text);
            assert_eq!(masked, expected);
            assert_eq!(mask(&masked), expected, "masking twice");
        }
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in [
            "password: must be at least 8 characters",
            "Unexpected token: '<'",
            "Unexpected token < in JSON at position 0",
            "https://shop.example/checkout?step=2",
            "password=[FILTERED]&token=[Filtered]",
            "undefined method `password' for nil",
            "Devise::Token::Invalid",
            "the bearer of bad news",
            "PWD=/srv/shop",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn code_loses_only_what_is_quoted() {
        assert_eq!(mask_code("password = params[:password]"), "password = params[:password]");
        assert_eq!(mask_code("connect(password: 'hunter2')"), "connect(password: '[FILTERED]')");
    }

    #[test]
    fn cookies_lose_their_sessions() {
        assert_eq!(mask_cookies("theme=dark; _shop_session=abc; a=b"), "theme=dark; _shop_session=[FILTERED]; a=b");
        assert_eq!(mask_cookies("id=0123456789abcdef0"), "id=[FILTERED]");
        assert_eq!(mask_cookies("a=b; c=d"), "a=b; c=d");
    }
}
