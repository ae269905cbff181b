//! Nonces for native apps: asked for by a client, put by a provider's SDK into an ID token, brought back once.
//!
//! Nothing is stored when one is made: it says until when it is good and carries a MAC over that and the client, so that
//! asking for a million costs us no memory. That it counts once is seen to where it comes back. Doing it again makes
//! another one, and harms nothing.

use super::Provider;
use super::client::Client;
use crate::clock::{self, Timestamp};
use crate::connector::NativeNonce;
use crate::connector::native::MAX_AGE;
use crate::protocol::client_metadata::GrantType;
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret::{DerivedKey, base64url, constant_time_eq, from_base64url};

const CONTENT: usize = 8 + 16;
const LENGTH: usize = CONTENT + 32;
/// What an app makes itself must not be guessed.
const OWN_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// Makes a nonce for a client that may bring ID tokens here.
///
/// # Errors
/// `unsupported_grant_type` if nobody may, `unauthorized_client` if this one may not.
pub fn issue(provider: &Provider, client: &Client, now: Timestamp) -> Result<String, OAuthError> {
    if !provider.connectors.take_native_tokens() {
        return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "no provider's ID tokens are taken here"));
    }
    if !client.may_use(GrantType::TokenExchange) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client may not exchange tokens"));
    }
    Ok(make(&provider.nonce_key, client, now))
}

fn make(key: &DerivedKey, client: &Client, now: Timestamp) -> String {
    let mut bytes = (now + MAX_AGE).seconds().to_be_bytes().to_vec();
    bytes.extend_from_slice(&clock::random::<16>());
    let mac = key.mac(&[client.id().as_bytes(), &bytes]);
    bytes.extend_from_slice(&mac);
    base64url(&bytes)
}

/// What a nonce is that a client brings: one of ours for it, or its own.
///
/// # Errors
/// `invalid_request` if it can be neither.
pub fn read(key: &DerivedKey, client: &Client, text: &str, now: Timestamp) -> Result<NativeNonce, OAuthError> {
    if is_ours(key, client, text, now) {
        return Ok(NativeNonce::Ours(text.to_owned()));
    }
    if OWN_BYTES.contains(&text.len()) {
        return Ok(NativeNonce::Own(text.to_owned()));
    }
    Err(OAuthError::invalid_request("nonce must be 16 to 256 bytes, before it was hashed"))
}

fn is_ours(key: &DerivedKey, client: &Client, text: &str, now: Timestamp) -> bool {
    let bytes = from_base64url(text).filter(|bytes| bytes.len() == LENGTH);
    let Some((content, mac)) = bytes.as_deref().and_then(|bytes| bytes.split_at_checked(CONTENT)) else { return false };
    let until = content.first_chunk().map_or(0, |until| i64::from_be_bytes(*until));
    constant_time_eq(mac, &key.mac(&[client.id().as_bytes(), content])) && now.seconds() < until
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::MasterKey;

    fn client(id: &str) -> Client {
        let metadata = json!({
            "client_id": id, "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        });
        Client::new(serde_json::from_value(metadata).unwrap(), None)
    }

    #[test]
    fn a_nonce_is_one_clients_and_for_a_short_time() {
        let (key, now) = (MasterKey::generate().derive("n"), Timestamp::from_seconds(1_800_000_000));
        let nonce = make(&key, &client("app"), now);
        assert_ne!(nonce, make(&key, &client("app"), now));
        let is_ours = |client: &Client, text: &str, now| matches!(read(&key, client, text, now), Ok(NativeNonce::Ours(ours)) if ours == text);
        assert!(is_ours(&client("app"), &nonce, now) && is_ours(&client("app"), &nonce, now + MAX_AGE / 2));
        assert!(!is_ours(&client("other"), &nonce, now));
        assert!(!is_ours(&client("app"), &nonce, now + MAX_AGE));
        assert!(!is_ours(&client("app"), &nonce.replace(&nonce[60..62], "AA"), now));
        for unfit in ["", "short", &"x".repeat(257)] {
            assert!(read(&key, &client("app"), unfit, now).is_err(), "{unfit}");
        }
    }
}
