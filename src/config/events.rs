//! `[events]`: for how long what happened to customers can be told again.

use std::time::Duration;

use serde::Deserialize;

use super::forms;
use super::problem::Problems;

/// The shortest time: whoever fetches events once a day misses nothing.
const SHORTEST: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The `[events]` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// `None`: for ever.
    #[serde(default, deserialize_with = "forms::optional_duration")]
    pub keep: Option<Duration>,
}

impl EventsConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        if let Some(keep) = self.keep {
            forms::check_range(problems, "events.keep", keep, SHORTEST..=LONGEST);
        }
    }
}
