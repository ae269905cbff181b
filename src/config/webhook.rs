//! `[[webhooks]]`: the services that are told what happens to customers, one address each.
//!
//! What they are told is decided in `events`; here is only who may hear it, and what it is signed with.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::forms;
use super::problem::Problems;
use super::secret_file::SecretFiles;
use crate::events::webhook::{Selection, SigningKey};
use crate::secret::Secret;

/// One `[[webhooks]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Names what has been delivered: under another ID it is another receiver.
    #[serde(default)]
    pub id: String,
    /// Always there after the checks.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub url: Option<Url>,
    /// The client or destination whose subjects it knows.
    #[serde(default)]
    pub audience: Option<String>,
    /// The sector whose subjects it knows.
    #[serde(default)]
    pub sector: Option<String>,
    /// A receiver inside the company that may see the customer ID and everything that is recorded.
    #[serde(default)]
    pub internal: bool,
    /// Names of events and families such as `link.*`.
    #[serde(default = "everything")]
    pub events: Vec<String>,
    /// What deliveries are signed with, as in Standard Webhooks.
    #[serde(default)]
    pub secret: Option<Secret<String>>,
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The one before, while the receiver changes over.
    #[serde(default)]
    pub previous_secret: Option<Secret<String>>,
    #[serde(default)]
    pub previous_secret_file: Option<PathBuf>,
    /// For one delivery; `outbound.timeout` if absent.
    #[serde(default, deserialize_with = "forms::optional_duration")]
    pub timeout: Option<Duration>,
}

impl Webhook {
    pub(super) fn resolve(&mut self, key: &str, files: &SecretFiles, problems: &mut Problems) {
        for (name, value, file) in [
            ("secret", &mut self.secret, &self.secret_file),
            ("previous_secret", &mut self.previous_secret, &self.previous_secret_file),
        ] {
            *value = files.fill(&format!("{key}.{name}"), value.take(), file.as_deref(), problems);
        }
    }

    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        let at = |member: &str| format!("{key}.{member}");
        if !forms::is_slug(&self.id) {
            problems.add(at("id"), forms::missing_or(&self.id, "is no ID of a webhook"), forms::SLUG);
        }
        let expected = "an https URL, such as https://crm.example.com/events";
        match &self.url {
            None => problems.add(at("url"), "is missing", expected),
            Some(url)
                if !matches!(url.scheme(), "https" | "http")
                    || url.host().is_none()
                    || url.fragment().is_some()
                    || !url.username().is_empty()
                    || url.password().is_some() =>
            {
                problems.add(at("url"), "is no address to deliver to", expected);
            }
            Some(_) => {}
        }
        let named = [self.audience.is_some(), self.sector.is_some(), self.internal];
        if named.into_iter().filter(|is_named| *is_named).count() != 1 {
            let problem = "needs exactly one of audience, sector and internal = true";
            let expected = "audience = \"shop\" (a client or destination), sector = \"shops\", or internal = true";
            problems.add(at("audience"), problem, expected);
        }
        if let Err(wrong) = Selection::parse(&self.events) {
            let expected = "names of events or families, such as \"customer.merged\", \"link.*\" or \"*\"";
            problems.add(at("events"), format!("`{wrong}` is no event"), expected);
        }
        self.check_secrets(&at, problems);
        if let Some(timeout) = self.timeout {
            forms::check_range(problems, &at("timeout"), timeout, Duration::from_millis(100)..=Duration::from_secs(60));
        }
    }

    fn check_secrets(&self, at: &impl Fn(&str) -> String, problems: &mut Problems) {
        let expected = "24 to 64 random bytes in base64, whsec_ before them: echo whsec_$(openssl rand -base64 32)";
        for (member, secret) in [("secret", &self.secret), ("previous_secret", &self.previous_secret)] {
            match secret {
                None if member == "secret" => problems.add(at(member), "is missing", expected),
                Some(secret) if SigningKey::parse(secret.expose()).is_none() => {
                    problems.add(at(member), "is no secret of Standard Webhooks", expected);
                }
                _ => {}
            }
        }
    }
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}
