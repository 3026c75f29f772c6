//! The admin port: `/health/live`, `/health/ready`, `/metrics` and the control gRPC, all on one address.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::auth::Guard;
use crate::control::{Control, ControlDoor};
use crate::health::Health;
use crate::measure;
use crate::process;
use crate::proto::control::control_server::ControlServer;

/// Longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Calls at a time on one connection.
const CALLS_MAX: usize = 16;
/// A peer that does not answer a ping for this long is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Once told to stop, how long open connections may hold the port.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Serves health, metrics and control until `shutdown`. Services stop it last, so that a stop can be watched.
///
/// Health and metrics are open to whoever reaches the port (loopback unless told otherwise); control is open to
/// whoever shows `token`.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    control: Control,
    token: Option<String>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let recorder = measure::recorder();
    let door = ControlDoor { control, guard: Guard::new(token) };
    let routes = Routes::from(pages(health, recorder.clone())).add_service(ControlServer::new(door));
    let server = Server::builder()
        .accept_http1(true)
        .timeout(ANSWER_MAX)
        .concurrency_limit_per_connection(CALLS_MAX)
        .http2_keepalive_interval(Some(PING_TIMEOUT))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown.cancelled());

    tokio::select! {
        ended = server => Ok(ended?),
        () = keep_up(recorder) => Ok(()),
        // Connections that are open but idle would hold an orderly end for ever.
        () = async { shutdown.cancelled().await; tokio::time::sleep(STOP_WITHIN).await } => Ok(()),
    }
}

fn pages(health: Health, recorder: PrometheusHandle) -> Router {
    Router::new()
        .route("/health/live", get(async || Json(json!({ "live": true }))))
        .route("/health/ready", get(ready).with_state(health))
        .route("/metrics", get(metrics_page).with_state(recorder))
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let ready = health.ready();
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready))
}

async fn metrics_page(State(recorder): State<PrometheusHandle>) -> impl IntoResponse {
    let page = recorder.render() + &process::metrics();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}

async fn keep_up(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(measure::UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}
