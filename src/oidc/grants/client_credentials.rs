//! `client_credentials` (RFC 6749 §4.4): a confidential client acts for itself. No customer, no refresh token.

use super::Granted;
use crate::clock;
use crate::ids::GrantId;
use crate::oidc::authorize;
use crate::oidc::client::Client;
use crate::protocol::client_metadata::TokenEndpointAuthMethod;
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::protocol::{ErrorCode, OAuthError};

/// Scopes that speak about an end-user and mean nothing here.
const END_USER: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Grants the client its own token.
///
/// # Errors
/// `unauthorized_client` for a public client, `invalid_scope`, `invalid_target`.
pub fn grant(client: &Client, params: &Params) -> Result<Granted, OAuthError> {
    if client.metadata.token_endpoint_auth_method == TokenEndpointAuthMethod::None {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "a public client cannot act for itself"));
    }
    let own = END_USER.iter().fold(client.scope.clone(), |scope, token| scope.without(token));
    let scope = match params.get("scope").map(Scope::parse) {
        None => own,
        Some(asked) => asked.intersection(&own),
    };
    if scope.is_empty() && params.get("scope").is_some() {
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "none of the requested scopes is available to this client",
        ));
    }
    Ok(Granted {
        // RFC 9068 §2.2. A client ID never has the form of a subject, see `ids::is_subject_like`.
        subject: client.id().to_owned(),
        merged_from: Vec::new(),
        scope,
        resources: authorize::resources(params, client)?,
        grant: GrantId(uuid::Uuid::from_bytes(clock::random())),
        authentication: None,
        bound_to: None,
        sid: None,
        nonce: None,
        refresh_token: None,
        not_after: None,
    })
}
