//! LinkedIn: OpenID Connect in name, so it is asked as an OAuth 2.0 server.
//!
//! Its ID tokens have no `nonce` and a `locale` that is an object, and a code is refused when a PKCE verifier comes
//! with it. Userinfo, over TLS and with a token straight from the token endpoint, says the same and can be relied upon
//! (OpenID Connect Core §3.1.3.7, step 6). The code is bound by `state` and the client's secret.

use async_trait::async_trait;
use serde_json::Value;

use super::ConnectorError;
use super::claims::Claims;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, exact_id};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;

const ENDPOINTS: [&str; 3] = [
    "https://www.linkedin.com/oauth/v2/authorization",
    "https://www.linkedin.com/oauth/v2/accessToken",
    "https://api.linkedin.com/v2/userinfo",
];

pub(super) struct LinkedIn;

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<LinkedIn>, String> {
    let endpoints = Endpoints::of(&config, ENDPOINTS)?;
    Ok(OAuth2Connector::new(LinkedIn, endpoints, config, outbound))
}

#[async_trait]
impl OAuth2Provider for LinkedIn {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        let mut user = api.object(api.userinfo.clone()).await?;
        user.insert("sub".to_owned(), Value::String(exact_id(user.get("sub"))?));
        if let Some(locale) = user.get("locale").and_then(language_tag) {
            user.insert("locale".to_owned(), Value::String(locale));
        }
        Ok(user)
    }

    fn pkce(&self) -> bool {
        false
    }
}

/// `{"language": "en", "country": "US"}` as BCP 47 has it.
fn language_tag(locale: &Value) -> Option<String> {
    let part = |name: &str| locale.get(name).and_then(Value::as_str);
    let language = part("language")?;
    Some(part("country").map_or_else(|| language.to_owned(), |country| format!("{language}-{country}")))
}
