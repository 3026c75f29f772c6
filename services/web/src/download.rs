//! A file that came with a notice, for people and scripts: part by part, and as something to be kept, never to be shown.
//!
//! Whoever can report an error can attach what he likes, and it is fetched from the address of these pages. So a browser is told to save
//! it whatever it is, to believe the type that is said, and to let nothing in it act.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use store::Reader;
use store::reader::{Attachment, Opened};
use uuid::Uuid;

use crate::rejection::Rejection;

/// Types that are said as the client said them. All others are bytes.
const HARMLESS: [&str; 7] =
    ["application/json", "image/gif", "image/jpeg", "image/png", "image/webp", "text/csv", "text/plain"];

/// The type of bytes of which nothing is said.
const BYTES: &str = "application/octet-stream";

/// Nothing in it may act, should a browser show it all the same.
const SANDBOX: &str = "default-src 'none'; sandbox";

/// What of a name need not be encoded: `attr-char` of RFC 8187.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The file that has this id, of the notice to which its client gave that one.
pub(crate) async fn download(
    reader: &Reader,
    opened: &Arc<Opened>,
    client_id: Option<&str>,
    id: &str,
) -> Result<Response, Rejection> {
    let id = Uuid::try_parse(id).map_err(|_| Rejection::NotFound)?;
    let client_id = client_id.ok_or(Rejection::NotFound)?;
    let attachment = reader.attachment(opened, client_id, id).await?.ok_or(Rejection::NotFound)?;
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(shown_type(&attachment.content_type))),
        (header::CONTENT_LENGTH, HeaderValue::from(attachment.byte_length)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition(&attachment.name))
                .unwrap_or_else(|_| HeaderValue::from_static("attachment")),
        ),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, body(reader.clone(), Arc::clone(opened), attachment)).into_response())
}

/// One part after the other, each when the one before it has gone: memory does not grow with the file.
fn body(reader: Reader, opened: Arc<Opened>, attachment: Attachment) -> Body {
    let parts = stream::try_unfold((reader, opened, attachment, 0), |(reader, opened, attachment, part)| async move {
        if part == attachment.part_count {
            return Ok::<_, axum::BoxError>(None);
        }
        let content = reader.attachment_part(&opened, &attachment, part).await.inspect_err(|error| {
            tracing::warn!(causes = service::causes(error), "an attachment breaks off");
        })?;
        Ok(Some((Bytes::from(content), (reader, opened, attachment, part + 1))))
    });
    Body::from_stream(parts)
}

/// An attachment as the API lists it. `base` is the address of the notice.
pub(crate) fn shape(attachment: &Attachment, base: &str) -> Value {
    json!({
        "id": attachment.id,
        "name": attachment.name,
        "content_type": attachment.content_type,
        "type": attachment.attachment_type,
        "bytes": attachment.byte_length,
        "url": format!("{base}/attachments/{}", attachment.id),
    })
}

fn shown_type(said: &str) -> &'static str {
    let plain = said.split(';').next().unwrap_or_default().trim();
    HARMLESS.into_iter().find(|harmless| harmless.eq_ignore_ascii_case(plain)).unwrap_or(BYTES)
}

/// `Content-Disposition` as RFC 6266 has it: the name in letters that every reader understands, and in full.
fn disposition(name: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '(' | ')');
    let plain: String = name.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let mut disposition = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        let _ = write!(disposition, "; filename*=UTF-8''{}", percent_encode(name.as_bytes(), PLAIN));
    }
    disposition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_say_more_than_a_name() {
        for (name, said) in [
            ("log.txt", r#"attachment; filename="log.txt""#),
            ("a\"; x=\"b", r#"attachment; filename="a__ x__b"; filename*=UTF-8''a%22%3B%20x%3D%22b"#),
            ("../../etc/passwd", r#"attachment; filename=".._.._etc_passwd"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"#),
            ("naïve €.txt", r#"attachment; filename="na_ve _.txt"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"#),
            (
                "a\r\nSet-Cookie: x",
                r#"attachment; filename="a__Set-Cookie_ x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"#,
            ),
        ] {
            assert_eq!(disposition(name), said);
            assert!(HeaderValue::from_str(&disposition(name)).is_ok());
        }
    }

    #[test]
    fn only_harmless_types_are_said() {
        for (said, shown) in [
            ("image/png", "image/png"),
            ("Text/Plain; charset=utf-8", "text/plain"),
            ("text/html", BYTES),
            ("image/svg+xml", BYTES),
            ("application/xhtml+xml", BYTES),
            ("text/javascript", BYTES),
            ("", BYTES),
        ] {
            assert_eq!(shown_type(said), shown);
        }
    }
}
