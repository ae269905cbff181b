//! Why two customers cannot be merged, each by its name (spec/identity.md rules 27, 29, 30, 35, 37).
//!
//! Pure: what speaks against a merge is read off the rows of both. Nothing here is a matter of degree; that is the
//! risk's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Facts, Side};
use super::tree::Tree;
use super::{Initiator, PlanRequest};
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::identity::brand;
use crate::identity::namespace::Namespace;
use crate::ids::CustomerId;
use crate::store::{CustomerState, Link, MOST_MEMBERS, Member};

/// How fresh a customer's proofs of both sides must be.
const PROOF_LIFETIME: std::time::Duration = std::time::Duration::from_secs(10 * 60);

/// One thing that speaks against a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// A suspension is not washed off.
    Blocked {
        customer: CustomerId,
    },
    Erased {
        customer: CustomerId,
    },
    LegalHold {
        customer: CustomerId,
    },
    MinorWithAdult,
    WalledBrands {
        brands: Vec<String>,
    },
    /// An admin merges nobody with themselves.
    Oneself,
    /// One of the two has rights that the other would come into.
    UpwardInRights {
        customer: CustomerId,
    },
    /// Somebody found these two not to be the same person.
    NotSame {
        a: CustomerId,
        b: CustomerId,
    },
    TwoBirthDates,
    /// One namespace, two IDs, each of which stands for one person.
    TwoIds {
        namespace: String,
    },
    /// More links of a namespace than one customer may have.
    OverLimit {
        namespace: String,
        most: u32,
    },
    /// More rows than one customer may be made of.
    TooMany,
    /// The customer has not proved the whole of both sides within ten minutes.
    NotProved,
    /// The time in which this could be undone is over.
    TooLate,
}

impl Refusal {
    /// The name by which the rules and the interface know it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Blocked { .. } => "blocked",
            Self::Erased { .. } => "erased",
            Self::LegalHold { .. } => "legal hold",
            Self::MinorWithAdult => "minor with adult",
            Self::WalledBrands { .. } => "walled brands",
            Self::Oneself => "oneself",
            Self::UpwardInRights { .. } => "upward in rights",
            Self::NotSame { .. } => "not same",
            Self::TwoBirthDates => "two verified birth dates",
            Self::TwoIds { .. } => "two different immutable IDs",
            Self::OverLimit { .. } => "over the limit of a namespace",
            Self::TooMany => "too many rows",
            Self::NotProved => "not proved",
            Self::TooLate => "too late",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { customer } | Self::Erased { customer } | Self::LegalHold { customer } => {
                write!(f, "{}: {customer}", self.name())
            }
            Self::UpwardInRights { customer } => write!(f, "{}: {customer} is an administrator", self.name()),
            Self::WalledBrands { brands } => write!(f, "{}: {}", self.name(), brands.join(", ")),
            Self::NotSame { a, b } => write!(f, "{}: {a} and {b}", self.name()),
            Self::TwoIds { namespace } => write!(f, "{}: {namespace}", self.name()),
            Self::OverLimit { namespace, most } => write!(f, "{}: {namespace} allows {most}", self.name()),
            Self::MinorWithAdult
            | Self::Oneself
            | Self::TwoBirthDates
            | Self::TooMany
            | Self::NotProved
            | Self::TooLate => f.write_str(self.name()),
        }
    }
}

/// Everything that speaks against a merge.
pub(super) fn refusals(config: &MergeConfig, request: &PlanRequest, facts: &Facts, now: Timestamp) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let rows: Vec<&Member> = facts.rows().collect();
    for row in &rows {
        let customer = row.id;
        match row.state {
            CustomerState::Blocked => refusals.push(Refusal::Blocked { customer }),
            CustomerState::Erased => refusals.push(Refusal::Erased { customer }),
            CustomerState::Active | CustomerState::Merged => {}
        }
        if row.legal_hold.is_some() {
            refusals.push(Refusal::LegalHold { customer });
        }
    }
    refusals.extend(facts.not_same.iter().map(|pair| Refusal::NotSame { a: pair.a, b: pair.b }));
    refusals.extend(initiator(request, facts, &rows, now));
    refusals.extend(brand::walls(config, rows.iter().filter_map(|row| row.brand.as_deref())));
    refusals.extend(births(config, facts, now));
    refusals.extend(links(config, facts));
    if rows.len() > MOST_MEMBERS {
        refusals.push(Refusal::TooMany);
    }
    refusals
}

