//! `[merge]`: when two customers may become one, who must agree, and which values of theirs then count.
//!
//! Identity specification, rules 26, 27, 30 and 32. The rules themselves are in `identity::merge`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::forms;
use super::namespace::NamespacesConfig;
use super::problem::Problems;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Which of several values of a field counts (rule 27).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Survivorship {
    /// The survivor's; where it has none, that of whoever was absorbed first.
    Survivor,
    /// The one written last.
    MostRecent,
    /// The one whose source stands first in `trusted_sources`.
    MostTrusted,
    /// A verified one before an unverified one.
    VerifiedFirst,
    /// The longest, and of a name the one with the most parts.
    MostComplete,
    /// Whoever merges must say. Until then the survivor's.
    Ask,
}

/// What becomes of the absorbed side's sessions (rule 26).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergedSessions {
    /// They go on. After a merge that joins no keys they see their own side only.
    Keep,
    /// They no longer count as authenticated: the next sensitive step asks to sign in. Refresh tokens go on.
    #[default]
    Downgrade,
    /// The same, and refresh tokens end with them.
    End,
}

impl MergedSessions {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Downgrade, Self::End];

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Downgrade => "downgrade",
            Self::End => "end",
        }
    }
}

/// The `[merge]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeConfig {
    /// How long a merge can be undone.
    #[serde(deserialize_with = "forms::duration")]
    pub undo_window: Duration,
    pub sessions: MergedSessions,
    /// For so long after a merge a sector that knew both is told which subject was retired; nothing: never.
    #[serde(deserialize_with = "forms::duration")]
    pub told_for: Duration,
    /// A merge by an admin with this risk or more needs approvals, 0 to 100.
    pub approval_from_risk: u32,
    /// How many others must approve it.
    pub approvals: u32,
    /// A proposal that is not approved in this time lapses.
    #[serde(deserialize_with = "forms::duration")]
    pub proposal_lifetime: Duration,
    /// Below this age somebody is not merged with anybody of this age or above.
    pub adult_age: u32,
    /// Two different IDs of one of these namespaces are two people. `ext:*` stands for all that begin so.
    pub one_id_per_person: Vec<String>,
    /// Customers of these brands are merged with nobody of another brand.
    pub walled_brands: Vec<String>,
    /// Sources of values, the most trusted first: `customer` for what customers entered themselves, else connectors.
    pub trusted_sources: Vec<String>,
    /// For fields without a rule of their own.
    pub survivorship_default: Survivorship,
    /// By field.
    pub survivorship: BTreeMap<String, Survivorship>,
    /// What `[namespaces]` declares, such as how many links of one a customer may have.
    #[serde(skip)]
    pub namespaces: NamespacesConfig,
}

impl MergeConfig {
    /// The rule of a field.
    pub fn rule(&self, field: &str) -> Survivorship {
        self.survivorship.get(field).copied().unwrap_or(self.survivorship_default)
    }

    /// Whether two different IDs of this namespace are two people.
    pub fn is_one_per_person(&self, namespace: &str) -> bool {
        self.one_id_per_person.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => namespace.starts_with(beginning),
            None => pattern == namespace,
        })
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        forms::check_range(problems, "merge.undo_window", self.undo_window, HOUR..=3650 * DAY);
        forms::check_range(problems, "merge.told_for", self.told_for, Duration::ZERO..=3650 * DAY);
        forms::check_range(problems, "merge.proposal_lifetime", self.proposal_lifetime, HOUR..=90 * DAY);
        if self.approval_from_risk > 100 {
            problems.add("merge.approval_from_risk", "is above 100", "0 to 100; 100 asks for almost none");
        }
        if !(1..=10).contains(&self.approvals) {
            problems.add("merge.approvals", format!("{} is out of range", self.approvals), "1 to 10");
        }
        if self.adult_age > 30 {
            problems.add("merge.adult_age", format!("{} is out of range", self.adult_age), "0 to 30");
        }
    }
}
