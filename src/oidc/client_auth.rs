//! Client authentication at the token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).
//!
//! Only the registered method is accepted, and only one at a time. Every failure looks the same from outside.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::{Client, ClientRegistry, hash_client_secret};
use crate::protocol::OAuthError;
use crate::protocol::client_metadata::TokenEndpointAuthMethod;
use crate::protocol::params::Params;
use crate::secret;

/// What a request presents.
#[derive(Debug)]
enum Presented {
    Basic { client_id: String, client_secret: String },
    Post { client_id: String, client_secret: String },
    None { client_id: String },
}

/// Authenticates the client of a token request.
///
/// # Errors
/// `invalid_request` for two methods at once or none of our form; `invalid_client` for everything else.
pub fn authenticate(
    authorization: Option<&str>,
    params: &Params,
    clients: &ClientRegistry,
) -> Result<Arc<Client>, OAuthError> {
    let presented = presented(authorization, params)?;
    let (client_id, method, client_secret) = match &presented {
        Presented::Basic { client_id, client_secret } => {
            (client_id, TokenEndpointAuthMethod::ClientSecretBasic, Some(client_secret))
        }
        Presented::Post { client_id, client_secret } => {
            (client_id, TokenEndpointAuthMethod::ClientSecretPost, Some(client_secret))
        }
        Presented::None { client_id } => (client_id, TokenEndpointAuthMethod::None, None),
    };
    let client = clients.find(client_id).ok_or_else(|| OAuthError::invalid_client("unknown client"))?;
    if client.metadata.token_endpoint_auth_method != method {
        return Err(OAuthError::invalid_client(format!("presented {method:?}, another method is registered")));
    }
    match (client_secret, &client.secret_hash) {
        (None, _) => Ok(client),
        (Some(presented), Some(hash))
            if secret::constant_time_eq(hash_client_secret(presented).as_bytes(), hash.as_bytes()) =>
        {
            Ok(client)
        }
        _ => Err(OAuthError::invalid_client("wrong client secret")),
    }
}

fn presented(authorization: Option<&str>, params: &Params) -> Result<Presented, OAuthError> {
    let post_secret = params.get("client_secret");
    let assertion = params.get("client_assertion").or(params.get("client_assertion_type"));
    // RFC 6749 §2.3: not more than one method.
    if [authorization, post_secret, assertion].iter().flatten().count() > 1 {
        return Err(OAuthError::invalid_request("only one client authentication method may be used"));
    }
    if assertion.is_some() {
        return Err(OAuthError::invalid_client("client assertions are not offered"));
    }
    if let Some(authorization) = authorization {
        let (client_id, client_secret) =
            basic(authorization).ok_or_else(|| OAuthError::invalid_client("malformed Authorization header"))?;
        if params.get("client_id").is_some_and(|body| body != client_id) {
            return Err(OAuthError::invalid_request("client_id in the body is not the authenticated client"));
        }
        return Ok(Presented::Basic { client_id, client_secret });
    }
    let client_id = params
        .owned("client_id")
        .ok_or_else(|| OAuthError::invalid_client("no client authentication and no client_id"))?;
    Ok(match post_secret {
        Some(client_secret) => Presented::Post { client_id, client_secret: client_secret.to_owned() },
        None => Presented::None { client_id },
    })
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined and base64 encoded.
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2048 {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, client_secret) = text.split_once(':')?;
    Some((form_decoded(client_id)?, form_decoded(client_secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        // Not form-encoded at all: some clients send these characters raw; they stand for themselves.
        return Some(text.to_owned());
    }
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).or(Some(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(method: &str) -> ClientRegistry {
        let metadata = serde_json::json!({ "client_id": "a b", "token_endpoint_auth_method": method });
        let registry = ClientRegistry::default();
        let hash = (method != "none").then(|| hash_client_secret("s:/+%"));
        registry.replace([Client::new(serde_json::from_value(metadata).unwrap(), hash)], []);
        registry
    }

    fn basic_header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let clients = registry("client_secret_basic");
        let header = basic_header("a+b:s%3A%2F%2B%25");
        assert!(authenticate(Some(&header), &Params::default(), &clients).is_ok());
        assert!(authenticate(Some(&basic_header("a+b:wrong")), &Params::default(), &clients).is_err());
    }

    #[test]
    fn only_the_registered_method_is_accepted() {
        let post = Params::parse(b"client_id=a+b&client_secret=s%3A%2F%2B%25");
        assert!(authenticate(None, &post, &registry("client_secret_post")).is_ok());
        for (method, params) in [
            ("client_secret_basic", "client_id=a+b&client_secret=s%3A%2F%2B%25"),
            ("client_secret_post", "client_id=a+b"),
            ("client_secret_basic", "client_id=a+b"),
            ("none", "client_id=a+b&client_secret=s%3A%2F%2B%25"),
        ] {
            let answer = authenticate(None, &Params::parse(params.as_bytes()), &registry(method));
            assert_eq!(answer.unwrap_err().code.as_str(), "invalid_client", "{method} with {params}");
        }
        assert!(authenticate(None, &Params::parse(b"client_id=a+b"), &registry("none")).is_ok());
    }

    #[test]
    fn two_methods_at_once_are_an_invalid_request() {
        let clients = registry("client_secret_basic");
        let header = basic_header("a+b:s%3A%2F%2B%25");
        let both = Params::parse(b"client_id=a+b&client_secret=x");
        assert_eq!(authenticate(Some(&header), &both, &clients).unwrap_err().code.as_str(), "invalid_request");
        let assertion = Params::parse(b"client_id=a+b&client_assertion=e30.e30.x");
        assert_eq!(authenticate(Some(&header), &assertion, &clients).unwrap_err().code.as_str(), "invalid_request");
        assert_eq!(authenticate(None, &assertion, &clients).unwrap_err().code.as_str(), "invalid_client");
    }
}
