//! A customer's own values: each knows which link it came from and since when (spec/identity.md rule 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ids::LinkId;
use crate::protocol::claims::{ProfileClaims, UserinfoClaims};

/// One value of a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub value: Value,
    /// The link that delivered it; the customer's own entry if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LinkId>,
    pub at: Timestamp,
    /// What other links say, where the configuration keeps it beside: one value per link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
}

/// A value that is not the customer's, but that one of their links delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    pub value: Value,
    pub from: LinkId,
    pub at: Timestamp,
}

/// The most values beside one of the customer's.
const MAX_BESIDE: usize = 8;

/// A profile, by claim name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(BTreeMap<String, Attribute>);

impl Profile {
    /// Sets a value, if there is one. What stands beside it stays.
    pub fn set(&mut self, name: &str, value: Option<impl Into<Value>>, from: Option<LinkId>, at: Timestamp) {
        if let Some(value) = value {
            let beside = self.0.remove(name).map(|before| before.beside).unwrap_or_default();
            self.0.insert(name.to_owned(), Attribute { value: value.into(), from, at, beside });
        }
    }

    /// A value and where it came from.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.get(name)
    }

    /// Keeps what a link says beside a value of the customer's, in place of what it said before. `false` if it is there
    /// already, there is no value, or there are too many beside it.
    pub(super) fn keep_beside(&mut self, name: &str, value: Value, from: LinkId, at: Timestamp) -> bool {
        let Some(own) = self.0.get_mut(name) else { return false };
        let room = own.beside.len() < MAX_BESIDE;
        match own.beside.iter_mut().find(|beside| beside.from == from) {
            Some(same) if same.value == value => return false,
            Some(older) => *older = Beside { value, from, at },
            None if room => own.beside.push(Beside { value, from, at }),
            None => return false,
        }
        true
    }

    /// Takes what former links of an account brought for what its link of today brought. `false` if they brought nothing.
    pub(super) fn take_for(&mut self, former: &[LinkId], link: LinkId) -> bool {
        let mut changed = false;
        for own in self.0.values_mut() {
            if own.from.is_some_and(|from| former.contains(&from)) {
                own.from = Some(link);
                changed = true;
            }
            let before = own.beside.len();
            own.beside.retain(|beside| !former.contains(&beside.from));
            changed |= own.beside.len() < before;
        }
        changed
    }

    /// Takes out the values of which this is true, each with what says whether it is verified. What another link says
    /// beside one takes its place.
    pub(super) fn part(&mut self, is_gone: impl Fn(&str, &Attribute) -> bool) -> Self {
        let gone: Vec<String> =
            self.0.iter().filter(|(name, value)| is_gone(name, value)).map(|(name, _)| name.clone()).collect();
        let mut parted = Self::default();
        for name in gone.iter().flat_map(|name| [name.clone(), format!("{name}_verified")]) {
            let Some(value) = self.0.remove(&name) else { continue };
            let mut beside = value.beside.into_iter();
            if let Some(next) = beside.next() {
                let Beside { value, from, at } = next;
                let next = Attribute { value, from: Some(from), at, beside: beside.collect() };
                self.0.insert(name.clone(), next);
            }
            parted.0.insert(name, Attribute { value: value.value, from: value.from, at: value.at, beside: Vec::new() });
        }
        parted
    }

    /// Takes over those values of another profile that are wanted and not there; answers their names.
    pub(super) fn fill(&mut self, other: Self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut filled = Vec::new();
        for (name, value) in other.0 {
            if is_wanted(&name) && !self.0.contains_key(&name) {
                filled.push(name.clone());
                self.0.insert(name, value);
            }
        }
        filled
    }

    /// Whether there is no value at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what a link says beside a value; `false` if it says nothing.
    pub(super) fn forget_beside(&mut self, name: &str, from: LinkId) -> bool {
        let Some(own) = self.0.get_mut(name) else { return false };
        let before = own.beside.len();
        own.beside.retain(|beside| beside.from != from);
        own.beside.len() < before
    }

    /// The text of a value.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.value.as_str().map(str::to_owned)
    }

    /// Whether a value is there and true.
    pub fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|attribute| attribute.value == Value::Bool(true))
    }

    /// Every value, by claim name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, attribute)| (name.as_str(), attribute))
    }

    /// The stored form.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// From the stored form; what cannot be read is not there.
    pub fn from_json(json: &Value) -> Self {
        serde_json::from_value(json.clone()).unwrap_or_default()
    }

    fn updated_at(&self) -> Option<i64> {
        self.0.values().map(|attribute| attribute.at).max().map(Timestamp::seconds)
    }
}

/// All standard claims of a stored profile; the caller narrows them to a scope.
pub fn claims(stored: &Value, sub: String) -> UserinfoClaims {
    let profile = Profile::from_json(stored);
    UserinfoClaims {
        sub,
        profile: ProfileClaims {
            name: profile.text("name").or_else(|| full_name(&profile)),
            given_name: profile.text("given_name"),
            family_name: profile.text("family_name"),
            preferred_username: profile.text("preferred_username"),
            picture: profile.text("picture"),
            locale: profile.text("locale"),
            updated_at: profile.updated_at(),
        },
        email: profile.text("email"),
        email_verified: profile
            .0
            .get("email")
            .map(|_| profile.0.get("email_verified").is_some_and(|verified| verified.value == Value::Bool(true))),
        phone_number: profile.text("phone_number"),
        phone_number_verified: None,
        merged_from: Vec::new(),
    }
}

fn full_name(profile: &Profile) -> Option<String> {
    match (profile.text("given_name"), profile.text("family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    }
}
