//! Logs: lines for people or JSON for machines, on standard error.
//!
//! Standard output belongs to what a command prints. The variable `RUST_LOG` overrides the configured level. Messages
//! carry no tokens and no addresses of people; that is the duty of who logs.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// The variable that overrides the configured level.
pub const LEVEL_VARIABLE: &str = "RUST_LOG";

/// Why there will be no logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable `RUST_LOG` (or the configured level) cannot be read.
    #[error("{LEVEL_VARIABLE}: {0}; expected a level or directives, such as info,samesake=debug")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Logs were started before.
    #[error("logs cannot be started: {0}")]
    Started(#[from] TryInitError),
}

/// Starts the logs of this process.
///
/// # Errors
/// If the level cannot be read, or logs were started before.
pub fn init(config: &LogConfig) -> Result<(), Error> {
    let filter = filter(config, std::env::var(LEVEL_VARIABLE).ok().as_deref())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).finish().try_init()?,
    }
    Ok(())
}

/// The environment's level if it is set and not empty, else the configured one.
fn filter(config: &LogConfig, environment: Option<&str>) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(environment.filter(|text| !text.trim().is_empty()).unwrap_or(&config.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_the_configured_level() {
        let config = LogConfig { format: LogFormat::Text, level: "warn".to_owned() };
        for (environment, wanted) in
            [(None, "warn"), (Some(""), "warn"), (Some("debug"), "debug"), (Some("samesake=trace"), "samesake=trace")]
        {
            assert_eq!(filter(&config, environment).unwrap().to_string(), wanted, "{environment:?}");
        }
        assert!(filter(&config, Some("samesake=loud")).is_err());
    }
}
