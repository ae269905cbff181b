//! X: OAuth 2.0 with PKCE and HTTP Basic, and an API whose answers are wrapped in `data`.
//!
//! The ID is a number written as text. An address comes only to apps that were granted `users.email`, and only if the
//! customer has confirmed one; it is a hint by default.

use async_trait::async_trait;
use serde_json::Value;

use super::ConnectorError;
use super::claims::Claims;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, claims_of, exact_id};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;

const ENDPOINTS: [&str; 3] =
    ["https://x.com/i/oauth2/authorize", "https://api.x.com/2/oauth2/token", "https://api.x.com/2/users/me"];

pub(super) struct X {
    asks_address: bool,
}

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<X>, String> {
    let provider = X { asks_address: config.scopes().iter().any(|scope| scope == "users.email") };
    let endpoints = Endpoints::of(&config, ENDPOINTS)?;
    Ok(OAuth2Connector::new(provider, endpoints, config, outbound))
}

#[async_trait]
impl OAuth2Provider for X {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        let mut url = api.userinfo.clone();
        // The field belongs to the scope; whoever was not granted that does not ask for it.
        let address = if self.asks_address { ",confirmed_email" } else { "" };
        url.query_pairs_mut().append_pair("user.fields", &format!("id,name,username,profile_image_url{address}"));
        let mut answer = api.object(url).await?;
        // A partial failure is answered with 200 and `errors`, with or without `data`.
        let Some(Value::Object(user)) = answer.remove("data") else {
            return Err(ConnectorError::invalid("the API's answer has no data"));
        };
        let verified = Value::Bool(true);
        Ok(claims_of(
            exact_id(user.get("id"))?,
            [
                ("name", user.get("name")),
                ("preferred_username", user.get("username")),
                ("picture", user.get("profile_image_url")),
                ("email", user.get("confirmed_email")),
                ("email_verified", user.get("confirmed_email").map(|_| &verified)),
            ],
        ))
    }
}
