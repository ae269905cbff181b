//! Verifying signed tokens (RFC 7515, RFC 7519, RFC 8725), ours and, for back ends, anyone's with a JWKS.
//!
//! jsonwebtoken checks the signature. Everything else is checked here, because its defaults are lenient: it passes
//! over a missing or ill-typed claim, an unknown `crit`, `typ` and repeated members, and reads the system clock.
//! The algorithm is what the key allows, never what the token says; where the key is, the token does not say at all.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::Validation;
use jsonwebtoken::jwk::Jwk;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::material::{PublicKey, jose};
use super::provider;
use crate::clock::Timestamp;
use crate::protocol::jwk::SigningAlgorithm;
use crate::secret;

/// Longer tokens are refused unread.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Larger key sets are refused unread.
const MAX_JWKS_BYTES: usize = 512 * 1024;
/// How far a maker's clock may be ahead of ours. Expiry has no such allowance.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What a token has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The `typ` values accepted, without `application/`, in any case. An empty text stands for a token without one.
    pub typ: &'a [&'a str],
    /// The exact `iss`.
    pub issuer: &'a str,
    /// A value that `aud` must contain; `None` leaves the audience to the caller.
    pub audience: Option<&'a str>,
    /// The time of the request.
    pub now: Timestamp,
    /// Whether an expired token will do.
    pub expiry: Expiry,
}

/// Whether `exp` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// An expired token is refused, and one that says nothing of it.
    Checked,
    /// An expired token is refused; one that does not expire, as a security event token does not (RFC 8417 §2.2), is
    /// the caller's to judge by its age.
    CheckedIfThere,
    /// An expired token is accepted, as an `id_token_hint` is (OpenID Connect RP-Initiated Logout §2).
    Ignored,
}

/// Why a token is refused. For logs: the sender learns no more than that it is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a JWS in compact form")]
    Malformed,
    #[error("the token is too long")]
    TooLong,
    #[error("the token's header has a parameter that is not understood")]
    Header,
    #[error("the token is of another type")]
    Type,
    #[error("no key is known for the token's kid")]
    UnknownKey,
    #[error("the token's algorithm is not one of its key's")]
    Algorithm,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token's claims do not have the expected form")]
    Claims,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the key set cannot be read")]
    KeySet,
}

/// Verifies a token against a JWK Set document.
///
/// # Errors
/// The first rule that the token breaks.
pub fn verify_with_jwks<T: DeserializeOwned>(
    jwks_json: &str,
    token: &str,
    expect: &Expect<'_>,
) -> Result<T, TokenError> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    provider::install();
    if jwks_json.len() > MAX_JWKS_BYTES {
        return Err(TokenError::KeySet);
    }
    let set: KeySet = serde_json::from_str(jwks_json).map_err(|_| TokenError::KeySet)?;
    let unverified = Unverified::parse(token, expect)?;
    let named = |key: &Value| match &unverified.kid {
        Some(kid) => key.get("kid").and_then(Value::as_str) == Some(kid),
        None => true,
    };
    // Keys of kinds we do not know are passed over: they are for other tokens.
    let mut keys: Vec<PublicKey> = set
        .keys
        .into_iter()
        .filter(named)
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
        .filter_map(|jwk| PublicKey::from_jwk(&jwk))
        .collect();
    if unverified.kid.is_none() {
        return unverified.verify_by_the_only(&mut keys, expect);
    }
    let key = keys.iter().find(|key| key.accepts(unverified.algorithm)).or(keys.first());
    unverified.verify(key.ok_or(TokenError::UnknownKey)?, expect)
}

/// A token whose header has been read and found acceptable.
pub(super) struct Unverified<'t> {
    token: &'t str,
    algorithm: SigningAlgorithm,
    /// Which key has signed it; a maker with one key need not say so (OpenID Connect Core §10.1).
    pub(super) kid: Option<String>,
}

