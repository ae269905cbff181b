//! `[duplicates]`: what becomes of customers that may be one person.
//!
//! Identity specification, rules 38 and 39. How likely it is, the model says (`identity::duplicates`); what an automatic
//! merge needs beyond being switched on is not for a file to lower.

use serde::Deserialize;

use super::problem::Problems;

/// The `[duplicates]` section.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicatesConfig {
    /// Whether customers are weighed as they sign up and change.
    pub follow: bool,
    /// Pairs of this probability or more are put before an admin.
    pub queue: f64,
    /// Pairs of this probability or more are kept.
    pub watch: f64,
    /// Whether a pair that is certain is merged without asking.
    pub automatic: bool,
}

impl DuplicatesConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        if !(self.queue > 0.0 && self.queue <= 1.0) {
            problems.add("duplicates.queue", format!("{} is out of range", self.queue), "above 0, at most 1");
        }
        if !(self.watch > 0.0 && self.watch <= self.queue) {
            problems.add("duplicates.watch", format!("{} is out of range", self.watch), "above 0, at most `queue`");
        }
        if self.automatic && !self.follow {
            let problem = "true, but nobody follows the customers";
            problems.add("duplicates.automatic", problem, "false, or duplicates.follow = true");
        }
    }
}
