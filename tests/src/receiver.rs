//! A real HTTP server that takes webhook calls and checks their signatures by the rules of Standard Webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Calls older or newer than this against our clock are replays.
const CLOCK_TOLERANCE_S: i64 = 300;

/// One call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names in lower case.
    pub headers: http::HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// The server. It ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    answers: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that answers every call with 200.
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = calls.clone();
        let (answers, may_answer) = watch::channel(true);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, may_answer) = (kept.clone(), may_answer.clone());
                let service =
                    hyper::service::service_fn(move |request| take(request, kept.clone(), may_answer.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Receiver { address, calls, answers, server }
    }

    /// Takes calls and does not answer them, or answers again, also those that wait.
    pub fn answer(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// Where calls go.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panics here").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Call {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a call brings JSON")
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing: {:?}", self.headers))
            .to_str()
            .expect("ASCII")
    }

    /// Whether its signature is right for this secret (`whsec_` and base64).
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).expect("the secret is base64");
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let age_s =
            time::OffsetDateTime::now_utc().unix_timestamp() - timestamp.parse::<i64>().expect("seconds since 1970");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        age_s.abs() <= CLOCK_TOLERANCE_S && self.header("webhook-signature").split(' ').any(|found| found == expected)
    }
}

async fn take(
    request: Request<Incoming>,
    calls: Arc<Mutex<Vec<Call>>>,
    mut may_answer: watch::Receiver<bool>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let headers = request.headers().clone();
    let body = request.into_body().collect().await?.to_bytes();
    calls.lock().expect("nobody panics here").push(Call { headers, body });
    // An error means that the receiver is gone: then nobody waits for an answer.
    let _ = may_answer.wait_for(|may_answer| *may_answer).await;
    Ok(Response::new(Full::default()))
}
