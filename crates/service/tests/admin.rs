//! The admin port as probes, scrapers and operators meet it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use serde_json::{Value, json};
use service::auth::Bearer;
use service::logs::LogLevel;
use service::proto::control::control_client::ControlClient;
use service::proto::control::{DrainRequest, LogLevelRequest, PauseRequest, StatusRequest};
use service::{Control, Health, admin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

const TOKEN: &str = "a token of the tests";

struct Running {
    address: SocketAddr,
    health: Health,
    control: Control,
    /// What draining cancels.
    shutdown: CancellationToken,
}

async fn start(token: Option<&str>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, health, shutdown) = (listener.local_addr().unwrap(), Health::new(), CancellationToken::new());
    let detail = || json!({"lanes": 64});
    let control = Control::new("tested", "1.2.3", shutdown.clone(), LogLevel::default(), detail);
    let token = token.map(str::to_owned);
    tokio::spawn(admin::serve(listener, health.clone(), control.clone(), token, CancellationToken::new()));
    Running { address, health, control, shutdown }
}

impl Running {
    async fn get(&self, path: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn operator(&self, token: Option<&str>) -> ControlClient<InterceptedService<Channel, Bearer>> {
        let channel = Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap();
        ControlClient::with_interceptor(channel, Bearer::new(token).unwrap())
    }
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let running = start(None).await;
    let journal = running.health.requires("journal");
    let redis = running.health.prefers("redis");
    redis.troubled("connection refused");
    assert_eq!(running.get("/health/live").await.0, 200);
    let (status, told) = running.get("/health/ready").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["missing"], &told["degraded"]), (503, &json!(["journal"]), &json!(["redis"])));

    journal.well();
    let (status, told) = running.get("/health/ready").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["ready"], &told["degraded"]), (200, &json!(true), &json!(["redis"])));
    assert_eq!(running.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn metrics_are_on_the_same_port() {
    let running = start(None).await;
    service::measure::recorder();
    metrics::counter!("tested_things_total", "kind" => "one").increment(3);
    let (status, text) = running.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains(r#"tested_things_total{kind="one"} 3"#), "{text}");
}

#[tokio::test]
async fn an_operator_with_the_token_sees_and_steers() {
    let running = start(Some(TOKEN)).await;
    let mut operator = running.operator(Some(TOKEN)).await;
    let status = operator.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.service.as_str(), status.version.as_str()), ("tested", "1.2.3"));
    assert_eq!(status.detail_json, r#"{"lanes":64}"#);

    let paused = running.control.paused();
    operator.pause(PauseRequest { paused: true }).await.unwrap();
    assert!(*paused.borrow());
    let bad_filter = LogLevelRequest { filter: "queue=loud".to_owned() };
    assert_eq!(operator.log_level(bad_filter).await.unwrap_err().code(), Code::InvalidArgument);

    operator.drain(DrainRequest {}).await.unwrap();
    assert!(running.control.is_draining() && running.shutdown.is_cancelled());
}

#[tokio::test]
async fn nobody_else_does() {
    let guarded = start(Some(TOKEN)).await;
    for token in [None, Some("another token"), Some("a token of the test")] {
        let mut stranger = guarded.operator(token).await;
        assert_eq!(stranger.status(StatusRequest {}).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(stranger.drain(DrainRequest {}).await.unwrap_err().code(), Code::Unauthenticated);
    }

    let without_token = start(None).await;
    let mut local = without_token.operator(None).await;
    assert!(local.status(StatusRequest {}).await.is_ok(), "a look from this machine does no harm");
    assert_eq!(local.drain(DrainRequest {}).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(local.pause(PauseRequest { paused: true }).await.unwrap_err().code(), Code::Unauthenticated);
    assert!(!without_token.shutdown.is_cancelled());
}
