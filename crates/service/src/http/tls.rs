//! TLS of a public door, with a certificate that may be renewed while it runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{Protocol, measures};

/// Time from connecting to the end of the handshake: a few round trips of a slow line.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the log tells of handshakes that failed: whoever wants to can make them fail by the thousand.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Largest file that is read: a chain has a few kilobytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The certificate and key of a door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    configs: RwLock<Configs>,
    /// Whether somebody looks at the files: one listener does for all that have this certificate.
    is_followed: AtomicBool,
    /// Handshakes that failed and that the log has not told of.
    untold_failures: AtomicU64,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, not ours to read, or far too large.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The one file has no certificate.
    #[error("{} holds no certificate: it must be PEM, the server's own first, then those up to the authority", file.display())]
    NoCertificate {
        /// Which.
        file: PathBuf,
        /// What was found instead.
        source: pem::Error,
    },
    /// The other file has no key.
    #[error("{} holds no private key: it must be PEM and not encrypted", file.display())]
    NoKey {
        /// Which.
        file: PathBuf,
        /// What was found instead.
        source: pem::Error,
    },
    /// Each can be read, and they do not serve.
    #[error("{} and {} do not work together: the key must be that of the first certificate", certificate.display(), key.display())]
    NoPair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What a handshake is made by. They differ in the protocol that they agree on.
#[derive(Debug, Clone)]
struct Configs {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

/// What was made of the files.
struct Made {
    configs: Configs,
    /// When the certificate ends, in seconds since 1970; `None` if it does not say so in a way that is understood.
    expires_at_s: Option<i64>,
}

impl Tls {
    /// Reads a certificate and its key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let made = files.make(&files.contents()?)?;
        made.tell();
        Ok(Tls(Arc::new(Inner {
            files,
            configs: RwLock::new(made.configs),
            is_followed: AtomicBool::new(false),
            untold_failures: AtomicU64::new(0),
        })))
    }

    /// Shakes hands with whoever has connected; `None` if that does not come about in time.
    pub(super) async fn accept(&self, socket: TcpStream, protocol: Protocol) -> Option<TlsStream<TcpStream>> {
        let config = {
            let configs = self.0.configs.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(match protocol {
                Protocol::Http1 => &configs.http1,
                Protocol::Http2 => &configs.http2,
            })
        };
        let shaking = TlsAcceptor::from(config).accept(socket);
        let reason = match tokio::time::timeout(HANDSHAKE_WITHIN, shaking).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(causes = crate::causes(&error), "a handshake failed");
                // What the other side sent, or failed to agree to, comes as invalid data; all else is the line.
                if error.kind() == io::ErrorKind::InvalidData { "refused" } else { "broken_off" }
            }
            Err(_) => "timed_out",
        };
        measures::handshake_failed(reason);
        self.0.untold_failures.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes over what is new in the files, every few seconds and on SIGHUP, until `stop`; returns at once when another listener does it.
    pub(super) async fn follow(&self, stop: CancellationToken) {
        if self.0.is_followed.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut looked_at = self.0.files.contents().ok();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut tells = tokio::time::interval(TELL_EVERY);
        let Ok(mut hang_up) = signal(SignalKind::hangup()) else {
            return tracing::error!("cannot listen for SIGHUP: a renewed certificate will not be noticed");
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => self.look(&mut looked_at),
                _ = hang_up.recv() => self.look(&mut looked_at),
                _ = tells.tick() => self.tell_of_failures(),
            }
        }
    }

    /// Looks whether the files have changed. What cannot be used is told of once, and what was there before stays in use.
    fn look(&self, looked_at: &mut Option<Contents>) {
        let contents = self.0.files.contents();
        if let (Ok(now), Some(before)) = (&contents, &looked_at)
            && now == before
        {
            return;
        }
        // Files that are away for the moment are no news twice.
        if contents.is_err() && looked_at.is_none() {
            return;
        }
        let made = contents.and_then(|contents| {
            let made = self.0.files.make(&contents);
            *looked_at = Some(contents);
            made
        });
        match made {
            Ok(made) => {
                made.tell();
                *self.0.configs.write().unwrap_or_else(PoisonError::into_inner) = made.configs;
                measures::certificate_reloaded("taken");
                tracing::info!(expires_at_s = made.expires_at_s, "a renewed certificate is in use");
            }
            Err(error) => {
                if matches!(error, TlsError::Unreadable { .. }) {
                    *looked_at = None;
                }
                measures::certificate_reloaded("refused");
                let causes = crate::causes(&error);
                tracing::error!(causes, "the renewed certificate cannot be used; the one before stays in use");
            }
        }
    }

    fn tell_of_failures(&self) {
        let handshakes = self.0.untold_failures.swap(0, Ordering::Relaxed);
        if handshakes > 0 {
            tracing::warn!(handshakes, "handshakes failed within a minute");
        }
    }
}

impl Files {
    fn contents(&self) -> Result<Contents, TlsError> {
        let read = |file: &Path| {
            let read = || {
                let bytes = std::fs::metadata(file)?.len();
                if bytes > FILE_BYTES_MAX {
                    return Err(io::Error::other(format!("{bytes} bytes are no certificate and no key")));
                }
                std::fs::read(file)
            };
            read().map_err(|source| TlsError::Unreadable { file: file.to_owned(), source })
        };
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    fn make(&self, contents: &Contents) -> Result<Made, TlsError> {
        let Files { certificate, key } = self;
        let no_certificate = |source| TlsError::NoCertificate { file: certificate.clone(), source };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<_, _>>().map_err(no_certificate)?;
        let own = chain.first().ok_or_else(|| no_certificate(pem::Error::NoItemsFound))?;
        let expires_at_s = expires_at_s(own);
        let private = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|source| TlsError::NoKey { file: key.clone(), source })?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        let no_pair = |source| TlsError::NoPair { certificate: certificate.clone(), key: key.clone(), source };
        let config = config.map_err(no_pair)?;
        let speaking = |name: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![name.to_vec()];
            Arc::new(config)
        };
        Ok(Made { configs: Configs { http1: speaking(b"http/1.1"), http2: speaking(b"h2") }, expires_at_s })
    }
}

impl Made {
    fn tell(&self) {
        let Some(expires_at_s) = self.expires_at_s else { return };
        measures::certificate_expires(expires_at_s);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // Clients that do not check it are still served: refusing to start would lose what they send.
        if i64::try_from(now).is_ok_and(|now| now > expires_at_s) {
            tracing::error!(expires_at_s, "the certificate has expired: most clients will not connect");
        }
    }
}

fn expires_at_s(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}
