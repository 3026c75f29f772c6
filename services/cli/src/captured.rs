//! A request as some client sent it.

use std::path::Path;

use anyhow::{Context as _, bail};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers that belong to the connection on which they were sent, not to the request.
const OF_THE_CONNECTION: [&str; 6] =
    ["host", "connection", "content-length", "transfer-encoding", "expect", "keep-alive"];

/// One HTTP request, ready to be sent again.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Captured {
    /// A request of our own.
    pub(crate) fn post(
        target: &str,
        content_type: &'static str,
        mut headers: HeaderMap,
        body: String,
    ) -> anyhow::Result<Captured> {
        headers.insert("content-type", HeaderValue::from_static(content_type));
        Ok(Captured { method: Method::POST, target: target.to_owned(), headers, body: body.into_bytes() })
    }

    /// Reads a file with the request line, the headers, an empty line and the body.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Captured> {
        Captured::parse(&std::fs::read(file)?)
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Captured> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.context("the empty line after the headers is missing")?;
        let head = std::str::from_utf8(&bytes[..end]).context("the headers are not text")?;
        let mut lines = head.split("\r\n");
        let mut request_line = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(_)) = (request_line.next(), request_line.next(), request_line.next())
        else {
            bail!("the first line is not that of a request");
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is no header"))?;
            if !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()) {
                headers.append(name.parse::<HeaderName>()?, value.trim().parse()?);
            }
        }
        Ok(Captured { method: method.parse()?, target: target.to_owned(), headers, body: bytes[end + 4..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_request_keeps_what_is_its_own_and_drops_what_was_the_connections() {
        let request =
            Captured::parse(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX-Key: k\r\n\r\nbo\r\n\r\ndy")
                .unwrap();
        assert_eq!((request.method, request.target.as_str()), (Method::POST, "/a?b=c"));
        assert_eq!(request.headers.len(), 1);
        assert_eq!(request.headers["x-key"], "k");
        assert_eq!(request.body, b"bo\r\n\r\ndy");
    }

    #[test]
    fn a_file_that_is_no_request_says_what_is_missing() {
        assert!(Captured::parse(b"hello").unwrap_err().to_string().contains("empty line"));
        assert!(Captured::parse(b"hello\r\n\r\n").is_err());
    }
}
