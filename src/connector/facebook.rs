//! Facebook: OAuth 2.0, and the Graph API with a proof that the caller knows the app's secret.
//!
//! An address may be missing (accounts made by phone) and is not known to be the customer's: it is a hint by default.
//! The redirect back ends in `#_=_`, which browsers keep to themselves. Refusals are objects, answered with 400; the
//! token endpoint's are set right in `exchange`. The dialog drops a PKCE challenge, and the token endpoint then refuses
//! the verifier: the code is bound by `state` and the app's secret.

use async_trait::async_trait;
use serde_json::Value;

use super::ConnectorError;
use super::claims::Claims;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, claims_of, exact_id};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;
use crate::secret::{Secret, hmac_sha256_hex};

const ENDPOINTS: [&str; 3] = [
    "https://www.facebook.com/v23.0/dialog/oauth",
    "https://graph.facebook.com/v23.0/oauth/access_token",
    "https://graph.facebook.com/v23.0/me",
];
const FIELDS: &str = "id,name,first_name,last_name,email,picture.width(320).height(320)";

pub(super) struct Facebook {
    app_secret: Secret<String>,
}

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<Facebook>, String> {
    let provider = Facebook { app_secret: config.client_secret.clone() };
    let endpoints = Endpoints::of(&config, ENDPOINTS)?;
    Ok(OAuth2Connector::new(provider, endpoints, config, outbound))
}

#[async_trait]
impl OAuth2Provider for Facebook {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        let mut url = api.userinfo.clone();
        // A stolen access token is of no use without the app's secret.
        let proof = hmac_sha256_hex(self.app_secret.expose().as_bytes(), api.access_token.as_bytes());
        url.query_pairs_mut().append_pair("fields", FIELDS).append_pair("appsecret_proof", &proof);
        let me = api.object(url).await?;
        let picture = me.get("picture").and_then(|picture| picture.get("data"));
        let picture = picture.filter(|data| data.get("is_silhouette") != Some(&Value::Bool(true)));
        // Facebook says nothing about who owns an address; whether one it gives counts as checked is `email_trust`.
        let verified = Value::Bool(true);
        Ok(claims_of(
            exact_id(me.get("id"))?,
            [
                ("name", me.get("name")),
                ("given_name", me.get("first_name")),
                ("family_name", me.get("last_name")),
                ("picture", picture.and_then(|data| data.get("url"))),
                ("email", me.get("email")),
                ("email_verified", me.get("email").map(|_| &verified)),
            ],
        ))
    }

    fn pkce(&self) -> bool {
        false
    }
}
