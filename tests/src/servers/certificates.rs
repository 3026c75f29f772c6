//! An authority of one's own, and what it vouches for: this machine, and a client.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::postgres::give_away;

/// What openssl is to put into each kind of certificate.
const EXTENSIONS: &str = "
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";

/// A folder with certificates and keys, made for one test.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them with the openssl command.
    pub fn new() -> Certificates {
        let folder = tempfile::Builder::new().prefix("croak-certificates-").tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("openssl.cnf"), EXTENSIONS).expect("a configuration");
        let certificates = Certificates { folder };
        certificates.make("authority", None);
        let authority = certificates.of("authority");
        for kind in ["server", "client"] {
            certificates.make(kind, Some(&authority));
        }
        certificates
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.of("authority").certificate
    }

    /// Of a server on 127.0.0.1.
    pub fn server(&self) -> Identity {
        self.of("server")
    }

    /// Of a client.
    pub fn client(&self) -> Identity {
        self.of("client")
    }

    /// Gives the files to whom PostgreSQL runs as: it refuses a key that is somebody else's.
    pub fn for_postgres(self) -> Certificates {
        let Identity { certificate, key } = self.server();
        for file in [self.folder.path(), &certificate, &key] {
            give_away(file);
        }
        self
    }

    fn of(&self, kind: &str) -> Identity {
        let file = |ending: &str| self.folder.path().join(format!("{kind}.{ending}"));
        Identity { certificate: file("pem"), key: file("key") }
    }

    fn make(&self, kind: &str, authority: Option<&Identity>) {
        let Identity { certificate, key } = self.of(kind);
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path());
        command.args(["req", "-x509", "-config", "openssl.cnf", "-extensions", kind, "-days", "2", "-nodes"]);
        command.args([
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-subj",
            &format!("/CN=croak {kind}"),
        ]);
        command.arg("-keyout").arg(key).arg("-out").arg(certificate);
        if let Some(authority) = authority {
            command.arg("-CA").arg(&authority.certificate).arg("-CAkey").arg(&authority.key);
        }
        let made = command.output().expect("openssl is installed");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates::new()
    }
}

/// A path as text for settings.
pub fn text(file: &Path) -> String {
    file.to_str().expect("temporary folders have plain names").to_owned()
}
