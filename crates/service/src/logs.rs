//! Logs: structured, to standard error, with a level that can be changed while the service runs.

use std::error::Error;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::args::LogFormat;
use crate::{BadConfig, ServiceArgs};

/// What libraries say too often: the client of Redis tells of every retry. Whoever uses it says once what matters. A filter
/// that names the library hears it nevertheless.
const QUIET: &str = "redis=off";

/// Changes what is logged while the service runs.
#[derive(Clone, Default)]
pub struct LogLevel(Option<reload::Handle<EnvFilter, Registry>>);

impl LogLevel {
    /// Takes a filter as in `CROAK_LOG`; the error says what is wrong with it.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let parsed = filter_of(filter).map_err(|error| error.to_string())?;
        match &self.0 {
            Some(handle) => handle.reload(parsed).map_err(|error| error.to_string()),
            None => Err("this process does not write Croak's logs".to_owned()),
        }
    }
}

/// Starts logging as the flags say.
pub fn init_tracing(args: &ServiceArgs) -> Result<LogLevel, BadConfig> {
    let filter = filter_of(&args.log).map_err(|error| BadConfig(format!("CROAK_LOG={:?}: {error}", args.log)))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match args.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| BadConfig(format!("logging was started twice: {error}")))?;
    Ok(LogLevel(Some(handle)))
}

fn filter_of(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{text}"))
}

/// An error and all that caused it, in one line; a cause that its error has already repeated is not said again.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !line.ends_with(&told) {
            line = line + ": " + &told;
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_joined_from_the_outside_in() {
        let error = anyhow::anyhow!("no such host").context("connecting").context("starting");
        assert_eq!(causes(error.as_ref()), "starting: connecting: no such host");
    }
}
