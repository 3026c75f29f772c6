//! A notice as text, for a ticket or a shell. Not HTML: it is sent as plain text.

use std::fmt::Write as _;

use notice::{Error, Frame, Notice, Request};
use serde_json::Value;
use store::reader::StoredNotice;

use super::times;
use time::OffsetDateTime;

/// Frames of one error: what is further out seldom says more.
const FRAMES_MAX: usize = 50;

/// Headers that a client sets by itself.
const OWN_HEADERS: [&str; 4] = ["content-length", "connection", "accept-encoding", "transfer-encoding"];

/// Errors with their stacks, and where and for whom it happened, as Markdown. `address` is where the page is.
pub(crate) fn markdown(stored: &StoredNotice, address: &str) -> String {
    let notice = &stored.notice;
    let mut text = String::new();
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(stored.accepted_at_us) * 1_000).ok();
    for (number, error) in notice.errors.iter().enumerate() {
        let heading = if number == 0 { "##" } else { "### Caused by" };
        let _ = writeln!(text, "{heading} {}\n", code(&title(error)));
        if !error.frames.is_empty() {
            text.push_str("```\n");
            error.frames.iter().take(FRAMES_MAX).for_each(|frame| text.push_str(&place(frame)));
            if let Some(left @ 1..) = error.frames.len().checked_sub(FRAMES_MAX) {
                let _ = writeln!(text, "… {left} more");
            }
            text.push_str("```\n\n");
        }
    }
    let request = notice.request.as_ref();
    let user = notice.user.as_ref();
    if let Some(at) = at {
        let _ = writeln!(text, "- At: {}", times::written(at));
    }
    let facts = [
        ("Environment", notice.environment.clone()),
        ("Release", notice.release.clone()),
        ("Host", notice.server.as_ref().and_then(|server| server.hostname.clone())),
        ("Request", request.and_then(|request| Some(format!("{} {}", method(request), request.url.as_deref()?)))),
        ("User", user.and_then(|user| user.id.clone().or_else(|| user.email.clone()))),
    ];
    for (name, value) in facts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "- {name}: {}", code(&value));
        }
    }
    let _ = writeln!(text, "- Page: {address}");
    text
}

/// The request that failed, for a shell; nothing if it has no address. What was scrubbed is missing in it.
pub(crate) fn curl(notice: &Notice) -> Option<String> {
    let request = notice.request.as_ref()?;
    let url = request.url.as_deref().filter(|url| !url.is_empty())?;
    // Brackets and braces in an address are itself, and no list of addresses; nor is one that begins with a dash an option.
    let mut text = format!("curl --globoff -X {} --url {}", quoted(method(request)), quoted(url));
    for (name, value) in headers(request) {
        let _ = write!(text, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
    }
    if let Some(body) = body(request) {
        let _ = write!(text, " \\\n  --data-raw {}", quoted(&body));
    }
    text.push('\n');
    Some(text)
}

fn title(error: &Error) -> String {
    let [class, message] = [&error.class, &error.message].map(|part| part.as_deref().unwrap_or_default());
    match (class, message) {
        ("", message) => message.to_owned(),
        (class, "") => class.to_owned(),
        (class, message) => format!("{class}: {message}"),
    }
}

fn place(frame: &Frame) -> String {
    let mut place = frame.file.clone().unwrap_or_default();
    if let Some(line) = frame.line {
        let _ = write!(place, ":{line}");
    }
    if let Some(function) = &frame.function {
        let _ = write!(place, "{}{function}", if place.is_empty() { "" } else { " in " });
    }
    one_line(&place) + "\n"
}

/// Text of an error within a line: shown as it is, whatever is in it – no picture is fetched and nobody is called by their name.
fn code(text: &str) -> String {
    let text = one_line(text).replace('`', "'");
    let text = text.trim();
    format!("`{}`", if text.is_empty() { "(nothing)" } else { text })
}

/// No text of an error begins a line of its own, or ends a block of code.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ").replace("```", "'''")
}

fn method(request: &Request) -> &str {
    request.method.as_deref().filter(|method| !method.is_empty()).unwrap_or("GET")
}

