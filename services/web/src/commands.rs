//! What people do, on its way to a worker.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use rand::seq::SliceRandom;
use service::auth::Bearer;
use service::proto::command::commands_client::CommandsClient;
use service::proto::command::{Command, CommandResult};
use store::Reader;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::cache::ReadCache;

/// A worker that does not take the connection within this time is passed over.
const CONNECT_WITHIN: Duration = Duration::from_millis(800);
/// Longest wait for a command to be executed.
const EXECUTE_WITHIN: Duration = Duration::from_secs(6);
/// Connections that are kept; workers come and go, and each has an address of its own.
const CONNECTIONS_MAX: usize = 64;
/// The role of workers that execute commands.
const ROLE: &str = "command";

/// Sends commands to whichever worker takes them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commands {
    reader: Reader,
    fixed: Option<String>,
    bearer: Bearer,
    /// Workers that take commands, as every page about a group asks.
    known: ReadCache<Vec<String>>,
    /// Connections to workers, which many commands share. One that broke connects again by itself.
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

/// Why there is no answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paused {
    /// No worker took it: nothing was changed.
    NotTaken,
    /// A worker took it, and did not say what became of it: it may hold, or still be under way.
    Unknown,
}

impl Commands {
    pub(crate) fn new(reader: Reader, fixed: Option<String>, token: Option<&str>) -> anyhow::Result<Commands> {
        let bearer = Bearer::new(token).context("CROAK_CONTROL_TOKEN cannot be written in a header")?;
        let known =
            ReadCache::new("workers", 1 << 20, |addresses: &Vec<String>| addresses.iter().map(String::len).sum());
        Ok(Commands { reader, fixed, bearer, known, channels: Arc::default() })
    }

    /// Whether there is somebody to send commands to.
    pub(crate) async fn are_taken(&self) -> bool {
        !self.known().await.is_empty()
    }

    /// Workers that took commands a moment ago.
    async fn known(&self) -> Arc<Vec<String>> {
        let commands = self.clone();
        let known =
            self.known.get("workers", None, || async move { Ok::<_, Infallible>(Some(commands.addresses().await)) });
        known.await.ok().flatten().unwrap_or_default()
    }

    /// Sends one command. The same command may be sent again and to others: its id keeps it from acting twice.
    pub(crate) async fn execute(&self, command: Command) -> Result<CommandResult, Paused> {
        match self.execute_by(self.known().await.to_vec(), &command).await {
            // Those that were known a moment ago may have gone, and others come.
            Err(Paused::NotTaken) => self.execute_by(self.addresses().await, &command).await,
            answered => answered,
        }
    }

    async fn execute_by(&self, mut addresses: Vec<String>, command: &Command) -> Result<CommandResult, Paused> {
        addresses.shuffle(&mut rand::rng());
        let mut paused = Paused::NotTaken;
        for address in addresses {
            match self.send(&address, command.clone()).await {
                Ok(result) => {
                    metrics::counter!("web_commands_total", "outcome" => "answered").increment(1);
                    return Ok(result);
                }
                Err((why, error)) => {
                    metrics::counter!("web_commands_total", "outcome" => "failed").increment(1);
                    tracing::warn!(address, causes = format!("{error:#}"), "a worker did not execute a command");
                    if why == Paused::Unknown {
                        paused = why;
                    }
                }
            }
        }
        Err(paused)
    }

    async fn send(&self, address: &str, command: Command) -> Result<CommandResult, (Paused, anyhow::Error)> {
        let channel = self.channel(address).map_err(|error| (Paused::NotTaken, error))?;
        let mut client = CommandsClient::with_interceptor(channel, self.bearer.clone());
        match client.execute(command).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err((why(&status), anyhow::Error::new(status).context("executing the command"))),
        }
    }

    /// The connection to a worker, made when it is first used.
    fn channel(&self, address: &str) -> anyhow::Result<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        if channels.len() >= CONNECTIONS_MAX {
            channels.clear();
        }
        let channel = Endpoint::from_shared(address.to_owned())
            .context("reading the worker's address")?
            .connect_timeout(CONNECT_WITHIN)
            .timeout(EXECUTE_WITHIN)
            .connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Workers that take commands, as the database says.
    async fn addresses(&self) -> Vec<String> {
        if let Some(fixed) = &self.fixed {
            return vec![fixed.clone()];
        }
        let workers = match self.reader.workers().await {
            Ok(workers) => workers,
            Err(error) => {
                tracing::warn!(causes = service::causes(&error), "cannot look for workers");
                return Vec::new();
            }
        };
        workers
            .into_iter()
            .filter(|worker| worker.roles.iter().any(|role| role == ROLE))
            .filter_map(|worker| worker.command_address)
            .map(|address| if address.contains("://") { address } else { format!("http://{address}") })
            .collect()
    }
}

/// What a failure says of the command: whether the worker did not take it, or rolled it back, or nothing.
fn why(status: &Status) -> Paused {
    let sources = std::iter::successors(std::error::Error::source(status), |error| error.source());
    let is_unreached = sources.filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| {
        use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
        matches!(error.kind(), AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut)
    });
    match status.code() {
        Code::Aborted
        | Code::InvalidArgument
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => Paused::NotTaken,
        _ if is_unreached => Paused::NotTaken,
        _ => Paused::Unknown,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Why a worker at this address does not answer.
    async fn why_of(address: std::net::SocketAddr) -> Paused {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect_timeout(CONNECT_WITHIN).timeout(Duration::from_millis(300)).connect_lazy();
        why(&CommandsClient::new(channel).execute(Command::default()).await.unwrap_err())
    }

    #[tokio::test]
    async fn nothing_was_changed_where_no_worker_took_it_or_the_worker_says_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(why_of(address).await, Paused::Unknown, "it is there and says nothing");
        drop(listener);
        assert_eq!(why_of(address).await, Paused::NotTaken);
        assert_eq!(why(&Status::aborted("rolled back")), Paused::NotTaken);
        assert_eq!(why(&Status::unavailable("the outcome of a commit")), Paused::Unknown);
    }
}
