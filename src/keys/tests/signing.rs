//! What we sign and publish.

use serde_json::Value;

use super::*;
use crate::keys::verify_with_jwks;
use crate::secret::{from_base64url, sha256};

fn jwks(ring: &KeyRing) -> Value {
    serde_json::from_slice(&ring.jwks().body).unwrap()
}

#[test]
fn every_algorithm_verifies_here_and_from_the_published_keys() {
    let document = KEYS.ring.jwks();
    let document = std::str::from_utf8(&document.body).unwrap();
    for algorithm in SigningAlgorithm::ALL {
        let token = KEYS.ring.sign(algorithm, "JWT", &claims()).unwrap();
        assert_eq!(KEYS.verify(&token), Ok(claims()), "{algorithm}");
        assert_eq!(verify_with_jwks(document, &token, &expect()), Ok(claims()), "{algorithm}");
        let header: Value = serde_json::from_slice(&from_base64url(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header, KEYS.header(algorithm));
    }
}

#[test]
fn ps256_signs_with_the_rsa_key_whose_jwk_is_bound_to_no_algorithm() {
    let token = KEYS.ring.sign(SigningAlgorithm::Ps256, "JWT", &claims()).unwrap();
    assert!(KEYS.verify(&token).is_ok());
    let jwks = jwks(&KEYS.ring);
    let rsa = &jwks["keys"][0];
    assert_eq!((rsa["kty"].as_str(), rsa.get("alg")), (Some("RSA"), None));
    assert_eq!(rsa["kid"], KEYS.kid(SigningAlgorithm::Ps256));
}

#[test]
fn only_public_members_are_published() {
    let jwks = jwks(&KEYS.ring);
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    for key in keys {
        for name in key.as_object().unwrap().keys() {
            assert!(["kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"].contains(&name.as_str()), "{name}");
        }
        assert_eq!(key["use"], "sig");
    }
    assert_eq!(from_base64url(keys[0]["n"].as_str().unwrap()).unwrap().len(), 256);
}

#[test]
fn a_kid_is_its_keys_thumbprint() {
    for key in jwks(&KEYS.ring)["keys"].as_array().unwrap() {
        let text = |name: &str| key[name].as_str().unwrap();
        // RFC 7638 §3.2 and RFC 8037 §2: the required members, in lexicographic order, without whitespace.
        let canonical = match text("kty") {
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text("e"), text("n")),
            "EC" => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y")),
            _ => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")),
        };
        assert_eq!(text("kid"), base64url(&sha256(&[canonical.as_bytes()])));
    }
}

#[test]
fn the_entity_tag_follows_the_document() {
    let (one, other) = (KeyRing::ephemeral(NOW).unwrap().jwks(), KEYS.ring.jwks());
    assert_ne!(one.etag, other.etag);
    assert_eq!(other.etag, KEYS.ring.jwks().etag);
    assert!(other.etag.starts_with('"') && other.etag.ends_with('"'));
}

#[test]
fn signatures_are_counted_and_clones_share_the_count() {
    let ring = KeyRing::ephemeral(NOW).unwrap();
    for algorithm in SigningAlgorithm::ALL {
        ring.clone().sign(algorithm, "at+jwt", &claims()).unwrap();
    }
    assert_eq!(ring.signatures(), 4);
}

#[test]
fn claims_without_json_form_are_an_error_and_no_signature() {
    let ring = KeyRing::ephemeral(NOW).unwrap();
    let claims = HashMap::from([(vec![1], 1)]);
    assert!(ring.sign(SigningAlgorithm::Es256, "JWT", &claims).is_err());
    assert_eq!(ring.signatures(), 0);
}

#[test]
fn debug_shows_key_ids_only() {
    let shown = format!("{:?}", KEYS.ring);
    assert!(shown.len() < 3 * 60, "{shown}");
}
