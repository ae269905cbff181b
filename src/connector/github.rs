//! GitHub: OAuth 2.0 whose refusals come with status 200 (set right in `exchange`), and addresses at an endpoint of
//! their own.
//!
//! The subject is the numeric ID: logins change hands. The address of the profile is only what its owner shows to the
//! public, so it is never taken: the primary one is, and whether it is verified is said there.

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use super::ConnectorError;
use super::claims::Claims;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, claims_of, endpoint, exact_id};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;

const ENDPOINTS: [&str; 3] = [
    "https://github.com/login/oauth/authorize",
    "https://github.com/login/oauth/access_token",
    "https://api.github.com/user",
];
const EMAILS: &str = "https://api.github.com/user/emails";

pub(super) struct GitHub {
    emails: Option<Url>,
}

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<GitHub>, String> {
    let asks = config.scopes().iter().any(|scope| matches!(scope.as_str(), "user:email" | "user"));
    let emails = asks.then(|| endpoint(config.emails_endpoint.as_ref(), EMAILS)).transpose()?;
    let endpoints = Endpoints::of(&config, ENDPOINTS)?;
    Ok(OAuth2Connector::new(GitHub { emails }, endpoints, config, outbound))
}

#[async_trait]
impl OAuth2Provider for GitHub {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        let user = api.object(api.userinfo.clone()).await?;
        let subject = exact_id(user.get("id"))?;
        let address = match &self.emails {
            Some(url) => primary(api, url.clone()).await?,
            None => None,
        };
        let said = |name: &str| address.as_ref().and_then(|address| address.get(name));
        Ok(claims_of(
            subject,
            [
                ("name", user.get("name")),
                ("preferred_username", user.get("login")),
                ("picture", user.get("avatar_url")),
                ("email", said("email")),
                ("email_verified", said("verified")),
            ],
        ))
    }

    fn login_hint(&self) -> &'static str {
        "login"
    }
}

/// The primary address. A customer or an organization may withhold the permission: that is no address, not a failure.
async fn primary(api: &Api<'_>, mut url: Url) -> Result<Option<Value>, ConnectorError> {
    url.query_pairs_mut().append_pair("per_page", "100");
    let addresses = match api.value(url).await {
        Ok(Value::Array(addresses)) => addresses,
        Ok(_) => return Err(ConnectorError::invalid("the list of addresses is not a list")),
        Err(ConnectorError::Provider { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(addresses.into_iter().find(|address| address.get("primary") == Some(&Value::Bool(true))))
}
