//! The first layer: what identifiers alone say, for two records to be one person and against it.
//!
//! A rule never outweighs a veto, and never merges by itself: it puts a pair before a steward.

use serde::{Deserialize, Serialize};

use super::compare::shared;
use super::hash::{Map, Set};
use super::records::{Records, Row};

/// Why two records are taken for one person without weighing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Both have proved the same address.
    ProvedEmail,
    /// Both have proved the same number, recently.
    ProvedPhone,
    /// Another system knows both by one ID.
    ExternalId,
}

/// Why two records, or two clusters, may not become one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Veto {
    /// Two birth dates, both verified.
    BirthDates,
    /// More IDs of a namespace than one person may have; where that is one, two different IDs.
    Identifiers,
    /// Somebody said that they are two people.
    NotSame,
}

/// What vetoes are decided by.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// How many IDs of a namespace one person may have, by the namespace's number; 1 makes any two a veto.
    namespaces: Map<u16, u32>,
    not_same: Set<(u128, u128)>,
}

impl Limits {
    /// Sets how many IDs of a namespace one person may have.
    pub fn limit(&mut self, namespace: u16, ids: u32) {
        self.namespaces.insert(namespace, ids);
    }

    /// Remembers that two records are two people's.
    pub fn not_same(&mut self, a: u128, b: u128) {
        self.not_same.insert((a.min(b), a.max(b)));
    }

    /// Why these records may not be one person, looking at every two of them.
    pub fn veto(&self, records: &Records, members: &[u32]) -> Option<Veto> {
        if !self.not_same.is_empty() {
            for (place, a) in members.iter().enumerate() {
                let (rest, a) = (members.iter().skip(place + 1), records.key(*a));
                let pair = |b: &u32| (a.min(records.key(*b)), a.max(records.key(*b)));
                if rest.map(pair).any(|pair| self.not_same.contains(&pair)) {
                    return Some(Veto::NotSame);
                }
            }
        }
        let rows = members.iter().map(|member| records.row(*member));
        let mut verified = rows.filter(|row| row.birth_verified && row.birth != 0).map(|row| row.birth);
        if let Some(first) = verified.next()
            && verified.any(|birth| birth != first)
        {
            return Some(Veto::BirthDates);
        }
        let mut ids: Vec<(u16, u32)> = members.iter().flat_map(|member| records.ids(*member)).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let over = ids.chunk_by(|x, y| x.0 == y.0).any(|of_one| {
            let limit = of_one.first().and_then(|(namespace, _)| self.namespaces.get(namespace));
            limit.is_some_and(|limit| of_one.len() > *limit as usize)
        });
        over.then_some(Veto::Identifiers)
    }
}

/// The rules two records meet; each is one independent proved identifier.
pub fn rules(records: &Records, a: u32, b: u32) -> Vec<Rule> {
    let (row_a, row_b) = (records.row(a), records.row(b));
    let mut met = Vec::new();
    if shared(&proved_emails(&row_a), &proved_emails(&row_b)).next().is_some() {
        met.push(Rule::ProvedEmail);
    }
    if shared(&proved_phones(&row_a), &proved_phones(&row_b)).next().is_some() {
        met.push(Rule::ProvedPhone);
    }
    if records.ids(a).iter().any(|id| records.ids(b).contains(id)) {
        met.push(Rule::ExternalId);
    }
    met
}

fn proved_emails(row: &Row) -> [u32; 3] {
    proved(row.emails, row.proved_emails)
}

fn proved_phones(row: &Row) -> [u32; 3] {
    proved(row.phones, row.proved_phones)
}

fn proved(values: [u32; 3], bits: u8) -> [u32; 3] {
    let [x, y, z] = values;
    let kept = |value: u32, bit: u8| if bits >> bit & 1 == 1 { value } else { 0 };
    [kept(x, 0), kept(y, 1), kept(z, 2)]
}
