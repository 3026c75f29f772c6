//! Certificates for Redis over TLS.

use std::path::{Path, PathBuf};

use redis::{Client, ClientTlsConfig, ConnectionAddr, TlsCertificates};
// The provider of the algorithms is a feature of this crate, which redis leaves to us.
use rustls as _;

use crate::QueueError;
use crate::address::Address;

/// Files with certificates and keys, in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Authorities that vouch for the servers; without it those of the system do.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key, where servers ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// Reads them, and sees whether they can be used for this address.
    pub(crate) fn read(&self, address: &Address) -> Result<Option<TlsCertificates>, QueueError> {
        if self.ca.is_none() && self.identity.is_none() {
            return Ok(None);
        }
        if !matches!(address.sample().addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(QueueError::Options(
                "certificates are given, but CROAK_REDIS_URL is an address without TLS: let it begin with `rediss`"
                    .to_owned(),
            ));
        }
        let certificates = TlsCertificates {
            root_cert: self.ca.as_deref().map(|file| pem(file, "CERTIFICATE")).transpose()?,
            client_tls: match &self.identity {
                None => None,
                Some((certificate, key)) => Some(ClientTlsConfig {
                    client_cert: pem(certificate, "CERTIFICATE")?,
                    client_key: pem(key, "PRIVATE KEY")?,
                }),
            },
        };
        Client::build_with_tls(address.sample().clone(), certificates.clone())
            .map_err(|error| QueueError::Options(format!("the certificates for redis cannot be used: {error}")))?;
        Ok(Some(certificates))
    }
}

fn pem(file: &Path, what: &str) -> Result<Vec<u8>, QueueError> {
    let wrong = |why: String| QueueError::Options(format!("{} cannot be used: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    // What is no PEM at all would be taken for a file with nothing in it.
    if !String::from_utf8_lossy(&bytes).contains(&format!("{what}-----")) {
        return Err(wrong(format!("it holds no `-----BEGIN {what}-----`")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str, files: &TlsFiles) -> String {
        let address = Address::parse(url).expect("an address");
        files.read(&address).map(|_| ()).expect_err("they cannot be used").to_string()
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("ca.pem");
        let files = TlsFiles { ca: Some(file.clone()), identity: None };
        assert!(said("rediss://a", &files).contains("ca.pem"));
        std::fs::write(&file, "no certificate").expect("a file");
        assert!(said("rediss-cluster://a", &files).contains("BEGIN CERTIFICATE"));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("a file");
        assert!(said("rediss-sentinel://a/main", &files).contains("certificates for redis cannot be used"));
        assert!(said("redis://a", &files).contains("`rediss`"));
    }
}
