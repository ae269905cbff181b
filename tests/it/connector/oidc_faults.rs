//! Providers that are broken or hostile: every answer that is not right is refused by name, in bounded time, and no
//! refusal repeats what the provider sent (spec/protocol.md rules 39, 48 and 49).

use std::time::Duration;

use samesake::connector::ConnectorError;
use serde_json::{Value, json};

use super::{Login, impatient, invalid};
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.add_person("a", json!({"email": "secret-address@b.example", "name": "A"}));
    upstream
}

/// The refusal of a login with one fault; nothing the provider sent is in it.
async fn refusal(upstream: &Upstream, fault: Fault) -> ConnectorError {
    let shown = format!("{fault:?}").chars().take(100).collect::<String>();
    upstream.faults().only(fault);
    let Err(refusal) = Login::at(upstream).run().await else { panic!("accepted in spite of {shown}") };
    let printed = format!("{refusal} {refusal:?}");
    assert!(!printed.contains("eyJ") && !printed.contains("secret-address"), "{printed}");
    refusal
}

#[tokio::test]
async fn claims_of_an_id_token_that_are_wrong_are_refused_by_name() {
    let upstream = upstream().await;
    let now = samesake::clock::Clock::system().now().seconds();
    let issuer = "the ID token is from another issuer";
    let audience = "the ID token is for another audience";
    let time = "the ID token has expired, or is from the future";
    let client = "samesake at upstream";
    let cases: Vec<(&'static str, Option<Value>, &'static str)> = vec![
        ("iss", Some(json!("https://evil.example")), issuer),
        ("iss", Some(json!(format!("{}/", upstream.issuer_text()))), issuer),
        ("aud", Some(json!("another client")), audience),
        ("aud", Some(json!([client, "another client"])), audience),
        ("aud", Some(json!([])), audience),
        ("azp", Some(json!("another client")), "the ID token was issued to another client"),
        ("nonce", Some(json!("another nonce")), "the ID token has another nonce"),
        ("nonce", None, "the ID token has another nonce"),
        ("exp", Some(json!(now - 61)), time),
        ("iat", Some(json!(now + 120)), time),
        ("nbf", Some(json!(now + 120)), "the ID token is not valid yet"),
        ("at_hash", Some(json!("AAAAAAAAAAAAAAAAAAAAAA")), "the ID token belongs to another access token"),
        ("sub", Some(json!("")), "the subject is empty, too long or not printable"),
        ("sub", Some(json!("x".repeat(256))), "the subject is empty, too long or not printable"),
        ("sub", Some(json!("a\u{0}")), "the subject is empty, too long or not printable"),
    ];
    for (name, value, expected) in cases {
        let shown = format!("{name} {value:?}");
        assert_eq!(refusal(&upstream, Fault::Claim(name, value)).await, invalid(expected), "{shown}");
    }
    for name in ["iss", "aud", "exp", "iat", "sub"] {
        assert!(matches!(refusal(&upstream, Fault::Claim(name, None)).await, ConnectorError::Invalid { .. }), "{name}");
    }
    for (name, value) in [("sub", json!(7)), ("exp", json!("soon")), ("iss", json!(["a"])), ("aud", json!({}))] {
        let refused = refusal(&upstream, Fault::Claim(name, Some(value))).await;
        assert!(matches!(refused, ConnectorError::Invalid { .. }), "{name}");
    }
}

