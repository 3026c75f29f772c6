//! What people do, on its way to a worker.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use rand::seq::SliceRandom;
use service::auth::Bearer;
use service::proto::command::commands_client::CommandsClient;
use service::proto::command::{Command, CommandResult};
use store::Reader;
use tonic::transport::Endpoint;

use crate::cache::ReadCache;

/// A worker that does not take the connection within this time is passed over.
const CONNECT_WITHIN: Duration = Duration::from_millis(800);
/// Longest wait for a command to be executed.
const EXECUTE_WITHIN: Duration = Duration::from_secs(6);
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
}

/// No worker took the command, or none said what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paused;

impl Commands {
    pub(crate) fn new(reader: Reader, fixed: Option<String>, token: Option<&str>) -> anyhow::Result<Commands> {
        let bearer = Bearer::new(token).context("CROAK_CONTROL_TOKEN cannot be written in a header")?;
        let known =
            ReadCache::new("workers", 1 << 20, |addresses: &Vec<String>| addresses.iter().map(String::len).sum());
        Ok(Commands { reader, fixed, bearer, known })
    }

    /// Whether there is somebody to send commands to.
    pub(crate) async fn are_taken(&self) -> bool {
        let commands = self.clone();
        let known =
            self.known.get("workers", None, || async move { Ok::<_, Infallible>(Some(commands.addresses().await)) });
        known.await.ok().flatten().is_some_and(|addresses| !addresses.is_empty())
    }

    /// Sends one command. The same command may be sent again and to others: its id keeps it from acting twice.
    pub(crate) async fn execute(&self, command: Command) -> Result<CommandResult, Paused> {
        for address in self.addresses().await {
            match self.send(&address, command.clone()).await {
                Ok(result) => {
                    metrics::counter!("web_commands_total", "outcome" => "answered").increment(1);
                    return Ok(result);
                }
                Err(error) => {
                    metrics::counter!("web_commands_total", "outcome" => "failed").increment(1);
                    tracing::warn!(address, causes = format!("{error:#}"), "a worker did not take a command");
                }
            }
        }
        Err(Paused)
    }

    async fn send(&self, address: &str, command: Command) -> anyhow::Result<CommandResult> {
        let channel = Endpoint::from_shared(address.to_owned())
            .context("reading the worker's address")?
            .connect_timeout(CONNECT_WITHIN)
            .timeout(EXECUTE_WITHIN)
            .connect()
            .await
            .context("connecting to the worker")?;
        let mut client = CommandsClient::with_interceptor(channel, self.bearer.clone());
        Ok(client.execute(command).await.context("executing the command")?.into_inner())
    }

    /// Workers that take commands, in no particular order.
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
        let mut addresses: Vec<String> = workers
            .into_iter()
            .filter(|worker| worker.roles.iter().any(|role| role == ROLE))
            .filter_map(|worker| worker.command_address)
            .map(|address| if address.contains("://") { address } else { format!("http://{address}") })
            .collect();
        addresses.shuffle(&mut rand::rng());
        addresses
    }
}
