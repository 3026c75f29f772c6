//! The control service: how operators see, pause and stop a running service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::auth::Guard;
use crate::logs::LogLevel;
use crate::proto::control::{
    DrainReply, DrainRequest, LogLevelReply, LogLevelRequest, PauseReply, PauseRequest, StatusReply, StatusRequest,
    control_server,
};

/// What an operator can ask of one service. Cheap to clone; the service looks at it, the admin port sets it.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    service: &'static str,
    version: &'static str,
    started: Instant,
    shutdown: CancellationToken,
    draining: AtomicBool,
    paused: watch::Sender<bool>,
    log_level: LogLevel,
    detail: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
}

impl Control {
    /// Control of the service of this name and version. `detail` gives the service's own figures, an object;
    /// draining cancels `shutdown`.
    pub fn new(
        service: &'static str,
        version: &'static str,
        shutdown: CancellationToken,
        log_level: LogLevel,
        detail: impl Fn() -> serde_json::Value + Send + Sync + 'static,
    ) -> Control {
        Control(Arc::new(Inner {
            service,
            version,
            started: Instant::now(),
            shutdown,
            draining: AtomicBool::new(false),
            paused: watch::Sender::new(false),
            log_level,
            detail: Box::new(detail),
        }))
    }

    /// Whether the present stop is to finish everything first, however long that takes.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Tells when an operator stops or resumes the service's work.
    pub fn paused(&self) -> watch::Receiver<bool> {
        self.0.paused.subscribe()
    }

    fn status(&self) -> StatusReply {
        StatusReply {
            service: self.0.service.to_owned(),
            version: self.0.version.to_owned(),
            uptime_ms: u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            paused: *self.0.paused.borrow(),
            draining: self.is_draining(),
            detail_json: (self.0.detail)().to_string(),
        }
    }
}

/// The gRPC side of [`Control`].
pub(crate) struct ControlDoor {
    pub(crate) control: Control,
    pub(crate) guard: Guard,
}

impl ControlDoor {
    /// With a token: who shows it. Without one: nobody, except that a status, which changes nothing, is given
    /// to a peer on this machine. Loopback alone is no proof of anything: a proxy on this machine has it, too.
    fn may_see_status<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let is_local = request.remote_addr().is_some_and(|peer: SocketAddr| peer.ip().to_canonical().is_loopback());
        if !self.guard.is_set() && is_local {
            return Ok(());
        }
        self.guard.check(request.metadata())
    }
}

#[tonic::async_trait]
impl control_server::Control for ControlDoor {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        self.may_see_status(&request)?;
        Ok(Response::new(self.control.status()))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        self.guard.check(request.metadata())?;
        tracing::info!("draining on an operator's order");
        self.control.0.draining.store(true, Ordering::Relaxed);
        self.control.0.shutdown.cancel();
        Ok(Response::new(DrainReply {}))
    }

    async fn pause(&self, request: Request<PauseRequest>) -> Result<Response<PauseReply>, Status> {
        self.guard.check(request.metadata())?;
        let paused = request.into_inner().paused;
        tracing::info!(paused, "pausing or resuming on an operator's order");
        self.control.0.paused.send_replace(paused);
        Ok(Response::new(PauseReply {}))
    }

    async fn log_level(&self, request: Request<LogLevelRequest>) -> Result<Response<LogLevelReply>, Status> {
        self.guard.check(request.metadata())?;
        let filter = request.into_inner().filter;
        self.control.0.log_level.set(&filter).map_err(Status::invalid_argument)?;
        tracing::info!(filter, "log level set on an operator's order");
        Ok(Response::new(LogLevelReply {}))
    }
}
