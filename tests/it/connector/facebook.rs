//! Facebook: the proof of the app's secret, addresses that are hints or missing, refusals that are objects.

use samesake::config::EmailTrust;
use samesake::connector::ConnectorError;
use serde_json::{Value, json};

use super::{Login, provider_error, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::facebook::Facebook;
use crate::on_both;

fn ada() -> Value {
    json!({
        "id": "10224999888777666", "name": "Ada Byron", "first_name": "Ada", "last_name": "Byron",
        "email": "ada@example.com",
        "picture": {"data": {"url": "https://cdn.example/ada.jpg", "is_silhouette": false, "width": 320}},
    })
}

on_both! {
    /// Through `#_=_` and `appsecret_proof`; the address is shown, and proves nothing.
    async fn a_facebook_customer_signs_in_and_returns(env: &Env) {
        let facebook = Facebook::start().await;
        facebook.0.log_in_as(ada());
        let userinfo = signs_in_and_returns(env, facebook.config(json!({})), "10224999888777666").await;
        assert_eq!((&userinfo["name"], &userinfo["given_name"]), (&json!("Ada Byron"), &json!("Ada")));
        assert_eq!(userinfo["picture"], "https://cdn.example/ada.jpg");
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@example.com"), &json!(false)));
    }
}

/// A token that is kept is changed for one that lasts sixty days; a login does not fail over it.
#[tokio::test]
async fn a_token_that_is_kept_is_changed_for_a_long_lived_one() {
    let facebook = Facebook::start().await;
    facebook.0.log_in_as(ada());
    assert!(Login::with(facebook.config(json!({}))).run().await.unwrap().tokens.is_none());
    let login = Login::with(facebook.config(json!({"store_tokens": true})));
    let tokens = login.run().await.unwrap().tokens.unwrap();
    let days = |tokens: &samesake::connector::UpstreamTokens| {
        tokens.expires_at.unwrap().since(samesake::clock::Clock::system().now()).as_secs() / 86_400
    };
    assert_eq!(days(&tokens), 59);
    assert_eq!(facebook.0.desk.account_of(tokens.access.expose()).unwrap()["id"], ada()["id"]);
}

#[tokio::test]
async fn an_address_may_be_missing_and_is_a_hint_by_default() {
    let facebook = Facebook::start().await;
    facebook.0.log_in_as(json!({"id": "7", "name": "Phone Only"}));
    let login = Login::with(facebook.config(json!({})));
    let identity = login.run().await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.email.as_deref()), ("7", None));
    facebook.0.log_in_as(ada());
    let identity = login.run().await.unwrap();
    assert_eq!(login.connector.email_trust(&identity), EmailTrust::Unverified);
    let picture = json!({"data": {"url": "https://cdn.example/nobody.jpg", "is_silhouette": true}});
    facebook.0.log_in_as(json!({"id": "7", "picture": picture}));
    assert_eq!(login.run().await.unwrap().picture, None);
}

#[tokio::test]
async fn the_api_wants_a_proof_made_with_the_apps_secret() {
    let facebook = Facebook::start().await;
    facebook.0.log_in_as(ada());
    // Another secret is refused by the token endpoint already.
    let wrong = Login::with(facebook.config(json!({"client_secret": "wrong"})));
    assert_eq!(wrong.run().await.err(), Some(provider_error("OAuthException.1")));
    let refusal = json!({"error": {"message": "Invalid appsecret_proof", "type": "GraphMethodException", "code": 100}});
    facebook.0.answer("/v23.0/me", 400, refusal);
    let refused = Login::with(facebook.config(json!({}))).run().await;
    assert_eq!(refused.err(), Some(provider_error("GraphMethodException.100")));
}

/// Its dialog drops the challenge, and its token endpoint then refuses the verifier.
#[tokio::test]
async fn facebook_is_not_asked_with_pkce() {
    let facebook = Facebook::start().await;
    facebook.0.log_in_as(ada());
    Login::with(facebook.config(json!({}))).run().await.unwrap();
    assert!(!facebook.0.last_authorization().contains_key("code_challenge"));
    assert!(!facebook.0.last_token_request().contains_key("code_verifier"));
}

#[tokio::test]
async fn a_customer_who_cancels_and_a_code_used_twice_are_told_apart() {
    let facebook = Facebook::start().await;
    facebook.0.log_in_as(ada());
    let login = Login::with(facebook.config(json!({})));
    let (callback, pending) = login.begin().await.unwrap();
    assert!(login.finish(&callback, &pending).await.is_ok());
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(provider_error("OAuthException.100")));
    let description = "Permissions error";
    facebook.0.refuse_with(&[
        ("error", "access_denied"),
        ("error_reason", "user_denied"),
        ("error_description", description),
    ]);
    assert_eq!(login.run().await.err(), Some(ConnectorError::Denied));
}
