//! The claims every token has to have, in form and in substance.

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::protocol::jwk::SigningAlgorithm::Es256;

fn verify(claims: &Value, expect: &Expect<'_>) -> Result<Value, TokenError> {
    KEYS.ring.verify(&KEYS.token(Es256, &KEYS.header(Es256).to_string(), &claims.to_string()), expect)
}

#[test]
fn ill_typed_and_missing_claims_are_refused() {
    let now = NOW.seconds();
    let table = [
        ("iss", json!(null), TokenError::Claims),
        ("iss", json!([ISSUER]), TokenError::Claims),
        ("iss", json!("https://id.example.com/"), TokenError::Issuer),
        ("iss", json!("https://ID.example.com"), TokenError::Issuer),
        ("aud", json!(null), TokenError::Claims),
        ("aud", json!(7), TokenError::Claims),
        ("aud", json!(["shop", 7]), TokenError::Claims),
        ("aud", json!([]), TokenError::Audience),
        ("aud", json!("shop2"), TokenError::Audience),
        ("aud", json!(["other"]), TokenError::Audience),
        ("exp", json!(null), TokenError::Claims),
        ("exp", json!("1900000000"), TokenError::Claims),
        ("exp", json!(1e300), TokenError::Claims),
        ("exp", json!(now), TokenError::Expired),
        ("exp", json!(now - 1), TokenError::Expired),
        ("exp", json!(-1), TokenError::Expired),
        ("nbf", json!("soon"), TokenError::Claims),
        ("nbf", json!(now + 61), TokenError::NotYet),
        ("iat", json!(now + 61), TokenError::NotYet),
        ("iat", json!({}), TokenError::Claims),
    ];
    for (name, value, why) in table {
        assert_eq!(verify(&with(claims(), name, value.clone()), &expect()), Err(why), "{name}: {value}");
    }
    for name in ["iss", "aud", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&claims, &expect()), Err(TokenError::Claims), "{name}");
    }
}

#[test]
fn well_formed_variants_are_accepted() {
    let now = NOW.seconds();
    for (name, value) in [
        ("aud", json!(["other", "shop"])),
        ("exp", json!(now + 1)),
        ("exp", json!(now as f64 + 0.5)),
        ("nbf", json!(now + 59)),
        ("iat", json!(now - 86400)),
    ] {
        assert!(verify(&with(claims(), name, value.clone()), &expect()).is_ok(), "{name}: {value}");
    }
}

#[test]
fn an_expired_token_will_do_where_only_its_origin_counts() {
    let old = with(claims(), "exp", json!(NOW.seconds() - 86400));
    let hint = Expect { expiry: Expiry::Ignored, ..expect() };
    assert!(verify(&old, &hint).is_ok());
    let foreign = with(old, "iss", json!("https://other.example"));
    assert_eq!(verify(&foreign, &hint), Err(TokenError::Issuer));
}

#[test]
fn the_audience_may_be_left_to_the_caller() {
    let any = Expect { audience: None, ..expect() };
    assert!(verify(&with(claims(), "aud", json!(["x", "y"])), &any).is_ok());
}

#[test]
fn types_compare_without_case_and_application() {
    let token =
        |typ: &str| KEYS.token(Es256, &with(KEYS.header(Es256), "typ", json!(typ)).to_string(), &claims().to_string());
    let access = Expect { typ: &["at+jwt"], ..expect() };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(KEYS.ring.verify::<Value>(&token(typ), &access).is_ok(), "{typ}");
    }
    let two = Expect { typ: &["JWT", ""], ..expect() };
    let untyped = json!({"alg": "ES256", "kid": KEYS.kid(Es256)}).to_string();
    assert!(KEYS.ring.verify::<Value>(&KEYS.token(Es256, &untyped, &claims().to_string()), &two).is_ok());
    assert_eq!(KEYS.ring.verify::<Value>(&token("at+jwt"), &two), Err(TokenError::Type));
}

#[test]
fn claims_that_are_not_the_wanted_ones_are_refused() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        sub: String,
    }
    let token = |claims: Value| KEYS.token(Es256, &KEYS.header(Es256).to_string(), &claims.to_string());
    assert_eq!(KEYS.ring.verify(&token(claims()), &expect()), Ok(Wanted { sub: "s".to_owned() }));
    let other = with(claims(), "sub", json!(7));
    assert_eq!(KEYS.ring.verify::<Wanted>(&token(other), &expect()), Err(TokenError::Claims));
    assert_eq!(KEYS.verify(&token(json!([1]))), Err(TokenError::Claims));
}