impl<'t> Unverified<'t> {
    pub(super) fn parse(token: &'t str, expect: &Expect<'_>) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed);
        };
        if payload.is_empty() || signature.is_empty() {
            return Err(TokenError::Malformed);
        }
        let header = secret::from_base64url(header).ok_or(TokenError::Malformed)?;
        let Unique(header) = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        check_header(&header, expect)?;
        // RFC 8725 §3.1: only algorithms that we sign with; `none` and the HMACs are not even names here.
        let algorithm = header.get("alg").cloned().map(serde_json::from_value);
        let Some(Ok(algorithm)) = algorithm else { return Err(TokenError::Algorithm) };
        let kid = match header.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().ok_or(TokenError::UnknownKey)?.to_owned()),
        };
        Ok(Self { token, algorithm, kid })
    }

    /// A token that names no key is taken for the only one that fits it, and for none where several do: a token is not
    /// tried on one key after the other. If that one did not sign it, there may be a newer one.
    fn verify_by_the_only<T: DeserializeOwned>(
        &self,
        keys: &mut Vec<PublicKey>,
        expect: &Expect<'_>,
    ) -> Result<T, TokenError> {
        keys.retain(|key| key.accepts(self.algorithm));
        let [only] = keys.as_slice() else { return Err(TokenError::UnknownKey) };
        self.verify(only, expect).map_err(|error| match error {
            TokenError::Signature => TokenError::UnknownKey,
            error => error,
        })
    }

    /// Checks the signature, then the claims.
    pub(super) fn verify<T: DeserializeOwned>(&self, key: &PublicKey, expect: &Expect<'_>) -> Result<T, TokenError> {
        if !key.accepts(self.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let mut signature_only = Validation::new(jose(self.algorithm));
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let data = jsonwebtoken::decode::<Unique>(self.token, &key.decoding, &signature_only)
            .map_err(|e| if is_form(&e) { TokenError::Claims } else { TokenError::Signature })?;
        let Unique(claims) = data.claims;
        check_claims(&claims, expect)?;
        serde_json::from_value(Value::Object(claims)).map_err(|_| TokenError::Claims)
    }
}

fn is_form(error: &jsonwebtoken::errors::Error) -> bool {
    matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_))
}

fn check_header(header: &Map<String, Value>, expect: &Expect<'_>) -> Result<(), TokenError> {
    // RFC 7515 §4.1.11: we understand no extension, so any `crit` is one too many. `b64` (RFC 7797) changes what is
    // signed. The others name a key, and a token does not choose its key (RFC 8725 §3.10).
    if ["crit", "b64", "jwk", "jku", "x5u", "x5c"].iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::Header);
    }
    let typ = match header.get("typ") {
        None => "",
        Some(typ) => typ.as_str().ok_or(TokenError::Type)?,
    };
    // RFC 7515 §4.1.9: media types compare without case, and `application/` may be left out.
    let typ = match typ.get(..12) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => typ.get(12..).unwrap_or_default(),
        _ => typ,
    };
    // RFC 8725 §3.11: a token of one kind must not pass for another.
    match expect.typ.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
        true => Ok(()),
        false => Err(TokenError::Type),
    }
}

fn check_claims(claims: &Map<String, Value>, expect: &Expect<'_>) -> Result<(), TokenError> {
    if claims.get("iss").and_then(Value::as_str).ok_or(TokenError::Claims)? != expect.issuer {
        return Err(TokenError::Issuer);
    }
    match numeric_date(claims, "exp")? {
        None if expect.expiry != Expiry::CheckedIfThere => return Err(TokenError::Claims),
        Some(expires_at) if expect.expiry != Expiry::Ignored && expires_at <= expect.now => {
            return Err(TokenError::Expired);
        }
        _ => {}
    }
    for name in ["nbf", "iat"] {
        if numeric_date(claims, name)?.is_some_and(|date| date > expect.now + CLOCK_SKEW) {
            return Err(TokenError::NotYet);
        }
    }
    let Some(audience) = expect.audience else { return Ok(()) };
    let contains = match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => many.iter().any(|one| one == audience),
        _ => return Err(TokenError::Claims),
    };
    if contains { Ok(()) } else { Err(TokenError::Audience) }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
pub(crate) fn numeric_date(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(Timestamp::from_seconds(seconds)));
    }
    let seconds = value.as_f64().filter(|s| s.is_finite() && s.abs() < 1e12).ok_or(TokenError::Claims)?;
    Ok(Some(Timestamp::from_micros((seconds * 1e6) as i64)))
}

/// A JSON object in which no member is repeated (RFC 7515 §4, RFC 7519 §4): parsers differ in which one they take.
struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is repeated"));
                    }
                }
                Ok(Unique(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
