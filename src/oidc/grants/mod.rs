//! The grants of the token endpoint. Each fills in its own part of [`Granted`]; the pipeline in `token.rs` does the rest.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod refresh_token;
pub mod token_exchange;

use super::Provider;
use super::client::Client;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, GrantId, Sid};
use crate::kv::{self, Kv};
use crate::protocol::client_metadata::GrantType;
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::protocol::{ErrorCode, OAuthError};
use crate::session::{self, Authentication, SsoSession};

/// What a grant gives.
#[derive(Debug)]
pub struct Granted {
    pub subject: String,
    /// Other subjects by which the client knew this customer, retired by a merge of late (spec/identity.md rule 23).
    pub merged_from: Vec<String>,
    pub scope: Scope,
    /// Resource servers asked for; empty means the provider's own endpoints.
    pub resources: Vec<String>,
    pub grant: GrantId,
    pub authentication: Option<Authentication>,
    /// The session the access token dies with; none for offline access and clients themselves.
    pub bound_to: Option<Sid>,
    /// The session an ID token names.
    pub sid: Option<Sid>,
    pub nonce: Option<String>,
    pub refresh_token: Option<String>,
    /// The access token may not outlive this.
    pub not_after: Option<Timestamp>,
}

/// The key whose presence says that a grant's access tokens are void.
pub fn revoked_key(grant: GrantId) -> String {
    format!("revoked:{grant}")
}

/// Voids the access tokens of a grant at our own endpoints until the last of them has expired.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn revoke_access_tokens(kv: &Kv, grant: GrantId, lifetime: std::time::Duration) -> Result<(), kv::Error> {
    kv.set(&revoked_key(grant), b"1".to_vec(), lifetime).await
}

/// What may be granted of what is asked for; without a wish all but what outlives the session.
///
/// # Errors
/// `invalid_scope` if that is nothing.
pub fn available_scope(params: &Params, client: &Client) -> Result<Scope, OAuthError> {
    let mut granted = match params.get("scope").map(Scope::parse) {
        Some(asked) => asked.intersection(&client.scope),
        None => client.scope.without("offline_access"),
    };
    if !client.may_use(GrantType::RefreshToken) {
        granted = granted.without("offline_access");
    }
    if granted.is_empty() {
        return Err(OAuthError::new(ErrorCode::InvalidScope, "none of the scopes is available to this client"));
    }
    Ok(granted)
}

/// Begins a session that no browser has, for an app or a device whose customer has just proved who they are.
///
/// # Errors
/// `invalid_grant` if what they proved it by has ended meanwhile; `server_error`.
async fn without_browser(
    provider: &Provider,
    customer: CustomerId,
    authentication: Authentication,
    now: Timestamp,
) -> Result<SsoSession, OAuthError> {
    let session = SsoSession {
        sid: Sid::random(),
        customer,
        authentication,
        created_at: now,
        last_seen: now,
        expires_at: now + provider.lifetimes.session,
        browser: None,
    };
    if session::begin_without_browser(&provider.kv, &session, now).await? {
        return Ok(session);
    }
    Err(OAuthError::invalid_grant("the customer may not sign in").detail("the account was disconnected"))
}
