//! Pausing the workers, so that a backlog waits.

use anyhow::Context as _;
use service::auth::Bearer;
use service::proto::control::PauseRequest;
use service::proto::control::control_client::ControlClient;
use tonic::transport::Channel;

/// Who may tell services what to do.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PauseArgs {
    /// Pauses the workers while notices are sent, so that all of them wait; then is measured what it takes to fold them. Needs --control-token
    #[arg(long, requires = "control_token")]
    pub(crate) pause_workers: bool,
    /// The services' own secret
    #[arg(long, env = "CROAK_CONTROL_TOKEN", hide_env_values = true)]
    control_token: Option<String>,
}

impl PauseArgs {
    /// Does something while these workers are paused. Whatever goes wrong: none of them stays so.
    pub(crate) async fn while_paused<T>(
        &self,
        workers: &[String],
        doing: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let done = match self.tell(workers, true).await {
            Ok(()) => doing.await,
            Err(error) => Err(error),
        };
        let resumed = self.tell(workers, false).await;
        let done = done?;
        resumed?;
        Ok(done)
    }

    /// Pauses or resumes each of these workers.
    async fn tell(&self, workers: &[String], paused: bool) -> anyhow::Result<()> {
        let bearer =
            Bearer::new(self.control_token.as_deref()).context("the control token has letters that none has")?;
        for worker in workers {
            let doing = || format!("{} {worker}", if paused { "pausing" } else { "resuming" });
            let channel =
                Channel::from_shared(worker.clone()).with_context(doing)?.connect().await.with_context(doing)?;
            let mut control = ControlClient::with_interceptor(channel, bearer.clone());
            control.pause(PauseRequest { paused }).await.with_context(doing)?;
        }
        Ok(())
    }
}
