//! GitHub: what its API says, how it refuses, and whose address counts.

use samesake::connector::Wishes;
use serde_json::{Value, json};

use super::{Login, gateway, links, press, provider_error, sign_in, signs_in_and_returns};
use crate::harness::providers::github::GitHub;
use crate::harness::{Browser, Env};
use crate::on_both;

fn account(id: u64, emails: Value) -> Value {
    json!({
        "user": {
            "login": "ada", "id": id, "node_id": "MDQ6VXNlcjE=", "name": "Ada Byron", "email": "public@example.com",
            "avatar_url": "https://avatars.example/ada.png", "type": "User",
        },
        "emails": emails,
    })
}

fn ada() -> Value {
    account(
        583_231,
        json!([
            {"email": "old@example.com", "primary": false, "verified": true, "visibility": null},
            {"email": "ada@example.com", "primary": true, "verified": true, "visibility": "private"},
        ]),
    )
}

on_both! {
    async fn a_github_customer_signs_in_and_returns(env: &Env) {
        let github = GitHub::start().await;
        github.0.log_in_as(ada());
        let userinfo = signs_in_and_returns(env, github.config(json!({})), "583231").await;
        assert_eq!(userinfo["name"], "Ada Byron");
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@example.com"), &json!(true)));
    }

    /// A double cannot hold them apart: 2^53 + 1 and 2^53 (spec/identity.md rule 3).
    async fn numeric_ids_beyond_2_to_the_53_stay_apart(env: &Env) {
        let github = GitHub::start().await;
        let app = gateway(env, github.config(json!({}))).await;
        let mut subjects = Vec::new();
        for id in [9_007_199_254_740_992, 9_007_199_254_740_993, u64::MAX] {
            github.0.log_in_as(account(id, json!([])));
            subjects.push(sign_in(&app, "github").await.claims["sub"].clone());
            assert_eq!(links(&app, "github", &id.to_string()).await, 1);
        }
        subjects.dedup();
        assert_eq!(subjects.len(), 3);
    }

    async fn a_login_that_fails_at_github_ends_on_the_login_page(env: &Env) {
        let github = GitHub::start().await;
        let app = gateway(env, github.config(json!({"client_secret": "wrong"}))).await;
        let (browser, shop) = (Browser::new(), app.relying_party("shop").await);
        let page = browser.get(&shop.authorization().url).await;
        let page = press(&browser, &page, "github").await;
        assert_eq!(page.status, 422);
        assert!(page.contains("GitHub"), "{}", page.text());
        assert_eq!(page.form("/login/social", &[("connector", "github")]).method, "post");
    }
}

#[tokio::test]
async fn only_the_primary_address_counts_and_only_as_github_knows_it() {
    let github = GitHub::start().await;
    let login = Login::with(github.config(json!({})));
    for (emails, expected) in [
        (json!([{"email": "a@b.example", "primary": true, "verified": true}]), (Some("a@b.example"), true)),
        (json!([{"email": "a@b.example", "primary": true, "verified": false}]), (Some("a@b.example"), false)),
        (json!([{"email": "a@b.example", "primary": false, "verified": true}]), (None, false)),
        (json!([]), (None, false)),
        (Value::Null, (None, false)),
    ] {
        github.0.log_in_as(account(1, emails.clone()));
        let identity = login.run().await.unwrap();
        assert_eq!((identity.email.as_deref(), identity.email_verified), expected, "{emails}");
    }
    // Not asked for, not looked up: the public address of the profile is nobody's proof.
    github.0.log_in_as(ada());
    let login = Login::with(github.config(json!({"scopes": ["read:user"]})));
    assert_eq!(login.run().await.unwrap().email, None);
    assert_eq!(github.0.last_authorization()["scope"], "read:user");
}

#[tokio::test]
async fn a_refusal_with_status_200_is_a_refusal() {
    let github = GitHub::start().await;
    github.0.log_in_as(ada());
    let login = Login::with(github.config(json!({})));
    let (callback, pending) = login.begin().await.unwrap();
    assert!(login.finish(&callback, &pending).await.is_ok());
    let replayed = login.finish(&callback, &pending).await;
    assert_eq!(replayed.err(), Some(provider_error("bad_verification_code")));
    let wrong = Login::with(github.config(json!({"client_secret": "wrong"})));
    assert_eq!(wrong.run().await.err(), Some(provider_error("incorrect_client_credentials")));
}

#[tokio::test]
async fn an_api_that_fails_or_lies_makes_no_identity() {
    for (path, status, body, expected) in [
        ("/user", 401, json!({"message": "Bad credentials"}), "the provider answered with the error status.401"),
        ("/user", 503, json!({}), "the provider is not available: the API answered with status 503"),
        ("/user", 429, json!({}), "the provider is not available: the API answered with status 429"),
        ("/user", 200, json!([]), "the provider's answer is not acceptable: the API's answer is not an object"),
        ("/user", 200, json!({"login": "ada"}), "the provider's answer is not acceptable: there is no subject"),
        (
            "/user",
            200,
            json!({"id": 1.5}),
            "the provider's answer is not acceptable: the subject is a number that is not exact",
        ),
        ("/user/emails", 500, json!({}), "the provider is not available: the API answered with status 500"),
        (
            "/user/emails",
            200,
            json!({}),
            "the provider's answer is not acceptable: the list of addresses is not a list",
        ),
        (
            "/login/oauth/access_token",
            502,
            json!({}),
            "the provider is not available: the token endpoint answered with status 502",
        ),
        (
            "/login/oauth/access_token",
            200,
            json!({}),
            "the provider's answer is not acceptable: the token endpoint's answer cannot be read",
        ),
    ] {
        let github = GitHub::start().await;
        github.0.log_in_as(ada());
        github.0.answer(path, status, body);
        let refused = Login::with(github.config(json!({}))).run().await.err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some(expected), "{path} {status}");
    }
}

#[tokio::test]
async fn a_hint_is_passed_on_only_where_the_configuration_says_so() {
    let github = GitHub::start().await;
    for (pass, expected) in [(false, None), (true, Some("ada@example.com"))] {
        let login = Login::with(github.config(json!({"pass_login_hint": pass, "prompt": "select_account"})));
        let wishes = Wishes { login_hint: Some("ada@example.com"), levels: &[] };
        let request = login.connector.authorization_request(&login.redirect_uri, wishes, login.clock.now());
        let url = request.await.unwrap().url;
        let said = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(said("login").as_deref(), expected);
        assert_eq!(said("prompt").as_deref(), Some("select_account"));
        assert_eq!(said("login_hint"), None);
    }
}
