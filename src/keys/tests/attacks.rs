//! JOSE attacks (spec/protocol.md rule 39, RFC 8725).

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::super::material::NewKey;
use super::*;
use crate::protocol::jwk::SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
use crate::secret::from_base64url;

/// Refused by the ring and by a verifier that has only the published key set.
#[track_caller]
fn refused(token: &str, why: TokenError) {
    assert_eq!(KEYS.verify(token).unwrap_err(), why);
    let jwks = KEYS.ring.jwks();
    let jwks = std::str::from_utf8(&jwks.body).unwrap();
    assert_eq!(super::super::verify_with_jwks::<Value>(jwks, token, &expect()).unwrap_err(), why);
}

fn parts(token: &str) -> (&str, &str, &str) {
    let mut parts = token.split('.');
    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
}

fn good(algorithm: SigningAlgorithm) -> String {
    let token = KEYS.token(algorithm, &KEYS.header(algorithm).to_string(), &claims().to_string());
    assert!(KEYS.verify(&token).is_ok());
    token
}

fn signed(header: &Value) -> String {
    KEYS.token(Es256, &header.to_string(), &claims().to_string())
}

#[test]
fn alg_none_is_refused_in_any_spelling() {
    let payload = base64url(claims().to_string().as_bytes());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = with(KEYS.header(Es256), "alg", json!(alg)).to_string();
        let header = base64url(header.as_bytes());
        refused(&format!("{header}.{payload}."), TokenError::Malformed);
        refused(&format!("{header}.{payload}.AA"), TokenError::Algorithm);
    }
    for alg in [json!(null), json!(["ES256"]), json!(7)] {
        refused(&signed(&with(KEYS.header(Es256), "alg", alg)), TokenError::Algorithm);
    }
}

#[test]
fn a_public_key_does_not_serve_as_hmac_secret() {
    let jwks: Value = serde_json::from_slice(&KEYS.ring.jwks().body).unwrap();
    let rsa = jwks["keys"].as_array().unwrap().iter().find(|key| key["kty"] == "RSA").unwrap();
    let modulus = from_base64url(rsa["n"].as_str().unwrap()).unwrap();
    let header = json!({"alg": "HS256", "kid": KEYS.kid(Rs256), "typ": "JWT"});
    let message =
        format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims().to_string().as_bytes()));
    for secret in [modulus, rsa.to_string().into_bytes(), Vec::new()] {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        refused(&format!("{message}.{}", base64url(mac.as_ref())), TokenError::Algorithm);
    }
}

#[test]
fn a_key_serves_its_own_algorithms_only() {
    for (claimed, key) in [(Rs256, Es256), (Es256, Rs256), (EdDsa, Es256), (Es256, EdDsa), (Ps256, EdDsa)] {
        let header = json!({"alg": claimed, "kid": KEYS.kid(key), "typ": "JWT"}).to_string();
        refused(&KEYS.token(key, &header, &claims().to_string()), TokenError::Algorithm);
    }
    for strange in ["RS384", "RS512", "PS512", "ES384", "ES512", "ES256K", "rs256", "EdDSA ", "Ed25519", "dir"] {
        refused(&signed(&with(KEYS.header(Es256), "alg", json!(strange))), TokenError::Algorithm);
    }
    // One RSA key signs both ways, but a signature of one way is none of the other.
    let (header, payload, _) = (with(KEYS.header(Rs256), "alg", json!("PS256")), claims(), ());
    refused(&KEYS.token(Rs256, &header.to_string(), &payload.to_string()), TokenError::Signature);
}

#[test]
fn a_token_does_not_bring_or_name_its_key() {
    let own = NewKey::generate(KeyKind::P256).unwrap();
    let own_jwk = serde_json::to_value(&own.public).unwrap();
    let own_key = PrivateKey::parse(KeyKind::P256, &own.pkcs8).unwrap();
    let sign = |header: &Value| {
        let message =
            format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims().to_string().as_bytes()));
        let signature = own_key.sign(jose(Es256), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(&signature))
    };
    refused(&sign(&json!({"alg": "ES256", "typ": "JWT", "kid": own.kid, "jwk": own_jwk})), TokenError::Header);
    refused(&sign(&with(KEYS.header(Es256), "jwk", own_jwk)), TokenError::Header);
    for name in ["jku", "x5u"] {
        refused(&sign(&with(KEYS.header(Es256), name, json!("https://attacker.example/jwks"))), TokenError::Header);
    }
    refused(&sign(&with(KEYS.header(Es256), "x5c", json!(["MIIB"]))), TokenError::Header);
    refused(&sign(&json!({"alg": "ES256", "typ": "JWT", "kid": own.kid})), TokenError::UnknownKey);
    refused(&sign(&KEYS.header(Es256)), TokenError::Signature);
}

