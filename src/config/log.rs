//! `[log]`: what is logged, and in which form.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::problem::Problems;

/// The `[log]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A level, or directives such as `info,samesake=debug`. The variable `RUST_LOG` overrides it.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        if EnvFilter::try_new(&self.level).is_err() {
            let expected = "error, warn, info, debug, trace, or directives such as \"info,samesake=debug\"";
            problems.add("log.level", format!("`{}` is no log level", self.level), expected);
        }
    }
}
