//! `croak health`: whether a service is ready, for health checks of containers and for people.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::output::Output;

/// Longer than a service that is well takes to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks a service whether it is ready. Exit status 0: ready; 3: it answers that it is not; 1: it does not answer.
#[derive(clap::Args, Debug)]
pub(crate) struct Health {
    /// The service's address for health and metrics, like `http://127.0.0.1:9180`
    url: String,
    /// Ask whether it is alive instead of whether it is ready
    #[arg(long)]
    live: bool,
}

impl Health {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let what = if self.live { "live" } else { "ready" };
        let url = format!("{}/health/{what}", self.url.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("asking {url}"))?;
        let is_good = answer.status().is_success();
        let status = answer.status().as_u16();
        let body = answer.text().await.context("reading the answer")?;
        let told = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
        output.show(&serde_json::json!({ "ok": is_good, "status": status, "told": told }), |_| {
            format!("{} {told}", if is_good { what } else { "not" })
        })?;
        Ok(if is_good { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }
}
