//! Bytes to a socket and back, as they are: no client library smooths over what is sent or answered.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status of the answer.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {:?}", self.text()))
    }

    /// The id of an accepted notice: the first `<id>` of XML, `id` of JSON.
    pub fn notice_id(&self) -> Option<uuid::Uuid> {
        let text = self.text();
        let id = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => json["id"].as_str()?.to_owned(),
            // As the Ruby clients find it: `<id[^>]*>(.*?)</id>`.
            Err(_) => text.split_once("</id>")?.0.rsplit_once("<id")?.1.split_once('>')?.1.to_owned(),
        };
        id.parse().ok()
    }
}

/// A connection on which several requests can follow each other.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, received: BytesMut::new() })
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one answer, passing over `100 Continue`.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let answer = self.one_answer().await?;
            if answer.status != 100 {
                return Ok(answer);
            }
        }
    }

    /// Sends one request and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.write(request).await?;
        self.answer().await
    }

    /// Whether the server closes the connection within `limit`, sending nothing more.
    pub async fn is_closed_within(&mut self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.stream.read_buf(&mut self.received)).await, Ok(Ok(0) | Err(_)))
    }

    async fn one_answer(&mut self) -> io::Result<Answer> {
        let head_end = loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.received.split_to(head_end)).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()));
        let mut answer = Answer { status, headers: headers.collect(), body: Vec::new() };
        answer.body = self.body(&answer).await?;
        Ok(answer)
    }

    async fn body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            return self.take(length).await;
        }
        if matches!(answer.status, 100..200 | 204 | 304) {
            return Ok(Vec::new());
        }
        let mut body = Vec::new();
        if answer.header("transfer-encoding").is_none() {
            while self.more().await.is_ok() {}
            return Ok(self.received.split().to_vec());
        }
        loop {
            let length = usize::from_str_radix(&self.line().await?, 16).map_err(io::Error::other)?;
            body.extend(self.take(length).await?);
            self.line().await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line = self.received.split_to(at);
                self.received.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.more().await?;
        }
        Ok(self.received.split_to(length).to_vec())
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Sends one request on a connection of its own.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    Connection::open(address).await?.exchange(request).await
}

/// A whole request: head with a right `Content-Length`, and body.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: croak.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

/// A `POST` with a body.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    request("POST", path, &[], body)
}
