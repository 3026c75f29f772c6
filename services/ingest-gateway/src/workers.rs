//! Workers of role command, which do what needs a database.

use std::sync::Arc;
use std::time::Duration;

use futures::SinkExt as _;
use futures::channel::mpsc;
use service::BadConfig;
use service::auth::Bearer;
use service::http::Body;
use service::proto::sentry_api::call_part::Part;
use service::proto::sentry_api::sentry_api_client::SentryApiClient;
use service::proto::sentry_api::{CallAnswer, CallHead, CallPart};
use tokio::sync::Semaphore;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::rejection::Rejection;

/// Calls at a time: nothing that is uploaded may take what notices need.
const CALLS_MAX: usize = 16;
/// A worker that does not take the connection within this time is passed over.
const CONNECT_WITHIN: Duration = Duration::from_millis(800);
/// Longest time of a call, its body included.
const CALL_WITHIN: Duration = Duration::from_secs(90);
/// Pieces of a body that wait for the worker; each has at most what the listener reads at a time.
const PIECES_MAX: usize = 2;

type Client = SentryApiClient<InterceptedService<Channel, Bearer>>;

/// Passes calls on to whichever worker takes them.
pub(crate) struct Workers {
    endpoints: Vec<Endpoint>,
    bearer: Bearer,
    calls: Arc<Semaphore>,
}

impl Workers {
    pub(crate) fn new(urls: &[String], token: Option<&str>) -> Result<Workers, BadConfig> {
        let endpoint = |url: &String| {
            let endpoint = Endpoint::from_shared(url.clone());
            endpoint.map_err(|error| BadConfig(format!("CROAK_COMMAND_URL={url}: {}", service::causes(&error))))
        };
        let bearer = Bearer::new(token)
            .ok_or_else(|| BadConfig("CROAK_CONTROL_TOKEN cannot be written in a header".to_owned()))?;
        Ok(Workers {
            endpoints: urls.iter().map(endpoint).collect::<Result<_, _>>()?,
            bearer,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        })
    }

    /// Passes one call on, and its body while it arrives: only a few pieces of it are in memory at a time.
    ///
    /// A body that was passed on is gone, so the call is not tried again with another worker: its client does that.
    pub(crate) async fn call(
        &self,
        head: CallHead,
        body: &mut Body,
        bytes_max: usize,
    ) -> Result<CallAnswer, Rejection> {
        let _turn = self.calls.try_acquire().map_err(|_| Rejection::Busy)?;
        tokio::time::timeout(CALL_WITHIN, self.pass_on(head, body, bytes_max)).await.unwrap_or_else(|_| {
            tracing::warn!("a worker did not answer a call in time");
            Err(Rejection::NoWorker)
        })
    }

    async fn pass_on(&self, head: CallHead, body: &mut Body, bytes_max: usize) -> Result<CallAnswer, Rejection> {
        let mut client = self.connect().await.ok_or(Rejection::NoWorker)?;
        let (mut parts, call) = mpsc::channel(PIECES_MAX);
        let mut calling = std::pin::pin!(client.call(call));
        let feeding = async move {
            let mut bytes = 0;
            let mut next = Some(Part::Head(head));
            while let Some(part) = next {
                // Nobody reads any more: the answer is there, or the worker is gone.
                if parts.send(CallPart { part: Some(part) }).await.is_err() {
                    return Ok(());
                }
                next = body.next_piece().await?.map(|piece| Part::Body(piece.into()));
                if let Some(Part::Body(piece)) = &next {
                    bytes += piece.len();
                    if bytes > bytes_max {
                        return Err(Rejection::TooLarge { bytes_max });
                    }
                }
            }
            Ok(())
        };
        let answered = tokio::select! {
            answered = &mut calling => answered,
            // Without an end of the body: the call is dropped, and with it cancelled.
            fed = feeding => {
                fed?;
                calling.await
            }
        };
        answered.map(tonic::Response::into_inner).map_err(|status| {
            tracing::warn!(code = ?status.code(), told = status.message(), "a worker did not answer a call");
            Rejection::NoWorker
        })
    }

    async fn connect(&self) -> Option<Client> {
        for endpoint in &self.endpoints {
            match endpoint.clone().connect_timeout(CONNECT_WITHIN).connect().await {
                Ok(channel) => return Some(SentryApiClient::with_interceptor(channel, self.bearer.clone())),
                Err(error) => {
                    tracing::warn!(address = %endpoint.uri(), causes = service::causes(&error), "a worker cannot be reached");
                }
            }
        }
        None
    }
}
