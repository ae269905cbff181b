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
}

/// A profile, by claim name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(BTreeMap<String, Attribute>);

impl Profile {
    /// Sets a value, if there is one.
    pub fn set(&mut self, name: &str, value: Option<impl Into<Value>>, from: Option<LinkId>, at: Timestamp) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), Attribute { value: value.into(), from, at });
        }
    }

    /// The text of a value.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.value.as_str().map(str::to_owned)
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
    }
}

fn full_name(profile: &Profile) -> Option<String> {
    match (profile.text("given_name"), profile.text("family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    }
}