#[tokio::test]
async fn numbers_at_the_edge_of_time_are_no_reason_to_stumble() {
    let upstream = upstream().await;
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for value in [json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(1e300), json!(-1e300), json!(0.5)] {
            upstream.faults().only(Fault::Claim(name, Some(value)));
            let outcome = Login::at(&upstream).run().await;
            assert!(matches!(outcome, Ok(_) | Err(ConnectorError::Invalid { .. })), "{name}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let upstream = upstream().await;
    let now = samesake::clock::Clock::system().now().seconds();
    for (name, value) in [("exp", now - 30), ("iat", now + 30), ("nbf", now + 30)] {
        upstream.faults().only(Fault::Claim(name, Some(json!(value))));
        assert!(Login::at(&upstream).run().await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_huge_subject_in_the_token_is_refused() {
    let upstream = upstream().await;
    let refused = refusal(&upstream, Fault::Claim("sub", Some(json!("x".repeat(150_000))))).await;
    assert_eq!(refused, invalid("the subject is empty, too long or not printable"));
    let refused = refusal(&upstream, Fault::Claim("sub", Some(json!("x".repeat(500_000))))).await;
    assert_eq!(refused, invalid("an answer is too long"));
}

/// RFC 8725 §3.1 and §2.1: algorithms are pinned, and a key is found by us, never in the token.
#[tokio::test]
async fn forged_signatures_are_refused() {
    let upstream = upstream().await;
    let signature = "the ID token's signature is wrong";
    let algorithm = "the ID token is signed with an algorithm that is not allowed";
    let unknown = "the ID token is signed with a key that is not published";
    for (fault, expected) in [
        (Fault::WrongSignature, signature),
        (Fault::EmptySignature, signature),
        (Fault::ZeroSignature, signature),
        (Fault::ForeignKey, signature),
        (Fault::EmbeddedKey, unknown),
        (Fault::AlgorithmNone, "the ID token is not signed"),
        (Fault::Hs256WithClientSecret, algorithm),
        (Fault::Hs256WithPublicKey, algorithm),
        (Fault::Header("kid", Some(json!("../../dev/null"))), unknown),
        (Fault::Header("kid", Some(json!("' OR 1=1 --"))), unknown),
        (Fault::Header("alg", Some(json!("ES384"))), algorithm),
        (Fault::Header("alg", Some(json!("RS256"))), unknown),
        (Fault::Header("crit", Some(json!(["exp"]))), "the ID token is not acceptable"),
        (Fault::Header("alg", Some(json!("A128GCM"))), "the ID token is not acceptable"),
        (Fault::Header("typ", Some(json!("logout+jwt"))), "the ID token is not acceptable"),
        (Fault::Header("typ", Some(json!("at+jwt"))), "the ID token is not acceptable"),
    ] {
        let shown = format!("{fault:?}");
        assert_eq!(refusal(&upstream, fault).await, invalid(expected), "{shown}");
    }
    for fault in [Fault::Header("alg", Some(json!("XX999"))), Fault::Header("alg", None)] {
        assert!(matches!(refusal(&upstream, fault).await, ConnectorError::Invalid { .. }));
    }
    // Also the key of an RSA provider is no MAC key.
    let rsa = Upstream::start_at(Default::default(), Algorithm::Rs256).await;
    rsa.add_person("a", json!({}));
    assert_eq!(refusal(&rsa, Fault::Hs256WithPublicKey).await, invalid(algorithm));
}

#[tokio::test]
async fn an_algorithm_the_provider_does_not_announce_is_refused() {
    let upstream = upstream().await;
    let announced = |names: Value| Fault::Metadata("id_token_signing_alg_values_supported", Some(names));
    let refused = refusal(&upstream, announced(json!(["RS256"]))).await;
    assert_eq!(refused, invalid("the ID token is signed with an algorithm that is not allowed"));
    let refused = refusal(&upstream, announced(json!(["none", "HS256"]))).await;
    assert_eq!(refused, invalid("the provider offers no signature algorithm we accept"));
}

#[tokio::test]
async fn metadata_of_another_issuer_or_without_tls_is_refused() {
    let upstream = upstream().await;
    let other = "the metadata is of another issuer";
    for issuer in [json!("https://evil.example"), json!(format!("{}/", upstream.issuer_text()))] {
        assert_eq!(refusal(&upstream, Fault::Metadata("issuer", Some(issuer))).await, invalid(other));
    }
    for name in ["issuer", "authorization_endpoint", "jwks_uri"] {
        assert_eq!(refusal(&upstream, Fault::Metadata(name, None)).await, invalid("the metadata cannot be read"));
    }
    let refused = refusal(&upstream, Fault::Metadata("token_endpoint", None)).await;
    assert_eq!(refused, invalid("the metadata has no token endpoint"));
    let scheme = Fault::Metadata("jwks_uri", Some(json!("file:///etc/passwd")));
    assert_eq!(refusal(&upstream, scheme).await, invalid("an endpoint in the metadata is not an https URL"));
}

/// Rule 48: metadata points where it likes; we do not go there.
#[tokio::test]
async fn metadata_cannot_send_us_into_our_own_network() {
    let upstream = upstream().await;
    let counted = Upstream::start().await;
    for (name, to) in [
        ("jwks_uri", "http://169.254.169.254/latest/meta-data".to_owned()),
        ("jwks_uri", "https://10.0.0.1/jwks".to_owned()),
        ("jwks_uri", counted.issuer_text().replace("127.0.0.1", "127.0.0.2") + "/jwks"),
        ("token_endpoint", counted.issuer_text().replace("127.0.0.1", "[::ffff:127.0.0.3]") + "/token"),
        ("token_endpoint", counted.issuer_text().replace("127.0.0.1", "localhost") + "/token"),
    ] {
        let refused = refusal(&upstream, Fault::Metadata(name, Some(json!(to)))).await;
        assert!(matches!(refused, ConnectorError::Unavailable { .. }), "{to}: {refused:?}");
    }
    let redirect = format!("{}/jwks", counted.issuer_text());
    let fault = Fault::Answer(Endpoint::Jwks, BadAnswer::RedirectTo(redirect));
    assert_eq!(refusal(&upstream, fault).await, ConnectorError::Unavailable { reason: "status 302".to_owned() });
    assert_eq!((counted.counts().jwks, counted.counts().token), (0, 0));
}

#[tokio::test]
async fn a_bad_token_answer_is_refused() {
    let upstream = upstream().await;
    assert_eq!(refusal(&upstream, Fault::NoIdToken).await, invalid("there is no ID token"));
    let refused = refusal(&upstream, Fault::TokenError("invalid_grant")).await;
    assert_eq!(refused, ConnectorError::Provider { code: "invalid_grant".to_owned() });
    upstream.faults().only(Fault::LeanIdToken);
    upstream.faults().add(Fault::AccessToken("not\na token"));
    assert_eq!(Login::at(&upstream).run().await.err(), Some(invalid("the access token is not a token")));
}

/// OpenID Connect Core §5.3.2: userinfo about somebody else is token substitution.
#[tokio::test]
async fn userinfo_of_another_subject_is_refused() {
    let upstream = upstream().await;
    for subject in [Some("b"), Some("A"), Some("a "), None] {
        upstream.faults().only(Fault::LeanIdToken);
        upstream.faults().add(Fault::UserinfoSubject(subject));
        let refused = Login::at(&upstream).run().await.err();
        assert_eq!(refused, Some(invalid("userinfo is about another subject")), "{subject:?}");
    }
}

#[tokio::test]
async fn answers_without_end_or_measure_are_cut_off_in_time() {
    let upstream = upstream().await;
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Token, Endpoint::Userinfo] {
        for bad in [
            BadAnswer::Endless,
            BadAnswer::Oversized,
            BadAnswer::DeeplyNested,
            BadAnswer::NotJson,
            BadAnswer::Status(500),
            BadAnswer::Status(429),
            BadAnswer::Status(404),
        ] {
            upstream.faults().only(Fault::LeanIdToken);
            upstream.faults().add(Fault::Answer(endpoint, bad.clone()));
            let refused = Login::at(&upstream).run().await.err();
            let expected = match bad {
                BadAnswer::Status(404) if endpoint == Endpoint::Token => {
                    Some(ConnectorError::Provider { code: "broken".to_owned() })
                }
                BadAnswer::Endless | BadAnswer::Oversized => Some(invalid("an answer is too long")),
                BadAnswer::Status(_) => {
                    assert!(matches!(refused, Some(ConnectorError::Unavailable { .. })), "{endpoint:?} {bad:?}");
                    continue;
                }
                _ => {
                    assert!(matches!(refused, Some(ConnectorError::Invalid { .. })), "{endpoint:?} {bad:?}");
                    continue;
                }
            };
            assert_eq!(refused, expected, "{endpoint:?} {bad:?}");
        }
    }
}

#[tokio::test]
async fn slow_answers_are_given_up() {
    let upstream = upstream().await;
    for endpoint in [Endpoint::Discovery, Endpoint::Token] {
        for bad in [BadAnswer::Slow(Duration::from_secs(60)), BadAnswer::Dripping] {
            upstream.faults().only(Fault::Answer(endpoint, bad));
            let login = Login::through(impatient(Duration::from_millis(400)), upstream.config("acme"));
            let refused = login.run().await;
            assert!(matches!(refused, Err(ConnectorError::Unavailable { .. })), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn key_sets_of_ten_thousand_keys_are_refused() {
    let upstream = upstream().await;
    assert_eq!(refusal(&upstream, Fault::ManyKeys(10_000)).await, invalid("an answer is too long"));
    assert_eq!(refusal(&upstream, Fault::ManyTinyKeys(10_000)).await, invalid("the key set has too many keys"));
    upstream.faults().only(Fault::ManyKeys(50));
    assert!(Login::at(&upstream).run().await.is_ok());
}
