//! `[[connectors]]`: the upstream providers customers may sign in with.
//!
//! The ID is part of the link key of every customer who comes this way: it must never change.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::forms;
use super::problem::Problems;
use super::secret_file::{SecretFiles, no_secret};
use crate::secret::Secret;

/// One `[[connectors]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// Lower case, digits and hyphens: it stands in the callback's path and in the ID mapping.
    #[serde(default)]
    pub id: String,
    /// What the button says.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub kind: ConnectorKind,
    /// Exactly as the provider writes it, slash at the end or not (OpenID Connect Discovery §4.3).
    #[serde(default)]
    pub issuer: String,
    #[serde(default)]
    pub client_id: String,
    /// After loading it also holds what `client_secret_file` said.
    #[serde(default = "no_secret")]
    pub client_secret: Secret<String>,
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    #[serde(default)]
    pub auth_method: ConnectorAuthMethod,
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// How far this provider's word about e-mail addresses goes.
    #[serde(default)]
    pub email_trust: EmailTrust,
    /// Whether a first login that brings an address a customer has proved is linked to them without a question.
    #[serde(default)]
    pub link_automatically: bool,
    /// Asks userinfo at every login, not only when the ID token brings no e-mail address.
    #[serde(default)]
    pub userinfo: bool,
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub logo: Option<Url>,
}

/// The protocol an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorKind {
    /// OpenID Connect with discovery.
    #[default]
    Oidc,
}

/// How we authenticate at the upstream's token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorAuthMethod {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
}

/// What an upstream's statement about an e-mail address is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailTrust {
    /// The provider runs the mailboxes: its `email_verified` proves ownership.
    Authoritative,
    /// The provider has checked the address by mail at some time.
    Verified,
    /// A hint for forms, nothing more.
    #[default]
    Unverified,
}

impl ConnectorConfig {
    pub(super) fn resolve(&mut self, key: &str, files: &SecretFiles, problems: &mut Problems) {
        let key = format!("{key}.client_secret");
        let given = Some(self.client_secret.clone()).filter(|secret| !secret.expose().is_empty());
        let secret = files.fill(&key, given, self.client_secret_file.as_deref(), problems);
        self.client_secret = secret.unwrap_or_else(no_secret);
    }

    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        let at = |member: &str| format!("{key}.{member}");
        if !forms::is_slug(&self.id) {
            problems.add(at("id"), forms::missing_or(&self.id, "is no connector ID"), forms::SLUG);
        }
        if self.name.trim().is_empty() {
            problems.add(at("name"), "is missing", "the text of the button, such as \"Google\"");
        }
        let issuer_fits = Url::parse(&self.issuer).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http") && url.query().is_none() && url.fragment().is_none()
        });
        if !issuer_fits {
            let expected = "an https URL without query or fragment, such as https://accounts.google.com";
            problems.add(at("issuer"), forms::missing_or(&self.issuer, "is no issuer"), expected);
        }
        if self.client_id.is_empty() {
            problems.add(at("client_id"), "is missing", "the client ID the provider gave you");
        }
        if self.client_secret.expose().is_empty() {
            problems.add(at("client_secret"), "is missing", "client_secret or client_secret_file");
        }
        if self.link_automatically && self.email_trust != EmailTrust::Authoritative {
            let what = "is allowed only where the provider runs the mailboxes";
            problems.add(at("link_automatically"), what, "false, or email_trust = \"authoritative\"");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            problems.add(at("scopes"), "lacks openid", "[\"openid\", \"email\", \"profile\"]");
        }
    }
}

fn default_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}
