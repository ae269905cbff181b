//! Pushed authorization requests (RFC 9126): a client leaves its request here first and sends the browser with a
//! reference to it, so that nobody on the way can read or change it.
//!
//! The request is checked when it is pushed and kept as checked: nothing that the browser brings beside the reference
//! counts. The reference may be opened until it expires, and is used up when the login is answered, not when it begins
//! (protocol specification, rule 11): a page opened twice leads to a working login.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Provider;
use super::authorize::{self, Refusal, check_of, unambiguous};
use super::client::Client;
use crate::clock::Timestamp;
use crate::kv::{self, Op};
use crate::protocol::authorization::AuthorizationRequest;
use crate::protocol::params::Params;
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret;

/// How long a browser may take to arrive.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// RFC 9126 §2.2.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

#[derive(Debug, Serialize, Deserialize)]
struct Pushed {
    request: AuthorizationRequest,
    expires_at: Timestamp,
}

/// Checks the request of an authenticated client and keeps it. Answers its `request_uri`, good for [`LIFETIME`].
///
/// # Errors
/// What the authorization endpoint would refuse; `invalid_request` for a `request_uri` in it (RFC 9126 §2.1).
pub async fn push(provider: &Provider, client: &Client, params: &Params, now: Timestamp) -> Result<String, OAuthError> {
    if params.get("request_uri").is_some() {
        return Err(OAuthError::invalid_request("request_uri may not be pushed"));
    }
    let request = match check_of(client, params, provider) {
        Ok(request) => request,
        Err(Refusal::Page(error) | Refusal::Redirect { error, .. }) => return Err(error),
    };
    let request_uri = format!("{PREFIX}{}", secret::random_token());
    let pushed = Pushed { request, expires_at: now + LIFETIME };
    provider.kv.set_json(&key(&request_uri), &pushed, LIFETIME).await?;
    Ok(request_uri)
}

/// The reference in a request to the authorization endpoint, if there is one of ours.
pub fn reference(params: &Params) -> Option<&str> {
    params.get("request_uri").filter(|uri| uri.starts_with(PREFIX))
}

/// Opens a reference: what was pushed, if the browser names the client that pushed it. The refusal inside is for a page,
/// because without the request nobody knows where an answer would go.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn open(
    provider: &Provider,
    params: &Params,
    request_uri: &str,
    now: Timestamp,
) -> kv::Result<Result<AuthorizationRequest, OAuthError>> {
    let client = match unambiguous(params, "request_uri").and_then(|_| authorize::client(params, provider)) {
        Ok(client) => client,
        Err(error) => return Ok(Err(error)),
    };
    let invalid = |detail: &str| {
        let error = OAuthError::new(ErrorCode::InvalidRequestUri, "request_uri is unknown, expired or already used");
        Ok(Err(error.detail(detail)))
    };
    let found = provider.kv.get_json::<Pushed>(&key(request_uri)).await?;
    match found.filter(|pushed| now < pushed.expires_at) {
        None => invalid("not there"),
        Some(pushed) if pushed.request.client_id != client.id() => invalid("pushed by another client"),
        Some(pushed) => Ok(Ok(AuthorizationRequest { pushed_as: Some(request_uri.to_owned()), ..pushed.request })),
    }
}

/// Uses up the reference that a request came by, if it did. To be run no later than the request is answered.
pub fn used_up(request: &AuthorizationRequest) -> Option<Op> {
    request.pushed_as.as_deref().map(|request_uri| Op::Delete { key: key(request_uri) })
}

fn key(request_uri: &str) -> String {
    format!("pushed:{}", secret::token_hash(request_uri))
}
