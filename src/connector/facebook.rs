//! Facebook: OAuth 2.0, and the Graph API with a proof that the caller knows the app's secret.
//!
//! An address may be missing (accounts made by phone) and is not known to be the customer's: it is a hint by default.
//! The redirect back ends in `#_=_`, which browsers keep to themselves. Refusals are objects, answered with 400; the
//! token endpoint's are set right in `exchange`. The dialog drops a PKCE challenge, and the token endpoint then refuses
//! the verifier: the code is bound by `state` and the app's secret.
//!
//! Limited Login gives iOS apps an ID token instead, whose subject is the same app-scoped ID. Other apps of the business
//! know the person by other app-scoped IDs, which the Graph API tells where the configuration names those apps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::claims::Claims;
use super::discovery::Discovery;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, claims_of, exact_id};
use super::{ConnectorError, OtherName};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;
use crate::secret::{Secret, hmac_sha256_hex};

const ENDPOINTS: [&str; 3] = [
    "https://www.facebook.com/v23.0/dialog/oauth",
    "https://graph.facebook.com/v23.0/oauth/access_token",
    "https://graph.facebook.com/v23.0/me",
];
const FIELDS: &str = "id,name,first_name,last_name,email,picture.width(320).height(320)";
const BUSINESS: &str = "ids_for_business";
/// What signs the tokens of Limited Login.
const LIMITED_ISSUER: &str = "https://www.facebook.com";
const LIMITED_KEYS: &str = "https://limited.facebook.com/.well-known/oauth/openid/jwks/";

pub(super) struct Facebook {
    app_secret: Secret<String>,
    limited: Discovery,
    /// The connectors of other apps of the business, by app ID.
    business_apps: BTreeMap<String, String>,
}

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<Facebook>, String> {
    let provider = Facebook {
        app_secret: config.client_secret.clone(),
        limited: limited(&config, outbound.clone())?,
        business_apps: config.business_apps.clone(),
    };
    let endpoints = Endpoints::of(&config, ENDPOINTS)?;
    Ok(OAuth2Connector::new(provider, endpoints, config, outbound))
}

/// Its own metadata name no token endpoint, because its ID tokens come from SDKs only.
fn limited(config: &ConnectorConfig, outbound: Outbound) -> Result<Discovery, String> {
    let issuer = if config.issuer.is_empty() { LIMITED_ISSUER } else { config.issuer.as_str() };
    let [authorization_endpoint, token_endpoint, _] = ENDPOINTS;
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": authorization_endpoint,
        "token_endpoint": token_endpoint,
        "jwks_uri": config.jwks_uri.as_ref().map_or(LIMITED_KEYS, |url| url.as_str()),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    Discovery::of_keys(issuer, metadata, outbound)
}

#[async_trait]
impl OAuth2Provider for Facebook {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        let mut url = api.userinfo.clone();
        // A stolen access token is of no use without the app's secret.
        let proof = hmac_sha256_hex(self.app_secret.expose().as_bytes(), api.access_token.as_bytes());
        let mut fields = FIELDS.to_owned();
        if !self.business_apps.is_empty() {
            fields += ",";
            fields += BUSINESS;
            fields += ".limit(100)";
        }
        url.query_pairs_mut().append_pair("fields", &fields).append_pair("appsecret_proof", &proof);
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
                (BUSINESS, me.get(BUSINESS)),
            ],
        ))
    }

    fn other_names(&self, claims: &mut Claims) -> Vec<OtherName> {
        let all = claims.remove(BUSINESS).unwrap_or_default();
        let all = all.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |known: &Value| {
            let app = exact_id(known.get("app")?.get("id")).ok()?;
            let connector = self.business_apps.get(&app)?.clone();
            Some(OtherName::Business { connector, subject: exact_id(known.get("id")).ok()? })
        };
        all.iter().filter_map(name).collect()
    }

    fn native_keys(&self) -> Option<&Discovery> {
        Some(&self.limited)
    }

    fn native_customer(&self, mut claims: Claims) -> Claims {
        // As in `customer`: what an address from here is worth is `email_trust`.
        claims.insert("email_verified".to_owned(), Value::Bool(claims.contains_key("email")));
        claims
    }

    /// An hour or two become sixty days. <https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived>
    fn longer_lived(&self) -> Option<&'static str> {
        Some("fb_exchange_token")
    }

    fn pkce(&self) -> bool {
        false
    }
}
