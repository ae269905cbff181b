//! The grants of the token endpoint. Each fills in its own part of [`Granted`]; the pipeline in `token.rs` does the rest.

pub mod authorization_code;
pub mod client_credentials;
pub mod refresh_token;
pub mod token_exchange;

use crate::clock::Timestamp;
use crate::ids::{GrantId, Sid};
use crate::kv::{self, Kv};
use crate::protocol::scope::Scope;
use crate::session::Authentication;

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
