//! Apple: OpenID Connect that posts its answer, wants a signed client secret, and says the customer's name once.
//!
//! The client secret is an ES256 JWT made afresh for each request, so there is none that expires in six months. The
//! name comes at the first login only, beside the code and unsigned: it is a name to show, never an address to believe.
//! Booleans are sometimes text.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::claims::{self, Claims};
use super::oidc::{OidcConnector, OidcProvider};
use super::{ConnectorError, OtherName, ResponseMode, UpstreamCallback, UpstreamIdentity};
use crate::clock::Timestamp;
use crate::config::ConnectorConfig;
use crate::keys::assertion::AssertionKey;
use crate::outbound::Outbound;
use crate::secret::Secret;

const ISSUER: &str = "https://appleid.apple.com";
/// Apple allows half a year; one request needs seconds.
const SECRET_LIFETIME: Duration = Duration::from_secs(5 * 60);
const MAX_USER_BYTES: usize = 4096;

pub(super) struct Apple {
    key: AssertionKey,
    team_id: String,
    issuer: String,
}

/// Builds the connector.
///
/// # Errors
/// In words, if the private key cannot be read.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OidcConnector<Apple>, String> {
    let issuer = if config.issuer.is_empty() { ISSUER.to_owned() } else { config.issuer.clone() };
    let kid = config.key_id.as_deref().unwrap_or_default();
    let key = AssertionKey::from_pem(config.private_key.expose(), kid)
        .map_err(|error| format!("private_key: {error}; take the .p8 file that Apple gave you"))?;
    let team_id = config.team_id.clone().unwrap_or_default();
    OidcConnector::of(Apple { key, team_id, issuer: issuer.clone() }, &issuer, config, outbound)
}

#[derive(Serialize)]
struct ClientSecretClaims<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    aud: &'a str,
    sub: &'a str,
}

impl OidcProvider for Apple {
    /// Scopes are granted in no other mode.
    fn response_mode(&self) -> ResponseMode {
        ResponseMode::FormPost
    }

    fn client_secret(&self, config: &ConnectorConfig, now: Timestamp) -> Result<Secret<String>, ConnectorError> {
        let claims = ClientSecretClaims {
            iss: &self.team_id,
            iat: now.seconds(),
            exp: (now + SECRET_LIFETIME).seconds(),
            aud: &self.issuer,
            sub: &config.client_id,
        };
        let token =
            self.key.sign(&claims).map_err(|_| ConnectorError::invalid("the client secret cannot be signed"))?;
        Ok(Secret::new(token))
    }

    fn identity(
        &self,
        mut id_token: Claims,
        userinfo: Option<Claims>,
        callback: &UpstreamCallback,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        // Whether an address is a relay must be known wherever addresses are compared: it matches no person.
        let is_private = id_token.get("is_private_email").is_some_and(|said| *said == true || *said == "true");
        id_token.insert("is_private_email".to_owned(), Value::Bool(is_private));
        for (claim, value) in names(callback.user.as_deref()) {
            id_token.entry(claim).or_insert(Value::String(value));
        }
        // For 60 days after a transfer to another team, beside the subject that the account has there.
        let transfer = id_token.get("transfer_sub").and_then(Value::as_str);
        let transfer = transfer.filter(|name| claims::check_subject(name).is_ok()).map(str::to_owned);
        let identity = claims::identity(id_token, userinfo)?;
        Ok(UpstreamIdentity { other_names: transfer.map(OtherName::Transfer).into_iter().collect(), ..identity })
    }
}

#[derive(Deserialize)]
struct User {
    name: Option<Name>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    first_name: Option<String>,
    last_name: Option<String>,
}

/// The name of a `user` field; nothing if it cannot be read: a login does not fail for want of a name.
fn names(user: Option<&str>) -> Vec<(&'static str, String)> {
    let user = user.filter(|user| user.len() <= MAX_USER_BYTES);
    let Some(Name { first_name, last_name }) =
        user.and_then(|user| serde_json::from_str::<User>(user).ok()).and_then(|user| user.name)
    else {
        return Vec::new();
    };
    let names = [("given_name", first_name), ("family_name", last_name)];
    names.into_iter().filter_map(|(claim, name)| Some((claim, name?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_taken_from_the_first_login_and_nothing_else_is() {
        let user = r#"{"name":{"firstName":"Ada","lastName":"Byron"},"email":"evil@example.com"}"#;
        let expected = vec![("given_name", "Ada".to_owned()), ("family_name", "Byron".to_owned())];
        assert_eq!(names(Some(user)), expected);
        assert_eq!(names(Some(r#"{"name":{"firstName":"Ada"}}"#)), vec![("given_name", "Ada".to_owned())]);
        let long = format!(r#"{{"name":{{"firstName":"{}"}}}}"#, "a".repeat(MAX_USER_BYTES));
        for user in [None, Some(""), Some("{}"), Some("[]"), Some("{\"name\":7}"), Some(long.as_str())] {
            assert_eq!(names(user), Vec::new(), "{user:?}");
        }
    }
}
