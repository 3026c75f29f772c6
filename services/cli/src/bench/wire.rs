//! HTTP/1.1 at its barest: bytes out, status and body back.

use std::io;

use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::target::Target;

/// What is read at a time; most answers are smaller.
const READ_BYTES: usize = 16 * 1024;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 64;

/// A connection that sends one request at a time.
pub(crate) struct Connection {
    stream: Stream,
    /// What was read; its first `filled` bytes mean something.
    read: Vec<u8>,
    filled: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An answer. It stands in its connection until the next request.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Whether the server will say nothing more on this connection.
    pub(crate) is_last: bool,
}

/// What a head says of its answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
    is_last: bool,
}

impl Connection {
    /// Connects, with TLS if the target has it.
    pub(crate) async fn open(target: &Target) -> io::Result<Connection> {
        let tcp = TcpStream::connect(target.address).await?;
        tcp.set_nodelay(true)?;
        let stream = match &target.tls {
            None => Stream::Plain(tcp),
            Some((connector, name)) => Stream::Tls(Box::new(connector.connect(name.clone(), tcp).await?)),
        };
        Ok(Connection { stream, read: vec![0; READ_BYTES], filled: 0 })
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(request).await?,
            Stream::Tls(tls) => {
                tls.write_all(request).await?;
                tls.flush().await?;
            }
        }
        self.filled = 0;
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.read[..self.filled])? {
                break head;
            }
        };
        let length = head.head_bytes + head.body_bytes;
        while self.filled < length {
            self.read_more().await?;
        }
        let (shown, body) = self.read[..length].split_at(head.head_bytes);
        Ok(Answer { status: head.status, head: shown, body, is_last: head.is_last })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.filled == self.read.len() {
            if self.filled >= ANSWER_BYTES_MAX {
                return Err(invalid("the answer is too large"));
            }
            self.read.resize(self.filled * 2, 0);
        }
        let into = &mut self.read[self.filled..];
        let count = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(into).await?,
            Stream::Tls(tls) => tls.read(into).await?,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += count;
        Ok(())
    }
}

impl Answer<'_> {
    /// Whether it says that what was sent was taken.
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let _ = response.parse(self.head);
        let named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
    }
}

impl Head {
    /// The head of what was read so far, once it is whole.
    fn parse(read: &[u8]) -> io::Result<Option<Head>> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head_bytes = match response.parse(read).map_err(|error| invalid(&error.to_string()))? {
            Status::Complete(bytes) => bytes,
            Status::Partial => return Ok(None),
        };
        let mut head = Head {
            status: response.code.unwrap_or_default(),
            head_bytes,
            body_bytes: 0,
            is_last: response.version == Some(0),
        };
        for header in response.headers.iter() {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                head.body_bytes = length.ok_or_else(|| invalid("the length of the answer is no number"))?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.is_last |= value.eq_ignore_ascii_case(b"close");
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(invalid("the answer does not announce its length"));
            }
        }
        Ok(Some(head))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::io::Write as _;
    use std::sync::Arc;

    use rcgen::{CertifiedKey, KeyPair};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    use super::super::target::ReachArgs;
    use super::*;

    /// A server with a certificate of its own that answers one request on each connection.
    async fn secure_server(certificate: &CertifiedKey<KeyPair>) -> String {
        let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
                let mut read = vec![0; 64 * 1024];
                if tls.read(&mut read).await.unwrap_or(0) > 0 {
                    tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn a_server_with_a_certificate_of_its_own_is_reached_when_it_is_trusted() {
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let url = secure_server(&certificate).await;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.cert.pem().as_bytes()).unwrap();

        let trusting = ReachArgs::trusting(file.path());
        let mut connection = Connection::open(&trusting.find(&url).await.unwrap()).await.unwrap();
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!((answer.status, answer.body), (200, &b"hello"[..]));

        let doubting = ReachArgs::default().find(&url).await.unwrap();
        assert!(Connection::open(&doubting).await.is_err(), "whoever is not trusted is not measured");
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-LENGTH: 5\r\n\r\nhello";
        let head_bytes = answer.len() - 5;
        for cut in 0..head_bytes {
            assert_eq!(Head::parse(&answer[..cut]).unwrap(), None, "{cut}");
        }
        let head = Head { status: 200, head_bytes, body_bytes: 5, is_last: false };
        assert_eq!(Head::parse(answer).unwrap(), Some(head));
    }

    #[test]
    fn the_end_of_a_connection_is_heard() {
        let closing = b"HTTP/1.1 503 Service Unavailable\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n";
        assert!(Head::parse(closing).unwrap().unwrap().is_last);
        assert!(Head::parse(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().unwrap().is_last);
        assert!(!Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().is_last);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(Head::parse(b"hello\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
