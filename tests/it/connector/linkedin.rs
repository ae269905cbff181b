//! LinkedIn: no PKCE, no ID token worth reading, and a locale in two parts.

use samesake::connector::ConnectorError;
use serde_json::{Value, json};

use super::{Login, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::linkedin::LinkedIn;
use crate::on_both;

fn ada() -> Value {
    json!({
        "sub": "782bbtaQ", "name": "Ada Byron", "given_name": "Ada", "family_name": "Byron",
        "picture": "https://media.example/ada.jpg", "locale": {"country": "GB", "language": "en"},
        "email": "ada@example.com", "email_verified": true,
    })
}

on_both! {
    async fn a_linkedin_customer_signs_in_and_returns(env: &Env) {
        let linkedin = LinkedIn::start().await;
        linkedin.0.log_in_as(ada());
        let userinfo = signs_in_and_returns(env, linkedin.config(json!({})), "782bbtaQ").await;
        assert_eq!((&userinfo["name"], &userinfo["locale"]), (&json!("Ada Byron"), &json!("en-GB")));
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@example.com"), &json!(true)));
    }
}

#[tokio::test]
async fn nothing_is_sent_that_linkedin_stumbles_over() {
    let linkedin = LinkedIn::start().await;
    linkedin.0.log_in_as(ada());
    Login::with(linkedin.config(json!({}))).run().await.unwrap();
    assert!(!linkedin.0.last_authorization().contains_key("code_challenge"));
    assert!(!linkedin.0.last_token_request().contains_key("code_verifier"));
}

#[tokio::test]
async fn subjects_are_told_apart_by_case_and_canceling_is_no_error() {
    let linkedin = LinkedIn::start().await;
    let login = Login::with(linkedin.config(json!({})));
    for subject in ["782bbtaQ", "782BBTAQ"] {
        linkedin.0.log_in_as(json!({"sub": subject, "locale": "en_US"}));
        let identity = login.run().await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.locale.as_deref()), (subject, Some("en_US")));
    }
    for code in ["user_cancelled_login", "user_cancelled_authorize"] {
        linkedin.0.refuse_with(&[("error", code), ("error_description", "The user cancelled")]);
        assert_eq!(login.run().await.err(), Some(ConnectorError::Denied), "{code}");
    }
}