fn initiator(request: &PlanRequest, facts: &Facts, rows: &[&Member], now: Timestamp) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    match &request.by {
        Initiator::Customer { proved } => {
            let stale = proved.iter().any(|at| *at > now || now.since(*at) > PROOF_LIFETIME);
            // Who proved one side of an earlier merge has not proved the whole that would be joined.
            let whole = |side: &Side, id| Tree::new(&side.rows).leader(id) == side.root;
            let all = whole(&facts.survivor, request.survivor) && whole(&facts.absorbed, request.absorbed);
            if stale || !all {
                refusals.push(Refusal::NotProved);
            }
        }
        Initiator::Admin { customer, .. } => {
            if rows.iter().any(|row| Some(row.id) == *customer) {
                refusals.push(Refusal::Oneself);
            }
        }
        Initiator::Rule { .. } | Initiator::Operator { .. } => {}
    }
    if !matches!(request.by, Initiator::Operator { .. } | Initiator::Customer { .. }) {
        refusals.extend(facts.staff.iter().map(|customer| Refusal::UpwardInRights { customer: *customer }));
    }
    refusals
}

fn births(config: &MergeConfig, facts: &Facts, now: Timestamp) -> Vec<Refusal> {
    let text = |row: &Member| row.profile.get("birthdate")?.get("value")?.as_str().map(str::to_owned);
    let verified =
        |row: &&Member| row.profile.get("birthdate_verified").is_some_and(|verified| verified["value"] == true);
    let mut refusals = Vec::new();
    let proved: BTreeSet<String> = facts.rows().filter(verified).filter_map(text).collect();
    if proved.len() > 1 {
        refusals.push(Refusal::TwoBirthDates);
    }
    let ages = |side: &Side| -> Vec<bool> {
        side.rows.iter().filter_map(text).filter_map(|born| is_minor(&born, config.adult_age, now)).collect()
    };
    let (one, other) = (ages(&facts.survivor), ages(&facts.absorbed));
    if one.iter().any(|minor| other.iter().any(|other| minor != other)) {
        refusals.push(Refusal::MinorWithAdult);
    }
    refusals
}

/// Whether somebody born on this day (`YYYY-MM-DD`, OpenID Connect Core §5.1) is below an age; `None` if it is no day.
fn is_minor(born: &str, adult_age: u32, now: Timestamp) -> Option<bool> {
    let mut parts = born.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let today = now.to_string();
    let mut today = today.get(..10)?.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let today = (today.next()??, today.next()??, today.next()??);
    Some((year + adult_age, month, day) > today)
}

/// Namespaces that say too much or hold too much. Hints and browsers are no reason: they prove nothing.
fn links(config: &MergeConfig, facts: &Facts) -> Vec<Refusal> {
    let mut by_namespace: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut sides: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
    for (at, side) in [&facts.survivor, &facts.absorbed].into_iter().enumerate() {
        let is_browser = |link: &Link| matches!(Namespace::parse(&link.namespace), Some(Namespace::Visitor(_)));
        for link in side.links.iter().filter(|link| link.exclusive && !is_browser(link)) {
            by_namespace.entry(&link.namespace).or_default().insert(&link.external_id);
            if let Some(has) = sides.entry(&link.namespace).or_default().get_mut(at) {
                *has = true;
            }
        }
    }
    let mut refusals = Vec::new();
    for (namespace, ids) in by_namespace {
        if sides.get(namespace) != Some(&[true, true]) {
            continue;
        }
        if config.is_one_per_person(namespace) {
            refusals.push(Refusal::TwoIds { namespace: namespace.to_owned() });
        }
        let most = config.namespaces.policy(namespace).live;
        if u32::try_from(ids.len()).unwrap_or(u32::MAX) > most {
            refusals.push(Refusal::OverLimit { namespace: namespace.to_owned(), most });
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minor_is_one_until_the_birthday() {
        let now = Timestamp::from_seconds(1_795_000_000); // 18 November 2026
        assert!(now.to_string().starts_with("2026-11-18"), "{now}");
        assert_eq!(is_minor("2008-11-18", 18, now), Some(false));
        assert_eq!(is_minor("2008-11-19", 18, now), Some(true));
        for nothing in ["", "0000-01-02", "2008", "2008-13-01", "x-y-z"] {
            assert_eq!(is_minor(nothing, 18, now), None, "{nothing}");
        }
    }
}
