//! Exit codes: 0 an orderly stop, 1 a failure, 2 a configuration that cannot work.

use std::process::ExitCode;

/// A configuration that cannot work; the text says what would.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(pub String);

/// Logs how a service ended and turns it into the process's exit code.
pub fn exit_code(ended: anyhow::Result<()>) -> ExitCode {
    let Err(error) = ended else {
        tracing::info!("stopped");
        return ExitCode::SUCCESS;
    };
    let causes = format!("{error:#}");
    if error.chain().any(<dyn std::error::Error>::is::<BadConfig>) {
        tracing::error!(causes, "bad configuration");
        return ExitCode::from(2);
    }
    tracing::error!(causes, "failed");
    ExitCode::FAILURE
}
