//! `[[connectors]]`: the upstream providers customers may sign in with.
//!
//! The ID is part of the link key of every customer who comes this way: it must never change. A key that says nothing
//! to a kind is refused there, because whoever wrote it believes that it does something.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::ask_email::AskEmail;
use super::birthdate_trust::BirthdateTrust;
use super::connector_breaker::BreakerConfig;
use super::connector_import::ImportConfig;
use super::connector_kind::ConnectorKind;
use super::connector_level::LevelRule;
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
    /// Exactly as the provider writes it, slash at the end or not (OpenID Connect Discovery §4.3). For `microsoft` the
    /// part before the tenant. Empty: the one the kind knows.
    #[serde(default)]
    pub issuer: String,
    #[serde(default)]
    pub client_id: String,
    /// After loading it also holds what `client_secret_file` said. Apple has none.
    #[serde(default = "no_secret")]
    pub client_secret: Secret<String>,
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// `None`: the kind's; see [`ConnectorConfig::auth_method`].
    #[serde(default)]
    pub auth_method: Option<ConnectorAuthMethod>,
    /// Empty: the kind's; see [`ConnectorConfig::scopes`].
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `None`: the kind's; see [`ConnectorConfig::email_trust`].
    #[serde(default)]
    pub email_trust: Option<EmailTrust>,
    /// How far this provider's word about a birth date goes.
    #[serde(default)]
    pub birthdate_trust: BirthdateTrust,
    /// Whether a first login that brings an address a customer has proved is linked to them without a question.
    #[serde(default)]
    pub link_automatically: bool,
    /// Asks userinfo at every login, not only when the ID token brings no e-mail address.
    #[serde(default)]
    pub userinfo: bool,
    #[serde(default)]
    pub prompt: Option<ConnectorPrompt>,
    /// Whether the provider is told which address the app believes the customer has.
    #[serde(default)]
    pub pass_login_hint: bool,
    /// Whether a newcomer who brings no address that counts is asked for one.
    #[serde(default)]
    pub ask_email: AskEmail,
    /// For one request to this provider; `None`: `outbound.timeout`.
    #[serde(default, deserialize_with = "forms::optional_duration")]
    pub timeout: Option<Duration>,
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub logo: Option<Url>,
    /// In place of the one the kind knows; `oauth2` knows none.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub authorization_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub token_endpoint: Option<Url>,
    /// Where a plain OAuth 2.0 server says who the customer is.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub userinfo_endpoint: Option<Url>,
    /// `github`: where the addresses are.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub emails_endpoint: Option<Url>,
    /// `oauth2`: the member that is the subject.
    #[serde(default)]
    pub subject_claim: Option<String>,
    /// `oauth2`: our claim to the path of theirs.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// `oauth2`: `false` only for a server that fails over PKCE.
    #[serde(default)]
    pub pkce: Option<bool>,
    /// `google`: only accounts of this Workspace domain.
    #[serde(default)]
    pub hosted_domain: Option<String>,
    /// `microsoft`: `common`, `organizations`, `consumers`, or the ID of one tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `apple`
    #[serde(default)]
    pub team_id: Option<String>,
    /// `apple`: the ID of the private key.
    #[serde(default)]
    pub key_id: Option<String>,
    /// `apple`: the text of the .p8 file. After loading it also holds what `private_key_file` said.
    #[serde(default = "no_secret")]
    pub private_key: Secret<String>,
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// Which claims become the customer's own values.
    #[serde(default)]
    pub import: ImportConfig,
    /// What the provider's `acr` and `amr` are worth; the strongest first.
    #[serde(default)]
    pub levels: Vec<LevelRule>,
    /// When it is left alone.
    #[serde(default)]
    pub breaker: BreakerConfig,
    /// The client IDs that native apps have at the provider: its SDKs' ID tokens are taken if they are for one of these.
    #[serde(default)]
    pub native_client_ids: Vec<String>,
    /// `facebook`: where the keys of Limited Login's tokens are, if not where Facebook has them.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub jwks_uri: Option<Url>,
    /// `facebook`: other apps of the same business, as app ID to connector ID.
    #[serde(default)]
    pub business_apps: BTreeMap<String, String>,
    /// Whether the provider's tokens are kept, sealed, for clients that may ask for them.
    #[serde(default)]
    pub store_tokens: bool,
}

/// How we authenticate at the upstream's token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorAuthMethod {
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

/// What the provider is told to ask of the customer each time (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorPrompt {
    Login,
    Consent,
    SelectAccount,
}

impl ConnectorPrompt {
    /// The value of the parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// The standard claims about a person that mean something here, beside `sub`: a mapping may fill them.
pub const UNDERSTOOD_CLAIMS: [&str; 9] = [
    "email",
    "email_verified",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "picture",
    "locale",
    "birthdate",
];

/// How a private key in PKCS#8 PEM form begins.
const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";

/// The tenants of Microsoft that are not one.
const SHARED_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

impl ConnectorConfig {
    /// What is asked for.
    pub fn scopes(&self) -> Vec<String> {
        if self.scopes.is_empty() {
            return self.kind.scopes().iter().map(|scope| (*scope).to_owned()).collect();
        }
        self.scopes.clone()
    }

