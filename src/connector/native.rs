//! ID tokens that a provider's SDK gave to a native app, which brings them to us.
//!
//! There is no redirect, code or `state` of ours around such a token: everything hangs on its signature, its audience,
//! its age, and a nonce that only the app knows. A token that was read on its way, in a log or on a screen, must be of
//! no use to whoever read it; so a nonce that stands in the token in clear counts only if we made it for this client,
//! and one of the app's own must stand there as its hash, which is what Apple's and Firebase's SDKs do anyway.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use openidconnect::Nonce;
use openidconnect::core::CoreIdToken;
use serde_json::Value;

use super::ConnectorError;
use super::claims::Claims;
use super::discovery::{Discovery, Provider};
use super::id_token::{self, Expected, LEEWAY, Unverified};
use crate::clock::Timestamp;
use crate::secret::{base64url, constant_time_eq, sha256};

/// The oldest token that is accepted. Apps get a fresh one for each sign-in.
pub const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// The longest token that is read.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The nonce as the app sends it beside the token.
#[derive(Clone)]
pub enum NativeNonce {
    /// We made it for this client: the token holds it, or its hash.
    Ours(String),
    /// The app made it: the token holds its hash.
    Own(String),
}

impl NativeNonce {
    /// The text that the app sent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ours(text) | Self::Own(text) => text,
        }
    }

    /// Whether a token with this `nonce` was asked for with it. Hashes are SHA-256, in hexadecimal or base64url.
    fn fits(&self, said: &str) -> bool {
        let digest = sha256(&[self.as_str().as_bytes()]);
        let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let same = |expected: &str| constant_time_eq(expected.as_bytes(), said.as_bytes());
        let hashed = same(&hexadecimal) | same(&base64url(&digest));
        hashed || (matches!(self, Self::Ours(_)) && same(self.as_str()))
    }
}

impl fmt::Debug for NativeNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[nonce]")
    }
}

/// Whose tokens are taken.
pub(super) struct Source<'a> {
    pub discovery: &'a Discovery,
    /// The audiences and authorized parties that are ours.
    pub client_ids: &'a [String],
    pub one_issuer: bool,
}

/// All claims of a token that is one of ours, fresh, and asked for with this nonce.
pub(super) async fn verify(
    source: &Source<'_>,
    id_token: &str,
    nonce: &NativeNonce,
    now: Timestamp,
) -> Result<Claims, ConnectorError> {
    if source.client_ids.is_empty() {
        return Err(ConnectorError::invalid("tokens of native apps are not taken from this provider"));
    }
    let unreadable = ConnectorError::invalid("the ID token cannot be read");
    if id_token.len() > MAX_TOKEN_BYTES {
        return Err(unreadable);
    }
    let Ok(token) = CoreIdToken::from_str(id_token) else { return Err(unreadable) };
    let audience = audience(&token).ok_or(unreadable)?;
    let Some(client_id) = source.client_ids.iter().find(|ours| **ours == audience) else {
        return Err(ConnectorError::invalid("the ID token is for another audience"));
    };
    let provider = source.discovery.provider(now).await?;
    let checked = |provider: &Provider| checked(provider, &token, source, client_id, nonce, now);
    match checked(&provider) {
        Err(Unverified::UnknownKey) => {}
        other => return other.map_err(refused),
    }
    match source.discovery.newer_keys(&provider, now).await? {
        Some(provider) => checked(&provider).map_err(refused),
        None => Err(refused(Unverified::UnknownKey)),
    }
}

fn refused(why: Unverified) -> ConnectorError {
    ConnectorError::invalid(match why {
        Unverified::UnknownKey => "the ID token is signed with a key that is not published",
        Unverified::Refused(what) => what,
    })
}

/// The one audience; it chooses what the token is verified against, and is verified then.
fn audience(token: &CoreIdToken) -> Option<String> {
    let claims = id_token::payload(token)?;
    match claims.get("aud")? {
        Value::String(audience) => Some(audience.clone()),
        Value::Array(audiences) => match audiences.as_slice() {
            [Value::String(audience)] => Some(audience.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn checked(
    provider: &Provider,
    token: &CoreIdToken,
    source: &Source<'_>,
    client_id: &str,
    nonce: &NativeNonce,
    now: Timestamp,
) -> Result<Claims, Unverified> {
    let expected =
        Expected { client_id, parties: source.client_ids, one_issuer: source.one_issuer, access_token: None, now };
    let fits = |said: Option<&Nonce>| match said {
        Some(said) if nonce.fits(said.secret()) => Ok(()),
        _ => Err("another nonce".to_owned()),
    };
    let claims = id_token::verify(provider, token, &expected, fits)?;
    let oldest = (now - MAX_AGE - LEEWAY).seconds() as f64;
    match claims.get("iat").and_then(Value::as_f64) {
        Some(issued) if issued >= oldest => Ok(claims),
        _ => Err(Unverified::Refused("the ID token is too old to sign in with")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_in_clear_counts_only_if_it_is_ours() {
        let raw = "0123456789abcdef";
        let digest = sha256(&[raw.as_bytes()]);
        let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let (ours, own) = (NativeNonce::Ours(raw.to_owned()), NativeNonce::Own(raw.to_owned()));
        for hashed in [hexadecimal.as_str(), &base64url(&digest)] {
            assert!(ours.fits(hashed) && own.fits(hashed));
        }
        assert!(ours.fits(raw) && !own.fits(raw));
        for other in ["", "other", &hexadecimal.to_uppercase(), &hexadecimal[1..]] {
            assert!(!ours.fits(other) && !own.fits(other), "{other}");
        }
    }
}
