//! Verifying an upstream's ID token, however it came to us.
//!
//! What the library leaves to us is checked here: clock leeway, `iat`, `nbf`, `azp`, `at_hash`. Who fetched the keys and
//! what follows from the claims is the caller's matter. OpenID Connect Core §3.1.3.7, spec/protocol.md rule 39.

use std::time::{Duration, SystemTime};

use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, NonceVerifier, SignatureVerificationError,
};
use serde_json::Value;

use super::claims::Claims;
use super::discovery::Provider;
use crate::clock::Timestamp;
use crate::secret::{constant_time_eq, from_base64url};

/// How far the provider's clock may be from ours.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);

/// What a token has to be, beside signed by its provider.
pub(super) struct Expected<'a> {
    /// The one audience.
    pub client_id: &'a str,
    /// Whom `azp` may name.
    pub parties: &'a [String],
    /// Whether the issuer is that of the metadata; where not, the caller judges it.
    pub one_issuer: bool,
    /// The access token that came with it.
    pub access_token: Option<&'a AccessToken>,
    pub now: Timestamp,
}

/// Why an ID token is not accepted.
#[derive(Debug)]
pub(super) enum Unverified {
    /// It names a key we do not have: maybe a newer one.
    UnknownKey,
    Refused(&'static str),
}

/// All claims of a token that is what it has to be.
pub(super) fn verify(
    provider: &Provider,
    id_token: &CoreIdToken,
    expected: &Expected<'_>,
    nonce: impl NonceVerifier,
) -> Result<Claims, Unverified> {
    let now = expected.now;
    // A public client's verifier: it has no secret that could be taken for a key.
    let client_id = ClientId::new(expected.client_id.to_owned());
    let verifier = CoreIdTokenVerifier::new_public_client(client_id, provider.issuer().clone(), provider.keys.clone())
        .require_issuer_match(expected.one_issuer)
        .set_allowed_algs(provider.algorithms.iter().cloned())
        .set_time_fn(move || system_time(now - LEEWAY).into())
        .set_issue_time_verifier_fn(move |issued| {
            let ahead = SystemTime::from(issued) > system_time(now + LEEWAY);
            if ahead { Err("issued in the future".to_owned()) } else { Ok(()) }
        });
    let verified = id_token.claims(&verifier, nonce).map_err(|error| unverified(&error))?;
    check_authorized_party(verified, expected.parties)?;
    if let Some(access_token) = expected.access_token {
        check_access_token_hash(id_token, verified, access_token, &verifier)?;
    }
    let claims = payload(id_token).ok_or(Unverified::Refused("the ID token cannot be read"))?;
    // The library and we have read the same text; they must have seen the same subject.
    if claims.get("sub").and_then(Value::as_str) != Some(verified.subject().as_str()) {
        return Err(Unverified::Refused("the ID token has two subjects"));
    }
    let not_before = claims.get("nbf").and_then(Value::as_f64).unwrap_or(0.0);
    if not_before > (now + LEEWAY).seconds() as f64 {
        return Err(Unverified::Refused("the ID token is not valid yet"));
    }
    Ok(claims)
}

/// OpenID Connect Core §3.1.3.7, step 5: `azp` names one of ours. Several audiences have been refused by then.
fn check_authorized_party(verified: &CoreIdTokenClaims, parties: &[String]) -> Result<(), Unverified> {
    match verified.authorized_party() {
        Some(party) if !parties.iter().any(|ours| ours == party.as_str()) => {
            Err(Unverified::Refused("the ID token was issued to another client"))
        }
        _ => Ok(()),
    }
}

/// The library's messages quote claims; ours must not.
fn unverified(error: &ClaimsVerificationError) -> Unverified {
    use ClaimsVerificationError as Error;
    Unverified::Refused(match error {
        Error::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Unverified::UnknownKey,
        Error::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "the ID token is signed with an algorithm that is not allowed"
        }
        Error::SignatureVerification(SignatureVerificationError::NoSignature) => "the ID token is not signed",
        Error::SignatureVerification(_) => "the ID token's signature is wrong",
        Error::Expired(_) => "the ID token has expired, or is from the future",
        Error::InvalidAudience(_) => "the ID token is for another audience",
        Error::InvalidIssuer(_) => "the ID token is from another issuer",
        Error::InvalidNonce(_) => "the ID token has another nonce",
        _ => "the ID token is not acceptable",
    })
}

/// OpenID Connect Core §3.1.3.8, where the claim is there.
fn check_access_token_hash(
    id_token: &CoreIdToken,
    verified: &CoreIdTokenClaims,
    access_token: &AccessToken,
    verifier: &CoreIdTokenVerifier<'_>,
) -> Result<(), Unverified> {
    let Some(expected) = verified.access_token_hash() else { return Ok(()) };
    let refused = Unverified::Refused("the ID token belongs to another access token");
    let (Ok(algorithm), Ok(key)) = (id_token.signing_alg(), id_token.signing_key(verifier)) else {
        return Err(refused);
    };
    match AccessTokenHash::from_token(access_token, algorithm, key) {
        Ok(actual) if constant_time_eq(actual.as_bytes(), expected.as_bytes()) => Ok(()),
        _ => Err(refused),
    }
}

/// All claims of a verified ID token; the library's type keeps only those it knows.
pub(super) fn payload(id_token: &CoreIdToken) -> Option<Claims> {
    let token = id_token.to_string();
    serde_json::from_slice(&from_base64url(token.split('.').nth(1)?)?).ok()
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + at.since(Timestamp::from_micros(0))
}
