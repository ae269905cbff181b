//! `[[destinations]]`: the services that get a signed identity, one audience each.
//!
//! What the statement says is decided in `handoff`; here is only who may have it and under which terms.

use serde::Deserialize;
use url::Url;

use super::forms;
use super::problem::Problems;
use crate::protocol::client_metadata::SubjectType;
use crate::protocol::jwk::SigningAlgorithm;

/// One `[[destinations]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The audience of the statement.
    #[serde(default)]
    pub id: String,
    /// For people; the ID if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Destinations and clients of one sector share their subjects. One of its own if absent.
    #[serde(default)]
    pub sector: Option<String>,
    /// Pairwise unless declared otherwise, so that two destinations cannot join their data.
    #[serde(default = "pairwise")]
    pub subject_type: SubjectType,
    /// Origins a browser may be sent back to after login.
    #[serde(default, deserialize_with = "forms::urls")]
    pub origins: Vec<Url>,
    #[serde(default)]
    pub policy: DestinationPolicy,
    #[serde(default = "es256")]
    pub alg: SigningAlgorithm,
    /// An audience inside the company that may see the customer ID itself.
    #[serde(default)]
    pub internal: bool,
}

/// What forward-auth does with a request below the wanted level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationPolicy {
    /// Never blocks; answers with the level there is.
    #[default]
    Observe,
    /// Requires a live session.
    Authenticated,
}

impl Destination {
    /// The name for people.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// The sector whose subjects this destination sees.
    pub fn sector_name(&self) -> String {
        // No client's default sector, which is a host name, looks like this.
        self.sector.clone().unwrap_or_else(|| format!("destination:{}", self.id))
    }

    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        let at = |member: &str| format!("{key}.{member}");
        let is_dots = matches!(self.id.as_str(), "." | "..");
        if self.id.is_empty() || self.id.len() > 128 || !self.id.bytes().all(|byte| byte.is_ascii_graphic()) || is_dots
        {
            let expected = "1 to 128 printable ASCII characters without spaces";
            problems.add(at("id"), forms::missing_or(&self.id, "is no audience"), expected);
        }
        if self.subject_type == SubjectType::Public && !self.internal {
            let problem = "\"public\" shows the customer ID itself, and internal is false";
            problems.add(at("subject_type"), problem, "\"pairwise\", or internal = true");
        }
        for (index, origin) in self.origins.iter().enumerate() {
            let problem = match forms::origin_problem(origin) {
                Err(problem) => problem,
                Ok(()) if origin.scheme() == "http" && !forms::is_loopback(origin) => "is http outside loopback".into(),
                Ok(()) => continue,
            };
            problems.add(at(&format!("origins[{index}]")), problem, "an origin, such as https://shop.example.com");
        }
        if self.policy == DestinationPolicy::Authenticated && self.origins.is_empty() {
            let problem = "is missing, and policy is \"authenticated\"";
            problems.add(at("origins"), problem, "the origins to return to after login");
        }
        if self.alg == SigningAlgorithm::Ps256 {
            problems.add(at("alg"), "PS256 is not offered for signed identities", "ES256, EdDSA or RS256");
        }
    }
}

const fn pairwise() -> SubjectType {
    SubjectType::Pairwise
}

const fn es256() -> SigningAlgorithm {
    SigningAlgorithm::Es256
}
