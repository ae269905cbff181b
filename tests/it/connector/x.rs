//! X: the envelope, HTTP Basic, and addresses only for apps that may see them.

use samesake::config::EmailTrust;
use serde_json::{Value, json};

use super::{Login, invalid, provider_error, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::x::X;
use crate::on_both;

fn ada() -> Value {
    json!({
        "id": "2244994945", "name": "Ada Byron", "username": "ada", "confirmed_email": "ada@example.com",
        "profile_image_url": "https://pbs.example/ada.jpg",
    })
}

on_both! {
    async fn an_x_customer_signs_in_and_returns_without_an_address(env: &Env) {
        let x = X::start().await;
        x.0.log_in_as(ada());
        let userinfo = signs_in_and_returns(env, x.config(json!({})), "2244994945").await;
        assert_eq!((&userinfo["name"], &userinfo["preferred_username"]), (&json!("Ada Byron"), &json!("ada")));
        assert_eq!(userinfo.get("email"), None);
    }
}

#[tokio::test]
async fn an_address_is_asked_for_only_with_its_scope() {
    let x = X::start().await;
    x.0.log_in_as(ada());
    assert_eq!(Login::with(x.config(json!({}))).run().await.unwrap().email, None);
    let scopes = json!({"scopes": ["users.read", "tweet.read", "users.email"]});
    let login = Login::with(x.config(scopes.clone()));
    let identity = login.run().await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("ada@example.com"), true));
    assert_eq!(login.connector.email_trust(&identity), EmailTrust::Unverified);
    x.0.log_in_as(json!({"id": "1", "name": "No Address"}));
    assert_eq!(login.run().await.unwrap().email, None);
}

#[tokio::test]
async fn the_client_authenticates_by_http_basic() {
    let x = X::start().await;
    x.0.log_in_as(ada());
    let refused = Login::with(x.config(json!({"client_secret": "wrong"}))).run().await;
    assert_eq!(refused.err(), Some(provider_error("unauthorized_client")));
    assert!(Login::with(x.config(json!({}))).run().await.is_ok());
    assert!(!x.0.last_token_request().contains_key("client_secret"));
}

#[tokio::test]
async fn an_envelope_without_a_user_is_no_login() {
    let x = X::start().await;
    x.0.log_in_as(ada());
    let login = Login::with(x.config(json!({})));
    for (body, expected) in [
        (json!({"errors": [{"title": "Not Found Error"}]}), "the API's answer has no data"),
        (json!({"id": "2244994945"}), "the API's answer has no data"),
        (json!({"data": {"name": "Ada"}}), "there is no subject"),
        (json!({"data": []}), "the API's answer has no data"),
    ] {
        x.0.answer("/2/users/me", 200, body.clone());
        assert_eq!(login.run().await.err(), Some(invalid(expected)), "{body}");
    }
}
