//! What must never be stored: passwords, tokens, sessions, card numbers.
//!
//! Works on text in one pass and changes only what it must, because every notice goes
//! through it before it is on disk.

use std::borrow::Cow;

use crate::json_tree::{self, write_text};
use crate::{Notice, card, secret};

/// What stands in the place of a secret.
pub(crate) const FILTERED: &str = "[FILTERED]";

/// Digits from which on a bare number in JSON can be a card number. Shorter ones are sizes, counts and times.
const CARD_DIGITS_MIN: usize = 15;

/// Maps of cookies inside of maps of cookies that are looked into; no client has them, but a body can.
const COOKIE_DEPTH_MAX: usize = 8;

/// Takes passwords, tokens, session cookies, authorization headers and card numbers out of a notice, and says in its notes which kinds there were.
pub fn scrub(notice: &mut Notice) {
    let mut found = Found::default();
    for error in &mut notice.errors {
        found.cards_of(error.class.as_mut());
        found.text(error.message.as_mut());
        found.text(error.formatted.as_mut());
        found.json(error.mechanism_json.as_mut());
        for frame in &mut error.frames {
            found.cards_of(frame.file.as_mut());
            frame.code.iter_mut().for_each(|code| found.code(&mut code.text));
            found.json(frame.vars_json.as_mut());
        }
    }
    if let Some(request) = &mut notice.request {
        for text in [&mut request.url, &mut request.component, &mut request.action, &mut request.route] {
            found.text(text.as_mut());
        }
        for json in [
            &mut request.params_json,
            &mut request.session_json,
            &mut request.headers_json,
            &mut request.cgi_json,
            &mut request.body_json,
        ] {
            found.json(json.as_mut());
        }
        found.cookies_of(request.cookies_json.as_mut());
    }
    if let Some(server) = &mut notice.server {
        found.json(server.extra_json.as_mut());
    }
    for json in [
        &mut notice.tags_json,
        &mut notice.breadcrumbs_json,
        &mut notice.contexts_json,
        &mut notice.extra_json,
        &mut notice.threads_json,
        &mut notice.unmapped_json,
    ] {
        found.json(json.as_mut());
    }
    notice.notes.iter_mut().for_each(|note| found.text(Some(note)));
    notice.client_fingerprint.iter_mut().for_each(|part| found.text(Some(part)));
    found.note(&mut notice.notes);
}

/// Which kinds of secrets were found.
#[derive(Default)]
struct Found {
    secrets: bool,
    cards: bool,
    /// How many maps of cookies are around the value in hand.
    cookie_depth: usize,
}

impl Found {
    fn note(&self, notes: &mut Vec<String>) {
        for (found, note) in
            [(self.secrets, "scrubbed: passwords, tokens or sessions"), (self.cards, "scrubbed: card numbers")]
        {
            if found && !notes.iter().any(|there| there == note) {
                notes.push(note.to_owned());
            }
        }
    }

    fn text(&mut self, text: Option<&mut String>) {
        if let Some(text) = text
            && let Cow::Owned(scrubbed) = self.scrubbed(text)
        {
            *text = scrubbed;
        }
    }

    fn code(&mut self, line: &mut String) {
        if let Cow::Owned(masked) = secret::mask_code(line) {
            self.secrets = true;
            *line = masked;
        }
        self.cards_of(Some(line));
    }

    /// Only card numbers: names of classes and paths have `token:` and the like in them by right.
    fn cards_of(&mut self, text: Option<&mut String>) {
        if let Some(text) = text
            && let Cow::Owned(masked) = card::mask(text)
        {
            self.cards = true;
            *text = masked;
        }
    }

