//! Logins through a provider that others wrote: oidc-provider, with its own pages, keys and opinions.
//!
//! Our stand-ins were written by whoever wrote the connector; this one was not. Postgres and Redis only, as in `interop`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::foreign_provider::ForeignProvider;
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants};
use crate::on_servers;
use crate::tokens::EXCHANGE;

/// The club and a gateway that knows it.
async fn club(env: &Env, algorithm: &'static str, more: Value) -> (ForeignProvider, TestApp, RelyingParty) {
    let club = ForeignProvider::start(algorithm).await;
    let shop = json!({
        "grant_types": ["authorization_code", "refresh_token", EXCHANGE], "upstream_tokens": ["club"],
    });
    let builder = TestApp::builder(env).client(web_client("shop", shop), Some(CLIENT_SECRET));
    let app = builder.connector(club.config(more)).start().await;
    club.register(&app).await;
    let shop = app.relying_party("shop").await;
    (club, app, shop)
}

/// From the shop to the club's login page.
async fn to_the_club(browser: &Browser, url: &url::Url) -> crate::harness::Page {
    let page = browser.get(url).await;
    browser.submit(&page, "/login/social", &[("connector", "club")]).await
}

on_servers! {
    async fn a_member_of_a_foreign_provider_signs_in_and_returns(env: &Env) {
        for algorithm in ["RS256", "ES256"] {
            let (club, _app, shop) = club(env, algorithm, json!({})).await;
            let member = format!("member-{algorithm}");
            let mut subjects = Vec::new();
            for _ in 0..2 {
                let (browser, authorization) = (Browser::new(), shop.authorization());
                let page = to_the_club(&browser, &authorization.url).await;
                let callback = club.log_in(&browser, &page, &member).await;
                let tokens = shop.finish(&authorization, &callback).await;
                let userinfo = shop.userinfo(&tokens.access_token).await.body;
                // Its ID tokens are lean: the address and the name are in its userinfo.
                let address = format!("{}@club.example", member.to_lowercase());
                assert_eq!(userinfo["email"].as_str().unwrap().to_lowercase(), address);
                assert_eq!((&userinfo["email_verified"], &userinfo["name"]), (&json!(true), &json!(format!("The {member}"))));
                subjects.push(tokens.claims["sub"].clone());
            }
            assert_eq!(subjects[0], subjects[1], "{algorithm}");
        }
        assert_eq!(invariants::check(env).await.customers.len(), 2);
    }

    async fn an_account_at_a_foreign_provider_is_connected(env: &Env) {
        let (club, app, shop) = club(env, "RS256", json!({})).await;
        let ann = app.customer("ann@shop.example", "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), "ann@shop.example").await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "club")]).await;
        let page = club.log_in(&browser, &page, "ann").await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
        let (other, authorization) = (Browser::new(), shop.authorization());
        let page = to_the_club(&other, &authorization.url).await;
        let callback = club.log_in(&other, &page, "ann").await;
        assert_eq!(shop.finish(&authorization, &callback).await.claims["sub"], ann.to_string());
        invariants::check(env).await;
    }

    async fn what_goes_wrong_at_a_foreign_provider_ends_on_a_page_with_a_way_on(env: &Env) {
        let (club, app, shop) = club(env, "ES256", json!({})).await;
        let browser = Browser::new();
        let authorization = shop.authorization();
        // The member changes their mind.
        let page = to_the_club(&browser, &authorization.url).await;
        let page = browser.click(&page, "Cancel").await;
        assert_eq!((page.status.as_u16(), page.url.path()), (422, "/callback/club"), "{}", page.text());
        assert!(!page.form("/login/social", &[("connector", "club")]).action.is_empty());
        // The way on works: the same answer once more goes on, and in another browser it is nothing.
        let page = browser.submit(&page, "/login/social", &[("connector", "club")]).await;
        let caught = browser.clone().stop_at(&app.url("/callback/club"));
        let caught = club.log_in(&caught, &page, "ann").await;
        assert!(caught.stopped && caught.parameter("code").is_some(), "{}", caught.url);
        let home = browser.get(&caught.url).await;
        shop.finish(&authorization, &home).await;
        assert!(browser.get(&caught.url).await.stopped, "a reload goes on");
        assert_eq!(Browser::new().get(&caught.url).await.status, 400);
        assert_eq!(invariants::check(env).await.customers.len(), 1);
        // A gateway with another secret, and one that takes another provider for this one.
        for more in [json!({"client_secret": "wrong"}), json!({"issuer": format!("{}/", club.issuer)})] {
            let wrong = TestApp::builder(env).web_client("shop").connector(club.config(more.clone())).start().await;
            club.register(&wrong).await;
            let (browser, authorization) = (Browser::new(), wrong.relying_party("shop").await.authorization());
            let mut page = to_the_club(&browser, &authorization.url).await;
            if page.url.as_str().starts_with(&club.issuer) {
                page = club.log_in(&browser, &page, "bob").await;
            }
            assert!(page.status == 422 && page.contains("The Club"), "{more}: {} {}", page.status, page.text());
        }
        assert_eq!(invariants::check(env).await.customers.len(), 1);
    }

    /// Its refresh tokens rotate, and a used one ends them all: each renewal must be with the newest.
    async fn tokens_of_a_foreign_provider_are_kept_and_renewed(env: &Env) {
        let more = json!({
            "store_tokens": true, "prompt": "consent", "scopes": ["openid", "email", "profile", "offline_access"],
        });
        let (club, _app, shop) = club(env, "RS256", more).await;
        let (browser, authorization) = (Browser::new(), shop.authorization());
        let page = to_the_club(&browser, &authorization.url).await;
        let callback = club.log_in(&browser, &page, "ann").await;
        let tokens = shop.finish(&authorization, &callback).await;
        let mut given = Vec::new();
        for _ in 0..3 {
            let answer = crate::tokens::upstream::ask(&shop, &tokens.access_token, "club").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let token = answer.body["access_token"].as_str().unwrap().to_owned();
            let me = crate::harness::browser::http_client().get(format!("{}/me", club.issuer)).bearer_auth(&token);
            let me: Value = me.timeout(Duration::from_secs(10)).send().await.unwrap().json().await.unwrap();
            assert_eq!(me["email"], "ann@club.example");
            given.push(token);
        }
        given.dedup();
        assert_eq!(given.len(), 3);
    }
}
