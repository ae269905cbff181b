//! What becomes of a scored pair. Precision first: a wrong merge shows one customer to another.

use serde::{Deserialize, Serialize};

use super::rules::{Rule, Veto};
use super::score::Score;

/// What to do with a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Forget it.
    Drop,
    /// Keep it, show it nobody yet: more may become known.
    Watch,
    /// Put it before a steward.
    Queue,
    /// Merge it, where that is switched on.
    Automatic,
}

/// Where bands begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Off unless a company decides otherwise.
    pub automatic: bool,
    pub queue: f64,
    pub watch: f64,
}

/// No policy lowers what an automatic merge needs.
const AUTOMATIC: f64 = 0.999;
const AUTOMATIC_RULES: usize = 2;

impl Default for Policy {
    fn default() -> Self {
        Self { automatic: false, queue: 0.9, watch: 0.3 }
    }
}

impl Policy {
    /// The band of a pair with the rules it meets and the veto against it.
    pub fn band(&self, score: &Score, rules: &[Rule], veto: Option<Veto>) -> Band {
        if veto.is_some() {
            return Band::Drop;
        }
        if self.automatic && score.same >= AUTOMATIC && rules.len() >= AUTOMATIC_RULES {
            return Band::Automatic;
        }
        if score.same >= self.queue || !rules.is_empty() && score.household <= score.same {
            return Band::Queue;
        }
        // A proved identifier that a household shares, or a middling score: worth keeping.
        if score.same >= self.watch || !rules.is_empty() { Band::Watch } else { Band::Drop }
    }
}
