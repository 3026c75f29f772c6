//! What is measured, and whether it may be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use reqwest::Url;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring};

/// Which targets are reached, and how.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ReachArgs {
    /// Says that the target is yours: what is not on this machine is refused without it
    #[arg(long)]
    i_own_this_target: bool,
    /// Certificate (PEM) to be trusted beside the usual ones, for a server with one of its own
    #[arg(long)]
    ca: Option<PathBuf>,
}

/// An address that is measured. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Target {
    /// What a request says for `Host`.
    pub(crate) authority: String,
    /// The address without a path.
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl ReachArgs {
    /// Of this machine alone, with certificates of its own.
    #[cfg(test)]
    pub(crate) fn trusting(ca: &std::path::Path) -> ReachArgs {
        ReachArgs { ca: Some(ca.to_owned()), ..ReachArgs::default() }
    }

    /// Finds the server of an address.
    pub(crate) async fn find(&self, url: &str) -> anyhow::Result<Target> {
        let parsed: Url =
            url.parse().with_context(|| format!("`{url}` is no address: http://127.0.0.1:8080 is one"))?;
        let host = parsed.host_str().with_context(|| format!("`{url}` names no host"))?.to_owned();
        let port = parsed.port_or_known_default().with_context(|| format!("`{url}` names no port"))?;
        let bare = host.trim_matches(['[', ']']);
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((bare, port)).await.with_context(|| format!("looking up {host}"))?.collect();
        let address = *addresses.first().with_context(|| format!("{host} has no address"))?;
        self.check_owned(url, &addresses)?;
        let tls = match parsed.scheme() {
            "http" => None,
            "https" => {
                Some((self.connector()?, ServerName::try_from(bare.to_owned()).context("no name for a certificate")?))
            }
            other => bail!("`{url}` begins with {other}://; http and https can be measured"),
        };
        let authority = format!("{host}:{port}");
        Ok(Target { url: format!("{}://{authority}", parsed.scheme()), authority, address, tls })
    }

    /// A load on somebody else's server is an attack: what may be meant is told from what may not by its address.
    fn check_owned(&self, url: &str, addresses: &[SocketAddr]) -> anyhow::Result<()> {
        let is_here = addresses.iter().all(|address| address.ip().to_canonical().is_loopback());
        ensure!(
            is_here || self.i_own_this_target,
            "{url} is not on this machine: say --i-own-this-target if it is yours and may be put under load"
        );
        Ok(())
    }

    fn connector(&self) -> anyhow::Result<TlsConnector> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &self.ca {
            let reading = || format!("reading the certificates of {}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(reading)? {
                roots.add(certificate.with_context(reading)?).with_context(reading)?;
            }
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("choosing the versions of TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Notifiers open a connection, send, and go: none of them has anything to resume.
        config.resumption = Resumption::disabled();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl Target {
    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const CAREFUL: ReachArgs = ReachArgs { i_own_this_target: false, ca: None };
    const OWNER: ReachArgs = ReachArgs { i_own_this_target: true, ca: None };

    #[tokio::test]
    async fn what_is_on_this_machine_is_measured() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080/", "http://[::ffff:127.0.0.1]"]
        {
            assert!(CAREFUL.find(url).await.is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn what_is_elsewhere_is_refused_unless_it_is_owned() {
        for url in ["http://192.0.2.7:8080", "http://[2001:db8::1]", "https://198.51.100.1", "http://0.0.0.0:8080"] {
            let refused = CAREFUL.find(url).await.err().map(|error| error.to_string()).unwrap();
            assert!(refused.contains("--i-own-this-target"), "{url}: {refused}");
            assert!(OWNER.find(url).await.is_ok(), "{url}");
        }
    }

    #[test]
    fn a_name_is_refused_when_any_of_its_addresses_is_elsewhere() {
        let addresses = ["127.0.0.1:80".parse().unwrap(), "192.0.2.7:80".parse().unwrap()];
        assert!(CAREFUL.check_owned("http://both.example", &addresses).is_err());
        assert!(CAREFUL.check_owned("http://here.example", &addresses[..1]).is_ok());
    }

    #[tokio::test]
    async fn a_host_is_named_as_a_request_names_it() {
        let target = CAREFUL.find("http://[::1]:8080/path").await.unwrap();
        assert_eq!((target.authority.as_str(), target.url.as_str()), ("[::1]:8080", "http://[::1]:8080"));
        assert!(target.tls.is_none());
        assert!(CAREFUL.find("https://127.0.0.1:8443").await.unwrap().tls.is_some());
        assert!(CAREFUL.find("ftp://127.0.0.1").await.is_err());
    }
}
