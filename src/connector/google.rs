//! Google: OpenID Connect. It runs the mailboxes of gmail.com and of Workspace domains, and no others.
//!
//! So its word about an address is authoritative for those two and a past check for any other address. `hd` in the
//! request only chooses what the customer is offered; the claim in the ID token is what counts.

use serde_json::Value;

use super::claims::Claims;
use super::oidc::{OidcConnector, OidcProvider};
use super::{Feed, UpstreamIdentity};
use crate::config::{ConnectorConfig, EmailTrust};
use crate::outbound::Outbound;

const ISSUER: &str = "https://accounts.google.com";

pub(super) struct Google {
    hosted_domain: Option<String>,
    store_tokens: bool,
}

/// Builds the connector.
///
/// # Errors
/// In words, if the issuer is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OidcConnector<Google>, String> {
    let issuer = if config.issuer.is_empty() { ISSUER.to_owned() } else { config.issuer.clone() };
    let google = Google { hosted_domain: config.hosted_domain.clone(), store_tokens: config.store_tokens };
    OidcConnector::of(google, &issuer, config, outbound)
}

impl OidcProvider for Google {
    fn authorization_parameters(&self) -> Vec<(&'static str, String)> {
        let domain = self.hosted_domain.iter().map(|domain| ("hd", domain.clone()));
        // Google has no scope for it: a refresh token comes with this parameter, at the first consent.
        domain.chain(self.store_tokens.then(|| ("access_type", "offline".to_owned()))).collect()
    }

    /// Cross-Account Protection. Its issuer has a slash at the end, unlike that of the ID tokens. <https://developers.google.com/identity/protocols/risc>
    fn feed(&self, issuer: &str) -> Feed {
        Feed::SecurityEvents {
            configuration: format!("{}/.well-known/risc-configuration", issuer.trim_end_matches('/')),
        }
    }

    fn check(&self, claims: &Claims) -> Result<(), &'static str> {
        match (&self.hosted_domain, claims.get("hd").and_then(Value::as_str)) {
            (None, _) => Ok(()),
            (Some(wanted), Some(domain)) if wanted.eq_ignore_ascii_case(domain) => Ok(()),
            (Some(_), _) => Err("the account is not of the hosted domain"),
        }
    }

    fn email_trust(&self, configured: EmailTrust, identity: &UpstreamIdentity) -> EmailTrust {
        let domain = identity.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        let is_gmail = domain.is_some_and(|domain| domain.eq_ignore_ascii_case("gmail.com"));
        let is_hosted = identity.raw.get("hd").is_some_and(|domain| domain.as_str().is_some_and(|hd| !hd.is_empty()));
        match configured {
            EmailTrust::Authoritative if !is_gmail && !is_hosted => EmailTrust::Verified,
            configured => configured,
        }
    }
}
