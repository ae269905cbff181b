//! Who must do what before an authorization request is answered: protocol rule 6.

use std::time::Duration;

use serde_json::json;

use super::{ANN, BEN, Visit, assert_refused, assert_token_error};
use crate::harness::app::{PASSWORD, TestApp};
use crate::harness::{Browser, Env};
use crate::on_both;

on_both! {
    async fn prompt_none_never_shows_a_page(env: &Env) {
        let visit = Visit::start(env).await;
        let silent = visit.shop.authorization_with(&[("prompt", "none")]);
        assert_refused(&visit.shop, &silent, &visit.browser.get(&silent.url).await, "login_required");
        visit.tokens(&[]).await;
        let silent = visit.shop.authorization_with(&[("prompt", "none")]);
        let page = visit.browser.get(&silent.url).await;
        assert_eq!(page.visited.len(), 1);
        visit.shop.finish(&silent, &page).await;
        for other in ["login", "consent", "select_account", "create"] {
            let request = visit.shop.authorization_with(&[("prompt", &format!("none {other}"))]);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "invalid_request");
        }
    }

    /// The same customer keeps the session and its `sid`; the cookie's value is new.
    async fn prompt_login_moves_auth_time_and_keeps_the_session(env: &Env) {
        let visit = Visit::start(env).await;
        let first = visit.tokens(&[]).await;
        let cookie = visit.browser.cookie("samesake-session").unwrap().value;
        visit.app.clock.advance(Duration::from_secs(100));
        let silent = visit.tokens(&[]).await;
        assert_eq!(silent.claims["auth_time"], first.claims["auth_time"]);

        let request = visit.shop.authorization_with(&[("prompt", "login")]);
        let page = visit.browser.get(&request.url).await;
        assert_eq!((page.url.path(), page.heading().as_str()), ("/login", "Confirm it\u{2019}s you"));
        let page = visit.browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        let second = visit.shop.finish(&request, &page).await;
        let moved = second.claims["auth_time"].as_i64().unwrap() - first.claims["auth_time"].as_i64().unwrap();
        assert!((100..130).contains(&moved), "moved by {moved} seconds");
        assert_eq!((&second.claims["sid"], &second.claims["sub"]), (&first.claims["sid"], &first.claims["sub"]));
        assert_ne!(visit.browser.cookie("samesake-session").unwrap().value, cookie);
        assert_eq!(visit.shop.userinfo(&first.access_token).await.status, 200);
    }

    /// Another customer may be chosen, and then everything of the first one's session in this browser ends.
    async fn prompt_login_may_bring_another_customer(env: &Env) {
        let visit = Visit::start(env).await;
        visit.app.customer(BEN, "Ben Example").await;
        let ann = visit.tokens(&[("scope", "openid profile")]).await;
        let request = visit.shop.authorization_with(&[("prompt", "login")]);
        let page = visit.app.log_in(&visit.browser, &request.url, BEN).await;
        let ben = visit.shop.finish(&request, &page).await;
        assert_ne!(ben.claims["sub"], ann.claims["sub"]);
        assert_ne!(ben.claims["sid"], ann.claims["sid"]);
        assert_eq!(visit.shop.userinfo(&ann.access_token).await.status, 401);
        assert_token_error(&visit.shop.refresh(&ann.refresh_token.unwrap()).await, 400, "invalid_grant");
        assert_eq!(visit.shop.userinfo(&ben.access_token).await.body["email"], BEN);
    }

    /// OpenID Connect Core §3.1.2.1: `auth_time` is there, and no older than asked.
    async fn max_age_exceeded_asks_again(env: &Env) {
        let visit = Visit::start(env).await;
        let first = visit.tokens(&[]).await;
        visit.app.clock.advance(Duration::from_secs(100));
        for (max_age, prompt) in [("1000", ""), ("1000", "none"), ("18446744073709551615", "none")] {
            let request = visit.shop.authorization_with(&[("max_age", max_age), ("prompt", prompt)]);
            let page = visit.browser.get(&request.url).await;
            let tokens = visit.shop.finish(&request, &page).await;
            assert_eq!(tokens.claims["auth_time"], first.claims["auth_time"]);
        }
        let request = visit.shop.authorization_with(&[("max_age", "50"), ("prompt", "none")]);
        assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "login_required");
        for max_age in ["50", "0"] {
            let before = visit.app.clock.now().seconds();
            let request = visit.shop.authorization_with(&[("max_age", max_age)]);
            let page = visit.browser.get(&request.url).await;
            assert_eq!(page.url.path(), "/login");
            let page = visit.browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
            let tokens = visit.shop.finish(&request, &page).await;
            assert!(tokens.claims["auth_time"].as_i64().unwrap() >= before);
        }
    }

    async fn select_account_asks_which_one(env: &Env) {
        let visit = Visit::start(env).await;
        visit.app.customer(BEN, "Ben Example").await;
        let choose = [("prompt", "select_account")];
        let ann = visit.tokens(&choose).await;

        let request = visit.shop.authorization_with(&choose);
        let page = visit.browser.get(&request.url).await;
        assert_eq!((page.url.path(), page.heading().as_str()), ("/select-account", "Choose an account"));
        let callback = visit.browser.submit(&page, "/select-account", &[("choice", "continue")]).await;
        assert_eq!(visit.shop.finish(&request, &callback).await.claims["sub"], ann.claims["sub"]);

        let request = visit.shop.authorization_with(&choose);
        let page = visit.browser.get(&request.url).await;
        let login = visit.browser.submit(&page, "/select-account", &[("choice", "other")]).await;
        let ben = [("email", BEN), ("password", PASSWORD)];
        let callback = visit.browser.submit(&login, "/login/password", &ben).await;
        assert_ne!(visit.shop.finish(&request, &callback).await.claims["sub"], ann.claims["sub"]);
    }

    /// Initiating User Registration 1.0: straight to the sign-up page, also for somebody who is signed in.
    async fn prompt_create_makes_an_account(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        let request = visit.shop.authorization_with(&[("prompt", "create")]);
        let page = visit.browser.get(&request.url).await;
        assert_eq!(page.url.path(), "/sign-up");
        let page = visit.browser.submit(&page, "/sign-up", &[("email", BEN), ("password", PASSWORD)]).await;
        let code = visit.app.mailed_code(BEN).await;
        let callback = visit.browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        let tokens = visit.shop.finish(&request, &callback).await;
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.body["email"], BEN);
    }

    /// Rule 26: what is not offered is not advertised, and does not half work.
    async fn prompt_create_is_refused_where_no_accounts_are_made(env: &Env) {
        let visit =
            Visit::of(TestApp::builder(env).web_client("shop").configure(|config| config.password.sign_up = false)).await;
        let supported = json!(["none", "login", "consent", "select_account"]);
        assert_eq!(visit.shop.metadata["prompt_values_supported"], supported);
        let request = visit.shop.authorization_with(&[("prompt", "create")]);
        assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "invalid_request");
    }

    /// The hint names Ann: Ann passes, also with an expired hint, and nobody else passes for her.
    async fn an_id_token_hint_is_not_answered_with_another_customer(env: &Env) {
        let visit = Visit::start(env).await;
        visit.app.customer(BEN, "Ben Example").await;
        let hint = visit.tokens(&[]).await.id_token;
        visit.app.clock.advance(Duration::from_secs(3600));
        let hinted = |prompt: &str| visit.shop.authorization_with(&[("id_token_hint", &hint), ("prompt", prompt)]);
        let request = hinted("none");
        visit.shop.finish(&request, &visit.browser.get(&request.url).await).await;

        let browser = Browser::new();
        let request = visit.shop.authorization();
        let page = visit.app.log_in(&browser, &request.url, BEN).await;
        visit.shop.finish(&request, &page).await;
        let request = hinted("none");
        assert_refused(&visit.shop, &request, &browser.get(&request.url).await, "login_required");
        let request = hinted("");
        let login = browser.get(&request.url).await;
        assert_eq!(login.url.path(), "/login");
        let wrong = browser.submit(&login, "/login/password", &[("email", BEN), ("password", PASSWORD)]).await;
        assert_refused(&visit.shop, &request, &wrong, "login_required");
        let right = browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        visit.shop.finish(&request, &right).await;
    }

    /// A hint that proves nothing about anybody is not silently passed over.
    async fn a_useless_id_token_hint_asks_for_a_login(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[]).await;
        let mut changed = tokens.id_token.clone();
        changed.replace_range(changed.len() - 8..changed.len() - 4, "AAAA");
        for hint in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &tokens.access_token, &changed] {
            let request = visit.shop.authorization_with(&[("id_token_hint", hint), ("prompt", "none")]);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "login_required");
            let request = visit.shop.authorization_with(&[("id_token_hint", hint)]);
            let login = visit.browser.get(&request.url).await;
            assert_eq!(login.url.path(), "/login");
            let page = visit.browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
            visit.shop.finish(&request, &page).await;
        }
    }
}
