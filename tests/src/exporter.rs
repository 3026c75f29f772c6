//! A real exporter of OpenTelemetry (Python's, from PyPI), and a proxy that loses the first answer to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::programs::workspace;

/// How an exporter sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Protobuf by HTTP/1.1.
    Http,
    /// gRPC.
    Grpc,
}

/// The exporter as it is installed.
#[derive(Clone, Debug)]
pub struct Exporter {
    python: PathBuf,
}

impl Exporter {
    /// Installs it below `folder`, unless what is wanted is there.
    pub fn installed(folder: &Path) -> Exporter {
        let requirements = workspace().join("tests/exporters/requirements.txt");
        let wanted = std::fs::read(&requirements).expect("the requirements can be read");
        let digest: String = Sha256::digest(&wanted).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let home = folder.join(format!("exporters-{digest}"));
        let python = home.join("bin/python");
        if !python.exists() {
            // Made aside and moved when it is whole: whoever is interrupted leaves nothing that looks finished. Programs in it name
            // its old place, but this one is all that is used.
            let made = tempfile::Builder::new().prefix("exporters-").tempdir_in(folder).expect("a temporary folder");
            run(Command::new("python3").args(["-m", "venv"]).arg(made.path()));
            let mut pip = Command::new(made.path().join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "-r"]);
            run(pip.arg(&requirements));
            // Somebody else may have been faster.
            if std::fs::rename(made.path(), &home).is_ok() {
                let _ = made.keep();
            }
        }
        Exporter { python }
    }

    /// Exports an exception of this class until it is taken or given up; answers whether it was taken, and what was logged.
    pub async fn export(&self, way: Way, address: SocketAddr, key: &str, class: &str) -> (bool, String) {
        let protocol = match way {
            Way::Http => "http",
            Way::Grpc => "grpc",
        };
        let mut command = tokio::process::Command::new(&self.python);
        command.arg(workspace().join("tests/exporters/export.py"));
        command.args([protocol, &address.to_string(), key, class]).kill_on_drop(true);
        let output = command.output().await.expect("python starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// A proxy that passes everything on but the first answer: of that it takes every byte, and the client learns that it failed.
#[derive(Debug)]
pub struct Loser {
    /// Where it listens.
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Loser {
    /// Stands before `server`.
    pub async fn before(server: SocketAddr, way: Way) -> Loser {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut has_lost = false;
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(server).await.expect("the server listens");
                if has_lost {
                    connections.spawn(pass(client, upstream));
                } else {
                    lose(client, upstream, way).await;
                    has_lost = true;
                }
            }
        });
        Loser { address, serving }
    }
}

impl Drop for Loser {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream) {
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

async fn lose(client: TcpStream, server: TcpStream, way: Way) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let sending = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    match way {
        // The head of the answer says all of it.
        Way::Http => {
            let mut answer = [0; 4096];
            let count = from_server.read(&mut answer).await.expect("the server answers");
            assert!(answer[..count].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..count]));
            let lost =
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            to_client.write_all(lost).await.expect("the client listens");
        }
        // What is no answer belongs to the connection; at the first frame of an answer the connection breaks.
        Way::Grpc => {
            const HEADERS: u8 = 1;
            loop {
                let (kind, frame) = frame(&mut from_server).await;
                if kind == HEADERS {
                    break;
                }
                to_client.write_all(&frame).await.expect("the client listens");
            }
        }
    }
    sending.abort();
}

/// The next frame of HTTP/2, and its kind.
async fn frame(from: &mut OwnedReadHalf) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.expect("a frame");
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut frame = head.to_vec();
    frame.resize(head.len() + length, 0);
    from.read_exact(&mut frame[head.len()..]).await.expect("all of it");
    (head[3], frame)
}
