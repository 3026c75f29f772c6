//! Characters: from bytes, and from references to them.

use std::borrow::Cow;

/// The text of a body. What is not UTF-8 becomes U+FFFD, unless the document says that it is Latin-1; half a character at the very end is dropped.
pub(super) fn decode<'a>(body: &'a [u8], notes: &mut Vec<String>) -> Cow<'a, str> {
    let error = match std::str::from_utf8(body) {
        Ok(text) => return Cow::Borrowed(text),
        Err(error) => error,
    };
    if error.error_len().is_none() {
        let whole = &body[..error.valid_up_to()];
        return String::from_utf8_lossy(whole);
    }
    if says_latin_1(body) {
        return Cow::Owned(body.iter().map(|byte| char::from(*byte)).collect());
    }
    notes.push("bytes that are not UTF-8 were replaced by U+FFFD".to_owned());
    String::from_utf8_lossy(body)
}

fn says_latin_1(body: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&body[..body.len().min(100)]).to_ascii_lowercase();
    let Some((_, rest)) = head.split_once("encoding=") else { return false };
    let name = rest.trim_start_matches(['"', '\'']);
    ["iso-8859-1", "latin1", "windows-1252"].iter().any(|latin| name.starts_with(latin))
}

/// Replaces the five entities of XML and numeric references; surrogate pairs written as two references become one character. What is unknown stays as it is.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((code, after)) = reference(rest) else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        rest = after;
        match char::from_u32(code) {
            Some(character) => out.push(character),
            None => match reference(rest) {
                Some((low, after)) if (0xd800..0xdc00).contains(&code) && (0xdc00..0xe000).contains(&low) => {
                    let pair = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    out.push(char::from_u32(pair).unwrap_or('\u{fffd}'));
                    rest = after;
                }
                _ => out.push('\u{fffd}'),
            },
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The code of the reference that the text begins with, and what follows it.
fn reference(text: &str) -> Option<(u32, &str)> {
    let inner = text.strip_prefix('&')?;
    // The longest is &#x10FFFF; but leading zeros are legal.
    let end = inner.bytes().take(16).position(|byte| byte == b';')?;
    let (name, after) = (&inner[..end], &inner[end + 1..]);
    let code = match name {
        "lt" => u32::from('<'),
        "gt" => u32::from('>'),
        "amp" => u32::from('&'),
        "quot" => u32::from('"'),
        "apos" => u32::from('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            match number.strip_prefix(['x', 'X']) {
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    u32::from_str_radix(digits, 16).ok()?
                }
                None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
                _ => return None,
            }
        }
    };
    Some((code, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters() {
        for (text, expected) in [
            ("a &lt;b&gt; &amp;amp; &quot;&apos;", "a <b> &amp; \"'"),
            ("Gr&#xFC;&#223;e", "Grüße"),
            ("&#55357;&#56485;", "💥"),
            ("&#55357; &#56485;", "\u{fffd} \u{fffd}"),
            ("&nbsp; & &; &#; &#x; &#+5; AT&T", "&nbsp; & &; &#; &#x; &#+5; AT&T"),
            ("&#99999999;", "\u{fffd}"),
            ("é&ü;", "é&ü;"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    #[test]
    fn bytes_become_text() {
        let mut notes = Vec::new();
        assert_eq!(decode(b"gr\xc3\xbc\xc3", &mut notes), "grü");
        assert_eq!(
            decode(b"<?xml version='1.0' encoding='ISO-8859-1'?>\xfc", &mut notes),
            "<?xml version='1.0' encoding='ISO-8859-1'?>ü"
        );
        assert!(notes.is_empty());
        assert_eq!(decode(b"a\xff\xfeb", &mut notes), "a\u{fffd}\u{fffd}b");
        assert_eq!(notes.len(), 1);
    }
}
