//! Signed tokens as an outsider checks them: straight from the RFCs, with nothing of the product's own.
//!
//! RFC 7515 §5.2 and RFC 7517 on the primitives of aws-lc-rs, so that a fault in `samesake::keys` shows.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use samesake::protocol::jwk::SigningAlgorithm;
use samesake::secret::{base64url, from_base64url};
use serde_json::Value;

/// The header and claims of a token that the key it names has signed.
pub fn verify(keys: &Value, token: &str) -> Result<(Value, Value), String> {
    let (signed, mark) = token.rsplit_once('.').ok_or("no JWS")?;
    let (header, claims) = signed.split_once('.').ok_or("no JWS")?;
    let (header, claims, mark) = (json(header)?, json(claims)?, bytes(mark)?);
    let set = keys["keys"].as_array().ok_or("no key set")?;
    let key = set.iter().find(|key| key["kid"] == header["kid"] && key["kid"].is_string()).ok_or("unknown kid")?;
    if key["use"] != "sig" && !key["use"].is_null() {
        return Err("the key is not for signing".to_owned());
    }
    if key["d"].is_string() {
        return Err("the key set shows a private key".to_owned());
    }
    let part = |name: &str| bytes(key[name].as_str().unwrap_or_default());
    let signed = signed.as_bytes();
    let verified = match (header["alg"].as_str(), key["kty"].as_str(), key["crv"].as_str()) {
        (Some("RS256"), Some("RSA"), _) => RsaPublicKeyComponents { n: part("n")?, e: part("e")? }.verify(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            signed,
            &mark,
        ),
        (Some("PS256"), Some("RSA"), _) => RsaPublicKeyComponents { n: part("n")?, e: part("e")? }.verify(
            &signature::RSA_PSS_2048_8192_SHA256,
            signed,
            &mark,
        ),
        (Some("ES256"), Some("EC"), Some("P-256")) => {
            let point = [vec![4], part("x")?, part("y")?].concat();
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, &mark)
        }
        (Some("EdDSA"), Some("OKP"), Some("Ed25519")) => {
            UnparsedPublicKey::new(&signature::ED25519, part("x")?).verify(signed, &mark)
        }
        other => return Err(format!("algorithm and key do not fit: {other:?}")),
    };
    verified.map_err(|_| "wrong signature")?;
    Ok((header, claims))
}

/// The header and claims, unverified: for looking at what must not be believed.
pub fn peek(token: &str) -> (Value, Value) {
    let mut parts = token.split('.');
    let mut next = || json(parts.next().unwrap_or_default()).unwrap();
    (next(), next())
}

/// `at_hash` of an access token: the left half of its hash, by the hash of the signature algorithm (OpenID Connect Core
/// §3.1.3.6). Ed25519 hashes with SHA-512.
pub fn half_hash(algorithm: SigningAlgorithm, token: &str) -> String {
    let hash = match algorithm {
        SigningAlgorithm::EdDsa => &digest::SHA512,
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 | SigningAlgorithm::Es256 => &digest::SHA256,
    };
    let hash = digest::digest(hash, token.as_bytes());
    base64url(&hash.as_ref()[..hash.as_ref().len() / 2])
}

/// `aud`, which is one text or a list.
pub fn audiences(claims: &Value) -> Vec<&str> {
    match &claims["aud"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, String> {
    from_base64url(part).ok_or_else(|| "no base64url".to_owned())
}

fn json(part: &str) -> Result<Value, String> {
    serde_json::from_slice(&bytes(part)?).map_err(|error| error.to_string())
}
