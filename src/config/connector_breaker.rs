//! `breaker` of a connector: when a provider that does not answer is left alone for a while, and for how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::forms;
use super::problem::Problems;

const FAILURES: RangeInclusive<u32> = 1..=1000;
const PAUSE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 60);

/// `[connectors.breaker]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// After so many requests in a row without an answer.
    pub failures: u32,
    /// The first pause is at most this long; each further one is longer.
    #[serde(deserialize_with = "forms::duration")]
    pub pause: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(30) }
    }
}

impl BreakerConfig {
    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        if !FAILURES.contains(&self.failures) {
            let problem = format!("{} is out of range", self.failures);
            problems.add(format!("{key}.failures"), problem, format!("{} to {}", FAILURES.start(), FAILURES.end()));
        }
        forms::check_range(problems, &format!("{key}.pause"), self.pause, PAUSE);
    }
}