    /// The text without secrets, borrowed if there are none.
    fn scrubbed<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let masked = secret::mask(text);
        self.secrets |= matches!(masked, Cow::Owned(_));
        if let Cow::Owned(masked) = card::mask(&masked) {
            self.cards = true;
            return Cow::Owned(masked);
        }
        masked
    }

    /// Goes through compact JSON from string to string and copies what stays.
    fn json(&mut self, json: Option<&mut String>) {
        let Some(json) = json else { return };
        let mut out = Rewritten { json, out: String::new(), copied: 0 };
        let mut at = 0;
        while let Some(offset) = json[at..].find('"') {
            let start = at + offset;
            self.numbers(&mut out, at, start);
            let end = string_end(json, start);
            let text = unescaped(json, start, end);
            if json.as_bytes().get(end) != Some(&b':') {
                if let Cow::Owned(scrubbed) = self.scrubbed(&text) {
                    out.replace(start, end, &scrubbed);
                }
                at = end;
                continue;
            }
            let value_at = end + 1;
            at = value_at;
            match secret::key(&text) {
                secret::Key::Secret => {
                    at = value_end(json, value_at);
                    if secret::is_worth_masking(&json[value_at..at]) {
                        self.secrets = true;
                        out.replace(value_at, at, FILTERED);
                    }
                }
                secret::Key::Cookies => {
                    at = value_end(json, value_at);
                    self.cookies(&mut out, value_at, at);
                }
                secret::Key::Plain => {}
            }
        }
        self.numbers(&mut out, at, json.len());
        if let Some(rewritten) = out.finish() {
            *json = rewritten;
        }
    }

    /// JSON that holds nothing but cookies.
    fn cookies_of(&mut self, json: Option<&mut String>) {
        let Some(json) = json else { return };
        let mut out = Rewritten { json, out: String::new(), copied: 0 };
        self.cookies(&mut out, 0, json.len());
        if let Some(rewritten) = out.finish() {
            *json = rewritten;
        }
    }

    /// The value of a key of cookies: a header, or a map. What is not a session in it is scrubbed like everything.
    fn cookies(&mut self, out: &mut Rewritten<'_>, start: usize, end: usize) {
        let value = &out.json[start..end];
        let mut new = value.to_owned();
        if value.starts_with('"') {
            if let Cow::Owned(masked) = secret::mask_cookies(&unescaped(out.json, start, end)) {
                self.secrets = true;
                new.clear();
                write_text(&masked, &mut new);
            }
        } else if let Ok(mut read) = json_tree::read(value)
            && secret::mask_cookie_map(&mut read.tree)
        {
            self.secrets = true;
            new = read.tree.to_text();
        }
        if self.cookie_depth == COOKIE_DEPTH_MAX {
            self.secrets = true;
            return out.replace(start, end, FILTERED);
        }
        self.cookie_depth += 1;
        self.json(Some(&mut new));
        self.cookie_depth -= 1;
        if new != value {
            out.replace_json(start, end, &new);
        }
    }

    /// Masks card numbers that are bare numbers of the JSON between two strings.
    fn numbers(&mut self, out: &mut Rewritten<'_>, start: usize, end: usize) {
        if end - start < CARD_DIGITS_MIN {
            return;
        }
        let mut at = start;
        while at < end {
            let rest = &out.json[at..end];
            let Some(offset) = rest.find(|first: char| first.is_ascii_digit() || first == '-') else { return };
            let length = rest[offset..].find([',', ']', '}', ':']).unwrap_or(rest.len() - offset);
            let number = at + offset..at + offset + length;
            if length >= CARD_DIGITS_MIN && matches!(card::mask(&out.json[number.clone()]), Cow::Owned(_)) {
                self.cards = true;
                out.replace(number.start, number.end, card::MASK);
            }
            at = number.end + 1;
        }
    }
}

/// JSON with some values replaced.
struct Rewritten<'a> {
    json: &'a str,
    out: String,
    copied: usize,
}

impl Rewritten<'_> {
    fn replace(&mut self, start: usize, end: usize, text: &str) {
        self.out.push_str(&self.json[self.copied..start]);
        write_text(text, &mut self.out);
        self.copied = end;
    }

    fn replace_json(&mut self, start: usize, end: usize, json: &str) {
        self.out.push_str(&self.json[self.copied..start]);
        self.out.push_str(json);
        self.copied = end;
    }

    fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.out.push_str(&self.json[self.copied..]);
        Some(self.out)
    }
}

/// Behind the string that begins at this quotation mark.
fn string_end(json: &str, start: usize) -> usize {
    let bytes = json.as_bytes();
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the value that begins here, whatever it is.
fn value_end(json: &str, start: usize) -> usize {
    let bytes = json.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(json, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b',' if depth == 0 => return at,
            _ => at += 1,
        }
        let ended = at > start && depth == 0 && matches!(bytes[at - 1], b'"' | b'}' | b']');
        if ended {
            return at;
        }
    }
    bytes.len()
}

/// The text of the string from its first quotation mark to behind its last.
fn unescaped(json: &str, start: usize, end: usize) -> Cow<'_, str> {
    let raw = json.get(start + 1..end - 1).unwrap_or_default();
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    match json_tree::read(&json[start..end]).map(|read| read.tree) {
        Ok(json_tree::Tree::Text(text)) => Cow::Owned(text.into_owned()),
        _ => Cow::Borrowed(raw),
    }
}
