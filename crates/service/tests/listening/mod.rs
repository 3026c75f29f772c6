//! A listener as a service has it, and clients of all manners.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use service::http::{Body, ClientAddress, Door, Overrun, Tls, serve, serve_http2};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_util::sync::CancellationToken;

/// Nothing that is tested here takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Bytes of the answer at `/big`: more than any socket keeps for its reader.
const BIG_BYTES: usize = 64 << 20;

/// A listener that runs until it is dropped.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    /// Requests that reached the service.
    pub(crate) requests: Arc<AtomicUsize>,
    shutdown: CancellationToken,
}

impl Listening {
    /// Answers every request with the address that it came from, the length of its body and what came after it.
    pub(crate) async fn start(door: Door) -> Listening {
        Listening::speaking(door, false).await
    }

    /// The same in HTTP/2.
    pub(crate) async fn start_http2(door: Door) -> Listening {
        Listening::speaking(door, true).await
    }

    async fn speaking(door: Door, is_http2: bool) -> Listening {
        service::measure::recorder();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, shutdown) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let counted = Arc::clone(&requests);
        let answer = tower::service_fn(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, Infallible>(answer(request).await) }
        });
        if is_http2 {
            tokio::spawn(serve_http2(listener, answer, door, shutdown.clone()));
        } else {
            tokio::spawn(serve(listener, answer, door, shutdown.clone()));
        }
        Listening { address, requests, shutdown }
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn answer(request: Request<Body>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/big" {
        return Response::new(Full::new(vec![b'x'; BIG_BYTES].into()));
    }
    let ClientAddress(client) = parts.extensions.get().unwrap();
    let announced = body.announced().unwrap_or_default();
    let (status, told) = match body.whole(1 << 20).await {
        Ok(whole) if parts.uri.path() == "/overrun" => {
            let overrun: &Overrun = parts.extensions.get().unwrap();
            let rest = overrun.after(announced, LIMIT, |rest| rest.ends_with(b"!")).await;
            (StatusCode::OK, [&whole[..], &rest].concat())
        }
        Ok(whole) => (StatusCode::OK, format!("{client} {}", whole.len()).into_bytes()),
        Err(error) => (StatusCode::REQUEST_TIMEOUT, error.to_string().into_bytes()),
    };
    let mut response = Response::new(Full::new(told.into()));
    *response.status_mut() = status;
    response
}

/// Files with a certificate for 127.0.0.1 and its key.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    /// With a certificate that ends with this year; and the certificate.
    pub(crate) fn until(year: i32) -> (Files, CertificateDer<'static>) {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        let certificate = files.renew(year);
        (files, certificate)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Puts another certificate and its key there.
    pub(crate) fn renew(&self, year: i32) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        parameters.not_after = date_time_ymd(year, 12, 31);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(self.certificate(), certificate.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    pub(crate) fn door(&self) -> Door {
        Door { tls: Some(Tls::read(&self.certificate(), &self.key()).unwrap()), ..Door::default() }
    }
}

/// Whom a client trusts and what it offers.
pub(crate) struct Client {
    pub(crate) trusts: CertificateDer<'static>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) protocols: &'static [&'static str],
}

impl Client {
    pub(crate) fn trusting(certificate: &CertificateDer<'static>) -> Client {
        Client { trusts: certificate.clone(), versions: vec![&TLS12, &TLS13], protocols: &["http/1.1"] }
    }

    /// A connection with its handshake done.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
    }
}

/// Sends bytes and reads until the other side ends, which it must.
pub(crate) async fn all_that_comes(mut connection: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> String {
    connection.write_all(sent).await.unwrap();
    connection.flush().await.unwrap();
    let mut read = Vec::new();
    // A connection that is reset has ended, too.
    let _ = tokio::time::timeout(LIMIT, connection.read_to_end(&mut read)).await.expect("it ends in time");
    String::from_utf8_lossy(&read).into_owned()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}
