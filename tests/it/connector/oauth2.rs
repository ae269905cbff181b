//! Any OAuth 2.0 server, by configuration only.

use serde_json::{Value, json};

use super::{Login, invalid, provider_error, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::generic::Generic;
use crate::on_both;

fn ada() -> Value {
    json!({
        "member": {"number": 18_014_398_509_481_985_u64, "title": "Ada Byron"},
        "contact": {"mail": "ada@example.com", "checked": true},
    })
}

on_both! {
    async fn a_member_of_a_configured_server_signs_in_and_returns(env: &Env) {
        let club = Generic::start(true).await;
        club.0.log_in_as(ada());
        let config = club.config(json!({"email_trust": "verified"}));
        let userinfo = signs_in_and_returns(env, config, "18014398509481985").await;
        assert_eq!(userinfo["name"], "Ada Byron");
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@example.com"), &json!(true)));
    }
}

#[tokio::test]
async fn an_address_of_a_configured_server_is_a_hint_unless_it_says_otherwise() {
    let club = Generic::start(true).await;
    let login = Login::with(club.config(json!({})));
    for (checked, verified) in [(json!(true), true), (json!("true"), true), (json!(1), false), (json!(null), false)] {
        club.0.log_in_as(json!({"member": {"number": "7"}, "contact": {"mail": "a@b.example", "checked": checked}}));
        let identity = login.run().await.unwrap();
        assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("a@b.example"), verified), "{checked}");
    }
}

#[tokio::test]
async fn a_subject_is_found_at_its_path_or_there_is_no_login() {
    let club = Generic::start(true).await;
    let login = Login::with(club.config(json!({})));
    for (account, expected) in [
        (json!({"member": {}, "sub": "another"}), "there is no subject"),
        (json!({"sub": "another", "member": 7}), "there is no subject"),
        (json!({"member": {"number": ""}}), "the subject is empty, too long or not printable"),
        (json!({"member": {"number": 1.0e30}}), "the subject is a number that is not exact"),
        (json!({"member": {"number": "x".repeat(256)}}), "the subject is empty, too long or not printable"),
    ] {
        club.0.log_in_as(account.clone());
        assert_eq!(login.run().await.err(), Some(invalid(expected)), "{account}");
    }
}

#[tokio::test]
async fn pkce_is_used_unless_it_is_switched_off() {
    let strict = Generic::start(true).await;
    strict.0.log_in_as(ada());
    let login = Login::with(strict.config(json!({})));
    let (_, other) = login.begin().await.unwrap();
    let (callback, mut pending) = login.begin().await.unwrap();
    pending.pkce_verifier = other.pkce_verifier;
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(provider_error("invalid_grant")));
    let old = Generic::start(false).await;
    old.0.log_in_as(ada());
    assert!(Login::with(old.config(json!({"pkce": false}))).run().await.is_ok());
}

/// RFC 9700 §4.4.
#[tokio::test]
async fn a_callback_that_names_another_issuer_is_refused_before_its_code_is_used() {
    let club = Generic::start(true).await;
    club.0.log_in_as(ada());
    let login = Login::with(club.config(json!({"issuer": "https://club.example"})));
    let (mut callback, pending) = login.begin().await.unwrap();
    callback.iss = Some("https://evil.example".to_owned());
    let refused = login.finish(&callback, &pending).await;
    assert_eq!(refused.err(), Some(invalid("the callback comes from another provider")));
    assert!(club.0.last_token_request().is_empty());
    callback.iss = Some("https://club.example".to_owned());
    assert!(login.finish(&callback, &pending).await.is_ok());
}
