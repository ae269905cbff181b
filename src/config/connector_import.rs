//! `[connectors.import]`: which of a provider's claims become the customer's own values, when, and what happens where
//! the customer has another value.
//!
//! One action per claim, in the words that matrix-authentication-service uses; `update` is what Keycloak calls the sync
//! mode. What the words do to a profile is decided in `identity::import`. The e-mail address is not among the claims:
//! a provider never changes how a customer is reached (spec/identity.md rule 13).

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::connector_kind::ConnectorKind;
use super::problem::Problems;

/// A claim that can become a customer's own value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importable {
    Name,
    GivenName,
    FamilyName,
    PreferredUsername,
    Picture,
    Locale,
    Birthdate,
}

impl Importable {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::GivenName,
        Self::FamilyName,
        Self::PreferredUsername,
        Self::Picture,
        Self::Locale,
        Self::Birthdate,
    ];

    /// The claim (OpenID Connect Core §5.1), which is also the name of the value in a profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::GivenName => "given_name",
            Self::FamilyName => "family_name",
            Self::PreferredUsername => "preferred_username",
            Self::Picture => "picture",
            Self::Locale => "locale",
            Self::Birthdate => "birthdate",
        }
    }
}

/// Whether and when a claim is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportAction {
    /// Never, and it is not kept beside the link either.
    Ignore,
    /// At the login that makes the link, if the customer has no such value.
    #[default]
    Suggest,
    /// At the login that makes the link, and at each later one as `update` says.
    Force,
    /// The same; a login that does not bring it is refused.
    Require,
}

/// What happens to a forced claim where the customer has another value from another source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The login is refused.
    Fail,
    /// The customer's value stays, and the provider's is kept beside it.
    Add,
    /// The customer's value stays.
    #[default]
    Set,
    /// The provider's value takes its place.
    Replace,
}

/// Whether the logins after the first one change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportUpdate {
    #[default]
    Always,
    Never,
}

/// What is done with one claim: written as the action alone, or as a table with `on_conflict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportRule {
    pub action: ImportAction,
    /// `None`: the default; see [`ImportRule::forced`].
    pub on_conflict: Option<OnConflict>,
}

impl ImportRule {
    /// How the claim is pressed on the customer, if it is.
    pub fn forced(self) -> Option<OnConflict> {
        match self.action {
            ImportAction::Force | ImportAction::Require => Some(self.on_conflict.unwrap_or_default()),
            ImportAction::Ignore | ImportAction::Suggest => None,
        }
    }
}

impl<'de> Deserialize<'de> for ImportRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    action: ImportAction,
    #[serde(default)]
    on_conflict: Option<OnConflict>,
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = ImportRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action, such as \"force\", or { action = \"force\", on_conflict = \"replace\" }")
    }

    fn visit_str<E: de::Error>(self, action: &str) -> Result<ImportRule, E> {
        let action = ImportAction::deserialize(StrDeserializer::<E>::new(action))?;
        Ok(ImportRule { action, on_conflict: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<ImportRule, A::Error> {
        let RuleTable { action, on_conflict } = RuleTable::deserialize(MapAccessDeserializer::new(table))?;
        Ok(ImportRule { action, on_conflict })
    }
}

/// `[connectors.import]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportConfig {
    pub update: ImportUpdate,
    pub name: ImportRule,
    pub given_name: ImportRule,
    pub family_name: ImportRule,
    pub preferred_username: ImportRule,
    pub picture: ImportRule,
    pub locale: ImportRule,
    pub birthdate: ImportRule,
}

impl ImportConfig {
    /// What is done with a claim.
    pub const fn rule(&self, claim: Importable) -> ImportRule {
        match claim {
            Importable::Name => self.name,
            Importable::GivenName => self.given_name,
            Importable::FamilyName => self.family_name,
            Importable::PreferredUsername => self.preferred_username,
            Importable::Picture => self.picture,
            Importable::Locale => self.locale,
            Importable::Birthdate => self.birthdate,
        }
    }

    pub(super) fn check(&self, kind: ConnectorKind, key: &str, problems: &mut Problems) {
        use Importable::{FamilyName, GivenName, Name};
        for claim in Importable::ALL {
            let rule = self.rule(claim);
            let at = format!("{key}.{}", claim.as_str());
            if rule.on_conflict.is_some() && rule.forced().is_none() {
                let problem = "says nothing to an action that never overrules the customer";
                problems.add(format!("{at}.on_conflict"), problem, "it only with action force or require");
            }
            let said_once = kind == ConnectorKind::Apple && matches!(claim, Name | GivenName | FamilyName);
            if said_once && rule.action == ImportAction::Require {
                problems.add(
                    at,
                    "cannot be required: Apple says it at the first login only",
                    "\"force\" or \"suggest\"",
                );
            }
        }
    }
}