#[test]
fn a_strange_kid_is_an_unknown_key() {
    for kid in ["../../dev/null", "' OR 1=1 --", "", "\u{0}", "a\nb"] {
        refused(&signed(&with(KEYS.header(Es256), "kid", json!(kid))), TokenError::UnknownKey);
    }
    for kid in [json!(null), json!(0), json!([KEYS.kid(Es256)])] {
        refused(&signed(&with(KEYS.header(Es256), "kid", kid)), TokenError::UnknownKey);
    }
    // Our own tokens always name their key.
    assert_eq!(KEYS.verify(&signed(&json!({"alg": "ES256", "typ": "JWT"}))).unwrap_err(), TokenError::UnknownKey);
}

#[test]
fn critical_extensions_are_refused() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("b64"), json!(null)] {
        refused(&signed(&with(KEYS.header(Es256), "crit", crit)), TokenError::Header);
    }
    refused(&signed(&with(KEYS.header(Es256), "b64", json!(false))), TokenError::Header);
}

#[test]
fn repeated_members_are_refused() {
    let kid = KEYS.kid(Es256);
    let claims_text = claims().to_string();
    for header in [
        format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}","typ":"JWT"}}"#),
        format!(r#"{{"alg":"ES256","kid":"x","kid":"{kid}","typ":"JWT"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT","typ":"JWT"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT","a":1,"a":1}}"#),
        format!(r#"{{"alg":"ES256","\u0061lg":"ES256","kid":"{kid}","typ":"JWT"}}"#),
    ] {
        refused(&KEYS.token(Es256, &header, &claims_text), TokenError::Malformed);
    }
    let twice = claims_text.replacen('{', r#"{"sub":"other","#, 1);
    refused(&KEYS.token(Es256, &KEYS.header(Es256).to_string(), &twice), TokenError::Claims);
}

#[test]
fn empty_zero_and_foreign_signatures_are_refused() {
    for algorithm in SigningAlgorithm::ALL {
        let token = good(algorithm);
        let (header, payload, signature) = parts(&token);
        let length = from_base64url(signature).unwrap().len();
        refused(&format!("{header}.{payload}."), TokenError::Malformed);
        refused(&format!("{header}.{payload}"), TokenError::Malformed);
        refused(&format!("{header}.{payload}.{}", base64url(&vec![0; length])), TokenError::Signature);
        refused(&format!("{header}.{payload}.{}", base64url(&vec![0; length - 1])), TokenError::Signature);
        refused(&format!("{header}.{payload}.{signature}="), TokenError::Signature);
        refused(&format!("{header}.{payload}.{signature}AAAA"), TokenError::Signature);
        refused(&format!("{header}.{payload}.!!!!"), TokenError::Signature);
    }
}

#[test]
fn an_es256_signature_with_a_zero_half_is_refused() {
    let token = good(Es256);
    let (header, payload, signature) = parts(&token);
    let signature = from_base64url(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    for forged in [[&zero, s].concat(), [r, &zero].concat(), [zero, zero].concat()] {
        refused(&format!("{header}.{payload}.{}", base64url(&forged)), TokenError::Signature);
    }
}

#[test]
fn a_changed_token_is_refused() {
    for algorithm in SigningAlgorithm::ALL {
        let token = good(algorithm);
        let (header, payload, signature) = parts(&token);
        let other = base64url(with(claims(), "sub", json!("admin")).to_string().as_bytes());
        refused(&format!("{header}.{other}.{signature}"), TokenError::Signature);
        let other = base64url(with(KEYS.header(algorithm), "cty", json!("x")).to_string().as_bytes());
        refused(&format!("{other}.{payload}.{signature}"), TokenError::Signature);
    }
}

#[test]
fn a_token_of_another_type_is_refused() {
    for typ in
        ["logout+jwt", "at+jwt", "oauth-authz-req+jwt", "", "application/", "JWT ", "application/application/JWT"]
    {
        refused(&signed(&with(KEYS.header(Es256), "typ", json!(typ))), TokenError::Type);
    }
    refused(&signed(&with(KEYS.header(Es256), "typ", json!(["JWT"]))), TokenError::Type);
    refused(&signed(&json!({"alg": "ES256", "kid": KEYS.kid(Es256)})), TokenError::Type);
}

#[test]
fn what_is_no_token_is_refused() {
    let long = format!("{}.{}", good(Es256), "A".repeat(20_000));
    for text in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "{}", "é.é.é", "eyJhbGciOiJFUzI1NiJ9..AA"] {
        assert!(KEYS.verify(text).is_err(), "{text}");
    }
    refused(&long, TokenError::TooLong);
    // Five parts are an encrypted token, which we do not offer; JSON serializations are not compact.
    refused(&format!("{}.AA.AA", good(Es256)), TokenError::Malformed);
    let deep = format!("{}1{}", "[".repeat(3000), "]".repeat(3000));
    refused(&KEYS.token(Es256, &KEYS.header(Es256).to_string(), &deep), TokenError::Claims);
    refused(&KEYS.token(Es256, &KEYS.header(Es256).to_string(), &format!(r#"{{"a":{deep}}}"#)), TokenError::Claims);
}

#[test]
fn a_hostile_key_set_is_survived() {
    let verify = |jwks: &str| super::super::verify_with_jwks::<Value>(jwks, &good(Es256), &expect());
    let key = |index: usize| json!({"kty": "oct", "k": "AAAA", "kid": format!("k{index}")});
    let many: Vec<Value> = (0..10_000).map(key).collect();
    assert_eq!(verify(&json!({"keys": many}).to_string()), Err(TokenError::UnknownKey));
    assert_eq!(verify(&" ".repeat(1 << 20)), Err(TokenError::KeySet));
    assert_eq!(verify("[]"), Err(TokenError::KeySet));
    let kid = KEYS.kid(Es256);
    for key in [
        json!({"kty": "oct", "k": "AAAA", "kid": kid}),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": kid}),
        json!({"kty": "XX", "kid": kid}),
        json!({"kid": kid}),
    ] {
        assert_eq!(verify(&json!({"keys": [key]}).to_string()), Err(TokenError::UnknownKey));
    }
    let short = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": kid});
    assert_eq!(verify(&json!({"keys": [short]}).to_string()), Err(TokenError::Signature));
}

/// A maker with one key need not name it (OpenID Connect Core §10.1); our own tokens always do.
#[test]
fn a_token_that_names_no_key_is_taken_for_the_only_one_that_fits() {
    let jwks: Value = serde_json::from_slice(&KEYS.ring.jwks().body).unwrap();
    let unnamed = |alg| {
        let mut header = KEYS.header(alg);
        header.as_object_mut().unwrap().remove("kid");
        KEYS.token(alg, &header.to_string(), &claims().to_string())
    };
    let verify = |jwks: &Value, token: &str| {
        super::super::verify_with_jwks::<Value>(&jwks.to_string(), token, &expect()).map(|_| ())
    };
    for alg in [Es256, Rs256, Ps256, EdDsa] {
        assert_eq!(verify(&jwks, &unnamed(alg)), Ok(()), "{alg:?}");
        assert_eq!(KEYS.verify(&unnamed(alg)).unwrap_err(), TokenError::UnknownKey);
    }
    // Several fit: none is tried. None fits: there may be newer ones. Another one signed: there may be newer ones.
    let mut twice = jwks.clone();
    let keys = twice["keys"].as_array_mut().unwrap();
    let more: Vec<Value> = keys.iter().map(|key| with(key.clone(), "kid", json!("another"))).collect();
    keys.extend(more);
    assert_eq!(verify(&twice, &unnamed(Es256)), Err(TokenError::UnknownKey));
    let other = |kty: &str| {
        let all = jwks["keys"].as_array().unwrap().iter();
        json!({"keys": all.filter(|key| key["kty"] != kty).collect::<Vec<_>>()})
    };
    assert_eq!(verify(&other("EC"), &unnamed(Es256)), Err(TokenError::UnknownKey));
    let token = unnamed(Es256);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", base64url(&[1; 64]));
    assert_eq!(verify(&jwks, &forged), Err(TokenError::UnknownKey));
}

#[test]
fn a_key_for_encryption_or_another_algorithm_verifies_nothing() {
    let jwks: Value = serde_json::from_slice(&KEYS.ring.jwks().body).unwrap();
    let token = good(Ps256);
    let verify = |jwks: &Value| super::super::verify_with_jwks::<Value>(&jwks.to_string(), &token, &expect());
    assert!(verify(&jwks).is_ok());
    let changed = |name: &str, value: &str| {
        let mut jwks = jwks.clone();
        for key in jwks["keys"].as_array_mut().unwrap() {
            key[name] = json!(value);
        }
        jwks
    };
    assert_eq!(verify(&changed("use", "enc")), Err(TokenError::UnknownKey));
    assert_eq!(verify(&changed("alg", "RS256")), Err(TokenError::Algorithm));
    assert!(verify(&changed("alg", "PS256")).is_ok());
}
