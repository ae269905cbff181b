//! Whole ways through the product: a new customer from the app's button to the app's token and out again, behind a load
//! balancer, and in a real browser.

use serde_json::json;

use crate::harness::app::{CLIENT_SECRET, PASSWORD, web_client};
use crate::harness::{Browser, Env, Nginx, Screen, TestApp, WebDriver};
use crate::{on_both, on_servers};

const ANN: &str = "ann@example.com";

on_both! {
    async fn a_new_customer_signs_up_returns_and_leaves(env: &Env) {
        let app = TestApp::start(env).await;
        let (browser, shop) = (Browser::new(), app.relying_party("shop").await);
        let authorization = shop.authorization();
        let page = browser.get(&authorization.url).await;
        let page = browser.click(&page, "Create account").await;
        let fields = [("name", "Ann Example"), ("email", ANN), ("password", PASSWORD)];
        let page = browser.submit(&page, "/sign-up", &fields).await;
        let code = app.mailed_code(ANN).await;
        let callback = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        let tokens = shop.finish(&authorization, &callback).await;

        let userinfo = shop.userinfo(&tokens.access_token).await;
        assert_eq!(userinfo.body["email"], ANN);
        assert_eq!(userinfo.body["sub"], tokens.claims["sub"]);
        let refreshed = shop.token_response(shop.refresh(tokens.refresh_token.as_deref().unwrap()).await).await;
        assert_eq!(refreshed.claims["sub"], tokens.claims["sub"]);
        assert_eq!(refreshed.body["scope"], tokens.body["scope"]);

        // Her session is the browser's: no page is shown the second time.
        let again = shop.authorization_with(&[("prompt", "none")]);
        let callback = browser.get(&again.url).await;
        assert_eq!(shop.finish(&again, &callback).await.claims["sub"], tokens.claims["sub"]);

        let bye = shop.end_session(&[
            ("id_token_hint", &refreshed.id_token),
            ("post_logout_redirect_uri", "https://shop.example/"),
        ]);
        assert_eq!(browser.get(&bye).await.url.as_str(), "https://shop.example/");
        let none = shop.authorization_with(&[("prompt", "none")]);
        assert_eq!(shop.error(&none, &browser.get(&none.url).await), "login_required");
    }
}

on_servers! {
    /// Every step at another replica: what they share is in Postgres and Redis, and nothing else is needed.
    async fn a_login_wanders_between_replicas(env: &Env) {
        let first = TestApp::start(env).await;
        let second = first.replica(env).await;
        first.customer(ANN, "Ann Example").await;
        let shop = first.relying_party("shop").await;
        let (here, authorization) = (Browser::new(), shop.authorization());
        let there = here.clone().via(&first.issuer, &second.address);
        let page = here.get(&authorization.url).await;
        let callback = there.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        let code = shop.code(&authorization, &callback);
        let elsewhere = shop.clone().via(&second.address);
        let tokens = shop.tokens(&authorization, shop.redeem(&authorization, &code).await).await;
        let refresh_token = tokens.refresh_token.as_deref().unwrap();
        let refreshed = elsewhere.token_response(elsewhere.refresh(refresh_token).await).await;
        assert_eq!(elsewhere.userinfo(&refreshed.access_token).await.body["email"], ANN);
        // A code is spent everywhere.
        assert_eq!(elsewhere.redeem(&authorization, &code).await.error(), "invalid_grant");
    }

    /// Chromium keeps our cookies, follows our redirects and shows our pages, on a desk and in a hand.
    async fn a_real_browser_signs_in(env: &Env) {
        let page = r#"<h1 id="welcome">Welcome back</h1>"#;
        let server = format!("location / {{ default_type text/html; return 200 '{page}'; }}");
        let shop = Nginx::start(env.directory(), &server).await;
        let client = json!({ "redirect_uris": [shop.url.join("/callback").unwrap()] });
        let app = TestApp::builder(env).client(web_client("shop", client), Some(CLIENT_SECRET)).start().await;
        app.customer(ANN, "Ann Example").await;
        let party = app.relying_party("shop").await;
        for (screen, name) in [(Screen::Desktop, "login-desktop"), (Screen::Phone, "login-phone")] {
            let browser = WebDriver::start(env.directory(), screen).await;
            browser.open(party.authorization().url).await;
            browser.find("input[name=email]").await;
            browser.screenshot(name).await;
            let wide = browser.run("return document.documentElement.scrollWidth", vec![]).await;
            let shown = browser.run("return innerWidth", vec![]).await;
            assert_eq!(wide, shown, "the page scrolls sideways");
            browser.type_into("input[name=email]", ANN).await;
            browser.type_into("input[name=password]", PASSWORD).await;
            browser.click("form[action='/login/password'] button").await;
            browser.find("#welcome").await;
            browser.close().await;
        }
    }
}