    /// How far this provider's word about e-mail addresses goes, at most.
    pub fn email_trust(&self) -> EmailTrust {
        self.email_trust.unwrap_or(self.kind.email_trust())
    }

    /// How we authenticate at the token endpoint.
    pub fn auth_method(&self) -> ConnectorAuthMethod {
        self.auth_method.unwrap_or(self.kind.auth_method())
    }

    /// Every address of the provider that the configuration names, by its key.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let endpoints = [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
            ("emails_endpoint", &self.emails_endpoint),
            ("jwks_uri", &self.jwks_uri),
        ];
        let issuer = Some(("issuer", self.issuer.as_str())).filter(|(_, issuer)| !issuer.is_empty());
        issuer.into_iter().chain(endpoints.into_iter().filter_map(|(key, url)| Some((key, url.as_ref()?.as_str()))))
    }

    pub(super) fn resolve(&mut self, key: &str, files: &SecretFiles, problems: &mut Problems) {
        for (name, value, file) in [
            ("client_secret", &mut self.client_secret, &self.client_secret_file),
            ("private_key", &mut self.private_key, &self.private_key_file),
        ] {
            let given = Some(value.clone()).filter(|secret| !secret.expose().is_empty());
            let secret = files.fill(&format!("{key}.{name}"), given, file.as_deref(), problems);
            *value = secret.unwrap_or_else(no_secret);
        }
    }

    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        let at = |member: &str| format!("{key}.{member}");
        if !forms::is_slug(&self.id) {
            problems.add(at("id"), forms::missing_or(&self.id, "is no connector ID"), forms::SLUG);
        }
        if self.link_automatically && self.email_trust() != EmailTrust::Authoritative {
            let what = "is allowed only where the provider runs the mailboxes";
            problems.add(at("link_automatically"), what, "false, or email_trust = \"authoritative\"");
        }
        if self.name.trim().is_empty() {
            problems.add(at("name"), "is missing", "the text of the button, such as \"Google\"");
        }
        for (member, is_given, kinds) in self.keys_of_some_kinds() {
            if is_given && !kinds.contains(&self.kind) {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                let problem = format!("says nothing to kind \"{}\"", self.kind.as_str());
                problems.add(at(member), problem, format!("it only with kind {}", kinds.join(", ")));
            }
        }
        self.check_addresses(&at, problems);
        self.check_client(&at, problems);
        if self.kind.is_oidc() && !self.scopes.is_empty() && !self.scopes.iter().any(|scope| scope == "openid") {
            problems.add(at("scopes"), "lacks openid", "[\"openid\", \"email\", \"profile\"]");
        }
        if let Some(unknown) = self.claims.keys().find(|claim| !UNDERSTOOD_CLAIMS.contains(&claim.as_str())) {
            let expected = format!("one of {}", UNDERSTOOD_CLAIMS.join(", "));
            problems.add(at(&format!("claims.{unknown}")), "is not a claim that can be filled", expected);
        }
        if let Some(tenant) = &self.tenant
            && !SHARED_TENANTS.contains(&tenant.as_str())
            && uuid::Uuid::try_parse(tenant).is_err()
        {
            let expected = "common, organizations, consumers, or the tenant's ID (a GUID)";
            problems.add(at("tenant"), format!("`{tenant}` is no tenant"), expected);
        }
        self.import.check(self.kind, &at("import"), problems);
        for (number, rule) in self.levels.iter().enumerate() {
            rule.check(&at(&format!("levels[{number}]")), problems);
        }
        self.breaker.check(&at("breaker"), problems);
        self.check_native(&at, problems);
        if let Some(timeout) = self.timeout {
            forms::check_range(problems, &at("timeout"), timeout, Duration::from_millis(100)..=Duration::from_secs(60));
        }
    }

    /// What is known of the provider's native apps, and of other apps of the same business.
    fn check_native(&self, at: &impl Fn(&str) -> String, problems: &mut Problems) {
        let fits = |id: &String| !id.is_empty() && id.len() <= 255 && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.native_client_ids.iter().all(fits) {
            let expected = "the client IDs, bundle IDs or app IDs that native apps have at the provider";
            problems.add(at("native_client_ids"), "holds what is no client ID", expected);
        }
        let is_app = |(app, connector): (&String, &String)| {
            !app.is_empty() && app.bytes().all(|byte| byte.is_ascii_digit()) && forms::is_slug(connector)
        };
        if !self.business_apps.iter().all(is_app) {
            let expected = "app IDs and the connectors that know them, such as { 1234567890 = \"facebook\" }";
            problems.add(at("business_apps"), "is not that", expected);
        }
    }

    fn check_addresses(&self, at: &impl Fn(&str) -> String, problems: &mut Problems) {
        let is_web = |url: &Url| matches!(url.scheme(), "https" | "http") && url.host().is_some();
        let issuer_fits =
            Url::parse(&self.issuer).is_ok_and(|url| is_web(&url) && url.query().is_none() && url.fragment().is_none());
        let needed = self.kind == ConnectorKind::Oidc;
        if !issuer_fits && (needed || !self.issuer.is_empty()) {
            let expected = "an https URL without query or fragment, such as https://accounts.google.com";
            problems.add(at("issuer"), forms::missing_or(&self.issuer, "is no issuer"), expected);
        }
        let endpoints = [
            ("authorization_endpoint", &self.authorization_endpoint, true),
            ("token_endpoint", &self.token_endpoint, true),
            ("userinfo_endpoint", &self.userinfo_endpoint, true),
            ("emails_endpoint", &self.emails_endpoint, false),
            ("jwks_uri", &self.jwks_uri, false),
        ];
        for (member, url, needed) in endpoints {
            let expected = "an https URL, such as https://provider.example/oauth/token";
            match url {
                None if needed && self.kind == ConnectorKind::OAuth2 => {
                    problems.add(at(member), "is missing", expected);
                }
                Some(url) if !is_web(url) || url.fragment().is_some() => {
                    problems.add(at(member), format!("`{url}` is no endpoint"), expected);
                }
                _ => {}
            }
        }
    }

    fn check_client(&self, at: &impl Fn(&str) -> String, problems: &mut Problems) {
        if self.client_id.is_empty() {
            problems.add(at("client_id"), "is missing", "the client ID the provider gave you");
        }
        if self.kind != ConnectorKind::Apple {
            if self.client_secret.expose().is_empty() {
                problems.add(at("client_secret"), "is missing", "client_secret or client_secret_file");
            }
            return;
        }
        for (member, value, expected) in [
            ("team_id", &self.team_id, "the ten characters of your team's ID at Apple"),
            ("key_id", &self.key_id, "the ten characters of the key's ID at Apple"),
        ] {
            if value.as_ref().is_none_or(String::is_empty) {
                problems.add(at(member), "is missing", expected);
            }
        }
        let expected = "private_key_file with the .p8 file, or private_key with its text";
        match self.private_key.expose().trim_start() {
            "" => problems.add(at("private_key"), "is missing", expected),
            text if !text.starts_with(PEM_HEAD) => problems.add(at("private_key"), "is no private key", expected),
            _ => {}
        }
    }

    /// The keys that not every kind has: whether each was given, and the kinds it is for.
    fn keys_of_some_kinds(&self) -> [(&'static str, bool, &'static [ConnectorKind]); 24] {
        use ConnectorKind::{Apple, Facebook, GitHub, Google, LinkedIn, Microsoft, OAuth2, Oidc, X};
        const PLAIN: &[ConnectorKind] = &[OAuth2, Facebook, X, GitHub, LinkedIn];
        const ALL_BUT_APPLE: &[ConnectorKind] = &[Oidc, OAuth2, Google, Facebook, X, GitHub, Microsoft, LinkedIn];
        let some = |secret: &Secret<String>, file: &Option<PathBuf>| !secret.expose().is_empty() || file.is_some();
        let in_claims = self.birthdate_trust == BirthdateTrust::VerifiedClaims;
        [
            ("birthdate_trust", self.birthdate_trust == BirthdateTrust::Verified, &[Oidc, OAuth2]),
            ("birthdate_trust", in_claims, &[Oidc]),
            ("issuer", !self.issuer.is_empty(), &[Oidc, OAuth2, Google, Apple, Facebook, Microsoft]),
            ("client_secret", some(&self.client_secret, &self.client_secret_file), ALL_BUT_APPLE),
            ("auth_method", self.auth_method.is_some(), &[Oidc, OAuth2, Google, Microsoft]),
            ("levels", !self.levels.is_empty(), &[Oidc, Google, Apple, Microsoft]),
            ("userinfo", self.userinfo, &[Oidc, Google, Microsoft]),
            ("prompt", self.prompt.is_some(), &[Oidc, OAuth2, Google, GitHub, Microsoft]),
            ("pass_login_hint", self.pass_login_hint, &[Oidc, OAuth2, Google, GitHub, Microsoft]),
            ("authorization_endpoint", self.authorization_endpoint.is_some(), PLAIN),
            ("token_endpoint", self.token_endpoint.is_some(), PLAIN),
            ("userinfo_endpoint", self.userinfo_endpoint.is_some(), PLAIN),
            ("emails_endpoint", self.emails_endpoint.is_some(), &[GitHub]),
            ("subject_claim", self.subject_claim.is_some(), &[OAuth2]),
            ("claims", !self.claims.is_empty(), &[OAuth2]),
            ("pkce", self.pkce.is_some(), &[OAuth2]),
            ("hosted_domain", self.hosted_domain.is_some(), &[Google]),
            ("tenant", self.tenant.is_some(), &[Microsoft]),
            ("team_id", self.team_id.is_some(), &[Apple]),
            ("key_id", self.key_id.is_some(), &[Apple]),
            ("private_key", some(&self.private_key, &self.private_key_file), &[Apple]),
            ("native_client_ids", !self.native_client_ids.is_empty(), &[Oidc, Google, Apple, Facebook, Microsoft]),
            ("jwks_uri", self.jwks_uri.is_some(), &[Facebook]),
            ("business_apps", !self.business_apps.is_empty(), &[Facebook]),
        ]
    }
}
