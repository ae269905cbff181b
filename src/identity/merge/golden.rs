//! The golden record: which values of its members count for a customer (spec/identity.md rules 22 and 27).
//!
//! A pure function of the members' own rows: a merge copies nothing, so that undoing one is exact. Values that belong
//! together, such as an address and whether it is verified, come from one row. Works on the stored form of a profile:
//! name of the field to `{"value": …, "at": …, "source": …}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{MergeConfig, Survivorship};
use crate::ids::CustomerId;
use crate::store::Member;

/// Fields that come from one row together; the first names the rule.
const TOGETHER: &[&[&str]] = &[
    &["email", "email_verified"],
    &["phone_number", "phone_number_verified"],
    &["birthdate", "birthdate_verified"],
    &["name", "given_name", "family_name"],
];

/// One row's value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub customer: CustomerId,
    pub value: Value,
    pub verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A field with the values to choose from and the one that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub rule: Survivorship,
    /// In the order of the rows: the survivor's first.
    pub candidates: Vec<Candidate>,
    /// The row whose value counts.
    pub chosen: CustomerId,
    /// Whether somebody said so, rather than the rule.
    pub by_choice: bool,
}

impl Field {
    /// Whether the rows do not agree.
    pub fn differs(&self) -> bool {
        self.candidates.windows(2).any(|pair| matches!(pair, [one, other] if one.value != other.value))
    }
}

/// The fields of a customer whose rows are these, the top one first, each with what counts.
pub fn fields(rows: &[&Member], config: &MergeConfig, choices: &BTreeMap<String, CustomerId>) -> Vec<Field> {
    let mut leads: Vec<&str> =
        rows.iter().filter_map(|row| row.profile.as_object()).flat_map(Map::keys).map(|name| lead(name)).collect();
    leads.sort_unstable();
    leads.dedup();
    leads.into_iter().filter_map(|name| field(name, rows, config, choices)).collect()
}

/// What was decided at the merges that these rows went through, the outermost last.
pub fn choices_of(rows: &[&Member]) -> BTreeMap<String, CustomerId> {
    let mut all = BTreeMap::new();
    for row in rows.iter().rev() {
        let made = row.choices.as_ref().and_then(|made| serde_json::from_value(made.clone()).ok());
        all.extend(made.unwrap_or_else(BTreeMap::<String, CustomerId>::new));
    }
    all
}

/// The profile in its stored form: of one row its own, of several what counts.
pub fn record(rows: &[&Member], config: &MergeConfig) -> Value {
    let [first, _, ..] = rows else { return rows.first().map(|row| row.profile.clone()).unwrap_or_default() };
    let mut profile = Map::new();
    for field in fields(rows, config, &choices_of(rows)) {
        let row = rows.iter().find(|row| row.id == field.chosen).unwrap_or(first);
        for name in group(&field.name) {
            if let Some(value) = row.profile.get(name) {
                profile.insert(name.to_owned(), value.clone());
            }
        }
    }
    Value::Object(profile)
}

/// The field that names the rule for this one.
pub(super) fn lead(name: &str) -> &str {
    TOGETHER.iter().find(|group| group.contains(&name)).and_then(|group| group.first()).map_or(name, |lead| lead)
}

/// All fields that come along with this one.
fn group(lead: &str) -> Vec<&str> {
    let together = TOGETHER.iter().find(|group| group.first().is_some_and(|first| *first == lead));
    together.map_or_else(|| vec![lead], |group| group.to_vec())
}

fn field(name: &str, rows: &[&Member], config: &MergeConfig, choices: &BTreeMap<String, CustomerId>) -> Option<Field> {
    let rule = config.rule(name);
    let candidates: Vec<Candidate> = rows.iter().filter_map(|row| candidate(name, row)).collect();
    let said = choices.get(name).filter(|said| candidates.iter().any(|candidate| candidate.customer == **said));
    let chosen = match said {
        Some(said) => *said,
        None => best(rule, &candidates, config)?.customer,
    };
    Some(Field { name: name.to_owned(), rule, candidates, chosen, by_choice: said.is_some() })
}

/// Of equals the first, which is the survivor's or that of whoever was absorbed first.
fn best<'a>(rule: Survivorship, candidates: &'a [Candidate], config: &MergeConfig) -> Option<&'a Candidate> {
    let rank = |candidate: &Candidate| -> i64 {
        match rule {
            Survivorship::Survivor | Survivorship::Ask => 0,
            Survivorship::MostRecent => candidate.at.unwrap_or(i64::MIN),
            Survivorship::MostTrusted => -trust(candidate, config),
            Survivorship::VerifiedFirst => i64::from(candidate.verified),
            Survivorship::MostComplete => completeness(&candidate.value),
        }
    };
    let most = candidates.iter().map(rank).max()?;
    candidates.iter().find(|candidate| rank(candidate) == most)
}

/// The place in the list of trusted sources; whoever is not in it comes last.
fn trust(candidate: &Candidate, config: &MergeConfig) -> i64 {
    let source = candidate.source.as_deref().unwrap_or("customer");
    let at = config.trusted_sources.iter().position(|trusted| trusted == source);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(i64::MAX)
}

fn completeness(value: &Value) -> i64 {
    let length = match value {
        Value::Null => 0,
        Value::String(text) => text.chars().count() + 1000 * text.split_whitespace().count(),
        Value::Object(parts) => 1000 * parts.values().filter(|part| !part.is_null()).count(),
        _ => 1,
    };
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn candidate(name: &str, row: &Member) -> Option<Candidate> {
    let present: Vec<&Value> = group(name).into_iter().filter_map(|name| row.profile.get(name)).collect();
    let lead = row.profile.get(name).or_else(|| present.first().copied())?;
    let value = match name {
        // A name in parts stands for the whole.
        "name" if row.profile.get(name).is_none() => parts_of_a_name(row),
        _ => lead.get("value").cloned().unwrap_or_default(),
    };
    let verified = row.profile.get(format!("{name}_verified")).is_some_and(|verified| verified["value"] == true);
    let source = lead.get("source").and_then(Value::as_str).map(str::to_owned);
    let source = source.or_else(|| lead.get("from").is_some().then(|| "link".to_owned()));
    let at = present.iter().filter_map(|value| value.get("at")?.as_i64()).max();
    Some(Candidate { customer: row.id, value, verified, at, source })
}

fn parts_of_a_name(row: &Member) -> Value {
    let part = |name: &str| row.profile.get(name).and_then(|part| part.get("value")?.as_str().map(str::to_owned));
    let parts: Vec<String> = [part("given_name"), part("family_name")].into_iter().flatten().collect();
    Value::String(parts.join(" "))
}

#[cfg(test)]
mod tests;