/// The headers as they were sent, or as a server's variables have them: `HTTP_ACCEPT`.
fn headers(request: &Request) -> Vec<(String, String)> {
    let pairs = |json: Option<&str>| match json.and_then(|json| serde_json::from_str(json).ok()) {
        Some(Value::Object(map)) => {
            map.into_iter().filter_map(|(name, value)| Some((name, text_of(&value)?))).collect()
        }
        Some(Value::Array(list)) => {
            list.into_iter().filter_map(|pair| Some((text_of(&pair[0])?, text_of(&pair[1])?))).collect()
        }
        _ => Vec::new(),
    };
    let mut headers: Vec<(String, String)> = pairs(request.headers_json.as_deref());
    if headers.is_empty() {
        let of_server = pairs(request.cgi_json.as_deref()).into_iter();
        let header = |(name, value): (String, String)| {
            let name = name.strip_prefix("HTTP_").or((name == "CONTENT_TYPE").then_some(&*name))?;
            Some((name.replace('_', "-").to_lowercase(), value))
        };
        headers = of_server.filter_map(header).collect();
    }
    headers.retain(|(name, _)| !OWN_HEADERS.contains(&&*name.to_lowercase()));
    headers
}

fn body(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_str(request.body_json.as_deref()?).ok()?;
    match body {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(list) => list.first().and_then(text_of),
        Value::Null | Value::Object(_) => None,
    }
}

/// A word for a shell, whatever is in it. A terminal that what was copied is pasted into would heed control characters before any shell does.
fn quoted(text: &str) -> String {
    if !text.contains(|character: char| character.is_control() && character != '\n') {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = "$'".to_owned();
    for character in text.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use notice::NoticeId;

    use super::*;

    fn stored() -> StoredNotice {
        let frame = |file: &str, line, function: &str| Frame {
            file: Some(file.to_owned()),
            line: Some(line),
            function: Some(function.to_owned()),
            ..Frame::default()
        };
        let error = |class: &str, message: &str, frames| Error {
            class: Some(class.to_owned()),
            message: Some(message.to_owned()),
            frames,
            ..Error::default()
        };
        let request = Request {
            method: Some("POST".to_owned()),
            url: Some("https://shop.example/pay?it's=1".to_owned()),
            headers_json: Some(r#"{"Accept":"*/*","Content-Length":"7","X-Id":["a","b"]}"#.to_owned()),
            body_json: Some(r#"{"card":"[FILTERED]"}"#.to_owned()),
            ..Request::default()
        };
        let notice = Notice {
            errors: vec![
                error("CheckoutError", "no\n# heading", vec![frame("cart.rb", 8, "charge"), frame("app.rb", 3, "```")]),
                error("Declined", "", Vec::new()),
            ],
            environment: Some("production".to_owned()),
            request: Some(request),
            ..Notice::default()
        };
        StoredNotice {
            id: NoticeId::new(1_795_316_388_564_789, 0, 1),
            project_id: 1,
            group_id: 2,
            accepted_at_us: 1_795_316_388_564_789,
            notice,
            resolution: None,
            why: None,
        }
    }

    #[test]
    fn markdown_has_the_stack_and_the_facts_and_nothing_of_an_error_is_markup() {
        let expected = "## `CheckoutError: no # heading`\n\n```\ncart.rb:8 in charge\napp.rb:3 in '''\n```\n\n\
            ### Caused by `Declined`\n\n- At: 2026-11-22 02:59:48 UTC\n- Environment: `production`\n\
            - Request: `POST https://shop.example/pay?it's=1`\n- Page: https://croak.example/p\n";
        assert_eq!(markdown(&stored(), "https://croak.example/p"), expected);
    }

    #[test]
    fn curl_asks_the_same_again_and_nothing_of_it_is_run() {
        let mut notice = stored().notice;
        let expected = "curl --globoff -X 'POST' --url 'https://shop.example/pay?it'\\''s=1' \\\n  -H 'Accept: */*' \\\n  -H 'X-Id: a' \\\n  \
            --data-raw '{\"card\":\"[FILTERED]\"}'\n";
        assert_eq!(curl(&notice).unwrap(), expected);
        let request = notice.request.as_mut().unwrap();
        request.headers_json = None;
        request.body_json = None;
        request.cgi_json = Some(r#"{"HTTP_ACCEPT":"*/*","SERVER_NAME":"x","CONTENT_TYPE":"text/plain"}"#.to_owned());
        let told = curl(&notice).unwrap();
        assert!(told.contains("-H 'accept: */*'") && told.contains("-H 'content-type: text/plain'"), "{told}");
        assert!(!told.contains("SERVER") && !told.contains("data-raw"), "{told}");
        notice.request.as_mut().unwrap().url = Some("https://shop.example/\u{1b}[201~it's".to_owned());
        let told = curl(&notice).unwrap();
        assert!(told.contains(r"--url $'https://shop.example/\u001b[201~it\'s'"), "{told}");
        notice.request = None;
        assert_eq!(curl(&notice), None);
    }
}
