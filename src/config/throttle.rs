//! `[throttle]`: how often one may try a password, or have mail sent.
//!
//! Protocol specification, rule 50. What is counted, and by what, is in `credential::throttle`; here are the numbers.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::forms;
use super::problem::Problems;
use super::section::Named;

const MOST: u64 = 1_000_000;
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// Each limit is a counter in every attempt's round trip.
const MOST_LIMITS: usize = 5;

/// At most so many in each window. Windows begin at whole multiples of their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub most: u64,
    pub window: Duration,
}

/// The limits of one action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Per account, all browsers unknown to it together.
    pub account: Vec<Limit>,
    /// Per account and browser known to it.
    pub known_browser: Vec<Limit>,
    /// Per network (/24 or /64), browsers unknown to the account they try. A company or a mobile carrier may stand
    /// behind one, so these are wide.
    pub network: Vec<Limit>,
}

/// The limits of every action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThrottlePolicy {
    pub password: Limits,
    pub mail: Limits,
}

impl ThrottlePolicy {
    pub(super) fn new(tables: Vec<Named<Limits>>, problems: &mut Problems) -> Self {
        let mut policy = Self::default();
        for (key, limits) in tables {
            match key.as_str() {
                "throttle.password" => policy.password = limits,
                "throttle.mail" => policy.mail = limits,
                _ => problems.add(key, "is not a known key", "password or mail"),
            }
        }
        policy
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        for (action, limits) in [("password", &self.password), ("mail", &self.mail)] {
            let lists =
                [("account", &limits.account), ("known_browser", &limits.known_browser), ("network", &limits.network)];
            for (name, list) in lists {
                let key = format!("throttle.{action}.{name}");
                if list.is_empty() || list.len() > MOST_LIMITS {
                    problems.add(&key, format!("has {} limits", list.len()), "1 to 5, such as [\"10/5m\", \"100/1d\"]");
                }
                for (index, limit) in list.iter().enumerate() {
                    let is_sound =
                        (1..=MOST).contains(&limit.most) && limit.window <= LONGEST && limit.window.as_secs() > 0;
                    if !is_sound {
                        let expected = "1 to 1000000 in \"1s\" to \"31d\"";
                        problems.add(format!("{key}[{index}]"), "is out of range", expected);
                    }
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = |(most, window): (&str, &str)| {
            Some(Self { most: most.trim().parse().ok()?, window: forms::parse_duration(window.trim())? })
        };
        text.split_once('/').and_then(read).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no limit; expected a number and a time, such as \"10/5m\""))
        })
    }
}
